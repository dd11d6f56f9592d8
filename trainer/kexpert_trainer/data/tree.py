"""The files of a kernel tree that are written by people."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from kexpert.core.retrieval.chunk import is_generated

_VERSION = re.compile(r"^(?:VERSION|PATCHLEVEL|SUBLEVEL)[ \t]*=[ \t]*(\d+)", re.M)


def name_of(tree: Path) -> str:
    """The name of a tree's folder, and the version that its Makefile gives it."""
    makefile = tree / "Makefile"
    numbers = _VERSION.findall(makefile.read_text("utf-8", "replace")) if makefile.is_file() else []
    return f"{tree.resolve().name}, Linux {'.'.join(numbers)}" if numbers else tree.resolve().name


def c_files(tree: Path) -> Iterator[str]:
    """Paths of a tree's C files and headers, in order, without the generated register headers."""
    return (path for path in files(tree) if path.endswith((".c", ".h")))


def files(tree: Path) -> Iterator[str]:
    """Paths of all files, folder by folder in order, without the generated register headers."""
    for folder, folders, names in os.walk(tree):
        below = os.path.relpath(folder, tree)
        start = "" if below == "." else f"{below}/"
        folders[:] = sorted(name for name in folders if not is_generated(f"{start}{name}/"))
        yield from (start + name for name in sorted(names))
