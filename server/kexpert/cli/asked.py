"""The place that a command asks about: FILE:LINE:COL in the index of its tree."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from kexpert.cli.arguments import FilePosition
from kexpert.cli.errors import Failure, say
from kexpert.workspace.find_tree import find_tree, path_in

if TYPE_CHECKING:
    from kexpert.workspace.saved_tree import SavedTree
    from kexpert.workspace.snapshot import Position, Snapshot


def asked_about(args: argparse.Namespace) -> tuple[Snapshot, Position]:
    """The tree of FILE, as a snapshot, and the position in it. Raises Failure or NotFound."""
    tree, at = asked_tree(args)
    return tree.snapshot(), at


def asked_tree(args: argparse.Namespace) -> tuple[SavedTree, Position]:
    """The tree of FILE and the position in it. Raises Failure or NotFound."""
    from kexpert.workspace.saved_tree import SavedTree
    from kexpert.workspace.snapshot import Position

    at: FilePosition = args.position
    file = at.path if at.path.exists() or args.tree is None else args.tree / at.path
    if not file.is_file():
        raise Failure(f"{at.path}: no such file; FILE is relative to this directory or to --tree")
    root = find_tree(args.tree, file.parent)
    path = path_in(root, file)
    tree = SavedTree(root, say)
    source = tree.snapshot().source(path)
    if source is None:
        raise Failure(f"{file}: cannot be read, or is too large to be a source file")
    count = len(source.lines.starts)
    if at.line > count:
        raise Failure(f"{at}: the file has {count} lines")
    return tree, Position(path, at.line - 1, at.column - 1)


def shell_path(root: Path, path: str) -> str:
    """A path of the tree as the shell can use it: relative to the current directory where that is inside."""
    full, here = root / path, Path.cwd()
    return os.path.relpath(full, here) if here.is_relative_to(root) else str(full)
