"""Begin a database with that of a similar tree: copy its files, and find out which files of the trees are the same.

Two files are the same if every byte is, and if the other tree's is as it was when its database read it. The rows of
such a file are right for both trees; all other files are read by the next update, as after any edit.

A database is copied by its file, so that file systems that can (btrfs, XFS) share the blocks. A read transaction is
open meanwhile: SQLite then changes nothing in the file that the copy would need. Processes of their own do the
copying: to close a database's file drops the locks that SQLite has on it, in the same process.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kexpert.background.batches import batches
from kexpert.background.database import Database
from kexpert.background.file_identity import FileIdentity
from kexpert.background.process_pool import ProcessPool, default_jobs, end_with_parent
from kexpert.background.progress import OnProgress, Progress
from kexpert.background.similar_tree import SimilarTree
from kexpert.background.tree import read

#: Bytes copied in one step (a multiple of a file system's blocks), and bytes of source compared in one.
_COPY_BYTES = 64 << 20
_COMPARE_BYTES = 8 << 20
_MAX_JOBS = 4
#: The identity of a file that is to be read again: no file has it.
_UNKNOWN = FileIdentity(-1, 0)
#: The folder of a copy that is not complete, beside the databases.
_TEMPORARY = "seed.new"


class SeedingCancelled(Exception):
    """The copy was given up on request."""


@dataclass(frozen=True, slots=True)
class _Copy:
    """A range of a file to copy; the target exists."""

    source: Path
    target: Path
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Files to compare, with their identity in the other tree's database."""

    files: list[tuple[str, FileIdentity]]

    @property
    def length(self) -> int:
        return sum(identity.size for _, identity in self.files)


@contextlib.contextmanager
def temporary_folder(directory: Path) -> Iterator[Path]:
    """A new folder in ``directory``, removed at the end. What a killed process left there is removed first."""
    folder = directory / _TEMPORARY
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def unchanging(db: sqlite3.Connection) -> Iterator[None]:
    """Hold a read transaction, so that the files of a database can be copied. Raises sqlite3.Error."""
    db.execute("BEGIN")
    try:
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        yield
    finally:
        db.execute("ROLLBACK")


def database_files(database: Path, folder: Path) -> Iterator[tuple[Path, Path]]:
    """(source, target) of the files of a database that is copied to ``folder``, as they are now."""
    for name in (database.name, database.name + "-wal"):
        source = database.with_name(name)
        if source.exists():
            yield source, folder / name


def copies(base: Path, folder: Path, shared: Iterable[Path], files: Iterable[Path]) -> Iterator[tuple[Path, Path]]:
    """(source, target) of the ``files`` below ``base`` that are to be copied to ``folder``.

    Those that are ``shared``, because nobody writes into them, get a second name there instead, where the system can.
    """
    wanted = list(shared)
    linked = set()
    for source in wanted:
        target = folder / source.relative_to(base)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(OSError):
            os.link(source, target)
            linked.add(source)
    for source in dict.fromkeys([*wanted, *files]):
        if source not in linked and source.is_file():
            yield source, folder / source.relative_to(base)


def copy_and_compare(
    root: Path,
    similar: SimilarTree,
    files: Iterable[tuple[Path, Path]],
    on_progress: OnProgress,
    cancelled: Callable[[], bool],
) -> dict[str, tuple[FileIdentity, FileIdentity]]:
    """Copy ``files`` (source, target), and compare the trees.

    Returns, for each file that is the same in both, its identity in the other tree and in this one. Raises OSError,
    SeedingCancelled.
    """
    tasks: list[_Copy | _Comparison] = []
    times: dict[Path, int] = {}
    for source, target in files:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        target.touch(exist_ok=False)
        stat = source.stat()
        times[target] = stat.st_mtime_ns
        starts = range(0, stat.st_size, _COPY_BYTES)
        tasks += [_Copy(source, target, at, min(_COPY_BYTES, stat.st_size - at)) for at in starts]
    grouped = batches(similar.files.items(), lambda file: file[1].size, lambda before, number: _COMPARE_BYTES)
    tasks += [_Comparison(batch) for batch in grouped]
    total, done = sum(task.length for task in tasks), 0
    same: dict[str, tuple[FileIdentity, FileIdentity]] = {}
    title = f"Taking over the index of {similar.root}"
    pool = ProcessPool(partial(_work, root, similar.root), min(default_jobs(), _MAX_JOBS), end_with_parent)
    for task, found in pool.run(tasks, cancelled):
        if found is None:
            raise OSError(f"a process died while copying the index of {similar.root}")
        same.update(found)
        done += task.length
        on_progress(Progress(title, done >> 20, total >> 20, unit="MB"))
    if cancelled():
        raise SeedingCancelled
    for target, mtime_ns in times.items():
        os.utime(target, ns=(mtime_ns, mtime_ns))
    on_progress(Progress(title, total >> 20, total >> 20, finished=True, unit="MB"))
    return same


def adopt(store: Database, root: Path, same: Mapping[str, tuple[FileIdentity, FileIdentity]]) -> None:
    """Make a copied database that of the tree ``root``: files that are not the ``same`` are to be read again."""
    store.db.execute("BEGIN IMMEDIATE")
    rows = []
    for path, size, mtime_ns in store.db.execute("SELECT path, size, mtime_ns FROM files").fetchall():
        theirs, ours = same.get(path, (_UNKNOWN, _UNKNOWN))
        rows.append((*(ours if theirs == (size, mtime_ns) else _UNKNOWN), path))
    store.db.executemany("UPDATE files SET size = ?, mtime_ns = ? WHERE path = ?", rows)
    store.set_meta("root", os.path.realpath(root))
    store.db.execute("COMMIT")
    store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


# -- in the workers ---------------------------------------------------------------------------------


def _work(root: Path, other: Path, task: _Copy | _Comparison) -> dict[str, tuple[FileIdentity, FileIdentity]]:
    if isinstance(task, _Copy):
        _copy(task)
        return {}
    found = ((path, theirs, _identity_if_same(root, other, path, theirs)) for path, theirs in task.files)
    return {path: (theirs, ours) for path, theirs, ours in found if ours is not None}


def _copy(task: _Copy) -> None:
    """Copy a range. The system shares the blocks where it can."""
    with open(task.source, "rb", buffering=0) as source, open(task.target, "r+b", buffering=0) as target:
        at, end = task.start, task.start + task.length
        while at < end:
            try:
                copied = os.copy_file_range(source.fileno(), target.fileno(), end - at, at, at)
            except OSError:  # another file system, or one that cannot
                copied = os.pwrite(target.fileno(), os.pread(source.fileno(), min(end - at, 1 << 20), at), at)
            if not copied:
                return  # the source is shorter than it was: a log that was emptied
            at += copied


def _identity_if_same(root: Path, other: Path, path: str, theirs: FileIdentity) -> FileIdentity | None:
    """The identity of a file of ``root`` that is the same in ``other``, where it must still be as it was indexed."""
    try:
        before, stored = os.lstat(root / path), os.lstat(other / path)
    except OSError:
        return None
    if FileIdentity.from_stat(stored) != theirs or before.st_size != theirs.size:
        return None
    ours = FileIdentity.from_stat(before)
    if os.path.samestat(before, stored):
        return ours
    data = read(root, path)
    if data is None or data != read(other, path):
        return None
    # (neither changed while it was read)
    unchanged = FileIdentity.of(root / path) == ours and FileIdentity.of(other / path) == theirs
    return ours if unchanged else None
