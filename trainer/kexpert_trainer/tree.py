"""Which files of a kernel tree are C."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from kexpert.core.chunk import is_generated


def c_files(tree: Path) -> Iterator[str]:
    """Paths of a tree's C files and headers, in order, without the generated register headers."""
    for folder, folders, names in os.walk(tree):
        below = os.path.relpath(folder, tree)
        start = "" if below == "." else f"{below}/"
        folders[:] = sorted(name for name in folders if not is_generated(f"{start}{name}/"))
        for name in sorted(names):
            if name.endswith((".c", ".h")):
                yield start + name
