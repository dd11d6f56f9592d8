"""The files of a kernel tree, without generated register headers."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from kexpert.core.retrieval.chunk import is_generated
from kexpert_trainer.errors import UserError

_VERSION = re.compile(r"^(?:VERSION|PATCHLEVEL|SUBLEVEL)[ \t]*=[ \t]*(\d+)", re.M)


def require_tree(tree: Path) -> None:
    """Raise UserError unless ``tree`` is a folder with C files or headers."""
    if not tree.is_dir():
        raise UserError(f"{tree}: no such folder; give the path of a kernel tree (scripts/get_tree.py fetches one)")
    if next(c_files(tree), None) is None:
        raise UserError(f"{tree}: no C files; is this a kernel tree?")


def name_of(tree: Path) -> str:
    """The name of a tree's folder, and the version in its Makefile."""
    makefile = tree / "Makefile"
    numbers = _VERSION.findall(makefile.read_text("utf-8", "replace")) if makefile.is_file() else []
    return f"{tree.resolve().name}, Linux {'.'.join(numbers)}" if numbers else tree.resolve().name


def c_files(tree: Path) -> Iterator[str]:
    """Yield the paths of C files and headers, relative to the tree, in a fixed order."""
    return (path for path in files(tree) if path.endswith((".c", ".h")))


def files(tree: Path) -> Iterator[str]:
    """Yield the paths of all files, relative to the tree, in a fixed order."""
    for folder, folders, names in os.walk(tree):
        below = os.path.relpath(folder, tree)
        start = "" if below == "." else f"{below}/"
        folders[:] = sorted(name for name in folders if not is_generated(f"{start}{name}/"))
        yield from (start + name for name in sorted(names))
