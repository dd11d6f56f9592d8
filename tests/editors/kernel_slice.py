"""A part of a real kernel for tests that edit it: what a person sees there is what a kernel's files make of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

#: Folders and files of the slice: enough for types, macros, Kconfig and checkpatch.
PARTS = ("mm", "kernel", "include", "scripts", "Kconfig", "Kbuild", "Makefile", "MAINTAINERS")


def copy_slice(home: Path, whole: Path, parts: Sequence[str] = PARTS) -> Path:
    """Copy parts of a whole kernel to ``home/linux``."""
    tree = home / "linux"
    tree.mkdir(parents=True)
    for part in parts:
        if (whole / part).is_dir():
            shutil.copytree(whole / part, tree / part, symlinks=True)
        else:
            shutil.copy(whole / part, tree / part)
    for folder, _, _ in os.walk(tree):
        os.chmod(folder, 0o755)
    return tree
