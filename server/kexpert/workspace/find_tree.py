"""Which kernel tree a command means. Imports nothing heavy."""

from __future__ import annotations

from pathlib import Path


class NotFound(Exception):
    """There is no such tree, index or file; the message says what, where and the mend."""


def find_tree(named: Path | None, around: Path | None = None) -> Path:
    """The root of the named tree, else of the one around a file, else around the current directory.

    Raises NotFound.
    """
    from kexpert.background.tree import find_root

    start = (named or around or Path.cwd()).expanduser().absolute()
    if named and not named.is_dir():
        raise NotFound(f"{named}: no such directory; --tree takes the top of a kernel tree")
    root = find_root(start)
    if root is None:
        raise NotFound(f"{start}: not inside a Linux kernel tree; name one with --tree DIR")
    return root


def tree_around(path: Path) -> Path | None:
    """The root of the kernel tree around a path; None if it lies in none."""
    from kexpert.background.tree import find_root

    return find_root(path)


def path_in(root: Path, file: Path) -> str:
    """A file's path in a tree. Raises NotFound."""
    from kexpert.background.tree import relative_path

    path = relative_path(root, file)
    if path is None:
        raise NotFound(f"{file}: not in the tree {root}; name its tree with --tree DIR")
    return path
