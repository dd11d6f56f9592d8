"""Another tree of this user that is much like a new one (a worktree, a copy, the next release) and has a database."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import NamedTuple

from kexpert.background.database import Database, IndexState, cache_directory
from kexpert.background.file_identity import FileIdentity

#: A smaller tree is read as quickly as it is compared.
MIN_FILES = 1000
#: Minimum share of the new tree's files that the other one has with the same size.
_MIN_SHARE = 0.6


class SimilarTree(NamedTuple):
    """A tree, the folder of its databases, and the files that may be the same, with their identity there."""

    root: Path
    directory: Path
    files: dict[str, FileIdentity]


def find_similar_tree(
    root: Path, sizes: Mapping[str, int], store: type[Database], name: str, min_files: int = MIN_FILES
) -> SimilarTree | None:
    """The tree that has most of the files of ``root`` with the same size; None if no tree has enough of them.

    ``sizes``: path -> bytes of the files of ``root``. ``store``, ``name``: which database it must have, complete and of
    this version. Nothing of the other tree is changed.
    """
    best: SimilarTree | None = None
    least = max(min_files, len(sizes) * _MIN_SHARE)
    for other, directory in _trees(root, store, name):
        files = _stored_files(store, directory / name)
        shared = {path: identity for path, identity in files.items() if sizes.get(path) == identity.size}
        if len(shared) >= max(least, len(best.files) + 1 if best else 0):
            best = SimilarTree(other, directory, shared)
    return best


def _trees(root: Path, store: type[Database], name: str) -> Iterator[tuple[Path, Path]]:
    """(root, folder of databases) of every other tree whose database is complete and belongs to this user alone."""
    own = cache_directory(root)
    with contextlib.suppress(OSError):
        for directory in sorted(own.parent.iterdir()):
            if directory == own or not (_is_private(directory) and _is_private(directory / name)):
                continue
            other = _root_of(store, directory / name)
            if other is None or cache_directory(other) != directory or not other.is_dir():
                continue
            if store.state_of(directory / name, other) is IndexState.READY:
                yield other, directory


def _is_private(path: Path) -> bool:
    """True for a folder or a regular file that is this user's own and that nobody else can write."""
    try:
        stat = path.lstat()
    except OSError:
        return False
    return (
        (S_ISDIR(stat.st_mode) or S_ISREG(stat.st_mode)) and stat.st_uid == os.geteuid() and not stat.st_mode & 0o022
    )


def _root_of(store: type[Database], database: Path) -> Path | None:
    with contextlib.suppress(sqlite3.Error), contextlib.closing(store(database, readonly=True)) as opened:
        found = opened.meta("root")
        return Path(found) if found else None
    return None


def _stored_files(store: type[Database], database: Path) -> dict[str, FileIdentity]:
    with contextlib.suppress(sqlite3.Error), contextlib.closing(store(database, readonly=True)) as opened:
        rows = opened.db.execute("SELECT path, size, mtime_ns FROM files")
        return {path: FileIdentity(size, mtime_ns) for path, size, mtime_ns in rows}
    return {}
