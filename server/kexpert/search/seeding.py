"""Begin the search of a tree with that of a similar one: words, posting lists and vectors of all that is the same."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from kexpert.background.database import IndexState, discard
from kexpert.background.file_identity import FileIdentity
from kexpert.background.indexed_files import OpenIndexedFiles
from kexpert.background.progress import OnProgress
from kexpert.background.seeding import (
    SeedingCancelled,
    adopt,
    copies,
    copy_and_compare,
    database_files,
    temporary_folder,
    unchanging,
)
from kexpert.background.similar_tree import MIN_FILES, SimilarTree, find_similar_tree
from kexpert.search.chunk_store import COLLECTIONS_KEY, ChunkStore
from kexpert.search.schema import POSTING_LISTS_FILE
from kexpert.search.sync_plan import searched_files
from kexpert.search.vectors import SHARD_CAPACITY, collection_folders
from kexpert.search.vectors import discard as discard_vectors


def seed(
    root: Path,
    directory: Path,
    open_index: OpenIndexedFiles,
    with_vectors: bool,
    on_progress: OnProgress,
    cancelled: Callable[[], bool],
    min_files: int = MIN_FILES,
    capacity: int = SHARD_CAPACITY,
) -> str | None:
    """Fill the search database in ``directory``, if it is of no use as it is, from a similar tree, if there is one. The
    caller has the lock on the vectors.

    Returns a line for the user if a similar tree was found. Raises SeedingCancelled; all is then as it was.
    """
    database = directory / "search.db"
    if ChunkStore.state_of(database, root) in (IndexState.READY, IndexState.PARTIAL):
        return None
    with contextlib.closing(open_index(directory)) as indexed:
        sizes = {file.path: file.size for file in searched_files(root, indexed)}
    similar = find_similar_tree(root, sizes, ChunkStore, database.name, min_files) if len(sizes) >= min_files else None
    if similar is None:
        return None
    try:
        with temporary_folder(directory) as folder:
            same = _copy(root, similar, folder, with_vectors, capacity, on_progress, cancelled)
            discard(database)
            discard_vectors(directory / "vectors")
            if (folder / "vectors").exists():
                os.replace(folder / "vectors", directory / "vectors")
            if (folder / POSTING_LISTS_FILE).exists():
                os.replace(folder / POSTING_LISTS_FILE, directory / POSTING_LISTS_FILE)
            os.replace(folder / database.name, database)
    except (OSError, sqlite3.Error) as error:
        return f"{root}: cannot begin with the search of {similar.root} ({error}); all files are read"
    return f"{root}: begins with the search of {similar.root}: {len(same):,} of {len(sizes):,} files are the same"


def _copy(
    root: Path,
    similar: SimilarTree,
    folder: Path,
    with_vectors: bool,
    capacity: int,
    on_progress: OnProgress,
    cancelled: Callable[[], bool],
) -> dict[str, tuple[FileIdentity, FileIdentity]]:
    """Copy the search of ``similar`` to ``folder`` and make it that of ``root``. Raises OSError, sqlite3.Error."""
    source = similar.directory / "search.db"
    vectors = similar.directory / "vectors"
    with contextlib.closing(ChunkStore(source, readonly=True)) as theirs:
        before = _state(theirs, vectors) if with_vectors else None
        with unchanging(theirs.db):
            shared = [similar.directory / POSTING_LISTS_FILE]
            if before is not None:
                shared += _files_of_full_collections(theirs, vectors, capacity)
            files = [
                *database_files(source, folder),
                *copies(similar.directory, folder, shared, _files_below(vectors) if before is not None else ()),
            ]
            same = copy_and_compare(root, similar, files, on_progress, cancelled)
        kept = before is not None and before == _state(theirs, vectors)
        prefix = theirs.collections_prefix
    with contextlib.closing(ChunkStore(folder / source.name)) as store:
        adopt(store, root, same)
        store.set_meta(COLLECTIONS_KEY, prefix)
        if not kept:  # the vectors were written meanwhile, or must not be kept
            shutil.rmtree(folder / "vectors", ignore_errors=True)
            store.mark_missing([shard.number for shard in store.shards()])
    return same


def _files_of_full_collections(store: ChunkStore, vectors: Path, capacity: int) -> list[Path]:
    """Files that no process writes any more."""
    full = {f"{store.collections_prefix}-{number}" for number in store.full_shards(capacity)}
    found: list[Path] = []
    for place in vectors.iterdir() if vectors.is_dir() else ():
        for name, segment in collection_folders(place).items():
            if name in full:
                found += _files_below(segment)
    return found


def _state(store: ChunkStore, vectors: Path) -> object:
    """Another value after each change of the vectors; None while they are written.

    Before the vectors of a collection are changed, it is marked as dirty.
    """
    version = store.db.execute("PRAGMA data_version").fetchone()
    paths = list(_files_below(vectors))
    if any(shard.dirty for shard in store.shards()) or any(path.name.endswith("-journal") for path in paths):
        return None
    return version, [(path, path.stat().st_ino, FileIdentity.of(path)) for path in paths]


def _files_below(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())


__all__ = ["SeedingCancelled", "seed"]
