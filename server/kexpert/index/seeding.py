"""Begin the symbol index of a tree with that of a similar one: a second worktree is indexed in seconds."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path

from kexpert.background.database import IndexState, discard
from kexpert.background.progress import OnProgress, ignore_progress
from kexpert.background.seeding import (
    SeedingCancelled,
    adopt,
    copy_and_compare,
    database_files,
    temporary_folder,
    unchanging,
)
from kexpert.background.similar_tree import MIN_FILES, find_similar_tree
from kexpert.background.tree import scan
from kexpert.core.paths import PathPatterns
from kexpert.index.schema import SymbolStore


def seed(
    root: Path,
    database: Path,
    *,
    exclude: Iterable[str] = (),
    on_progress: OnProgress = ignore_progress,
    cancelled: Callable[[], bool] = lambda: False,
    min_files: int = MIN_FILES,
) -> str | None:
    """Fill ``database``, if it is of no use as it is, from a similar tree, if there is one. The caller holds the writer
    lock and updates the database afterwards.

    Returns a line for the user if a similar tree was found. Raises SeedingCancelled; ``database`` is then as it was.
    """
    if SymbolStore.state_of(database, root) in (IndexState.READY, IndexState.PARTIAL):
        return None
    sizes = {file.path: file.size for file in scan(root, PathPatterns(exclude))}
    similar = find_similar_tree(root, sizes, SymbolStore, database.name, min_files) if len(sizes) >= min_files else None
    if similar is None:
        return None
    source = similar.directory / database.name
    try:
        with temporary_folder(database.parent) as folder:
            with contextlib.closing(SymbolStore(source, readonly=True)) as theirs, unchanging(theirs.db):
                files = list(database_files(source, folder))
                same = copy_and_compare(root, similar, files, on_progress, cancelled)
            with contextlib.closing(SymbolStore(folder / database.name)) as store:
                adopt(store, root, same)
            discard(database)
            os.replace(folder / database.name, database)
    except (OSError, sqlite3.Error) as error:
        return f"{root}: cannot begin with the index of {similar.root} ({error}); all files are read"
    return f"{root}: begins with the index of {similar.root}: {len(same):,} of {len(sizes):,} files are the same"


__all__ = ["SeedingCancelled", "seed"]
