"""What is indexed of a tree, in lines for people and agents."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from kexpert.background.database import IndexState, cache_directory
from kexpert.background.lock import WriterLock
from kexpert.index.schema import SymbolStore
from kexpert.search.chunk_store import ChunkStore
from kexpert.workspace.kernel_version import kernel_version


def index_status(root: Path) -> list[str]:
    """The tree, its version, the index, who writes it, and search."""
    directory = cache_directory(root)
    return [
        f"Tree: {root}, Linux {kernel_version(root) or 'of unknown version'}",
        *_symbols(root, directory),
        _search(root, directory),
    ]


def _symbols(root: Path, directory: Path) -> list[str]:
    database = directory / "index.db"
    state = SymbolStore.state_of(database, root)
    if state not in (IndexState.READY, IndexState.PARTIAL):
        return [f"Index: {state.value}; it is being built, answers lack what is not read yet"]
    with contextlib.closing(SymbolStore(database, readonly=True)) as store:
        files = store.db.execute("SELECT count(*) FROM files").fetchone()[0]
    grows = "complete" if state is IndexState.READY else "still growing, answers lack what is not read yet"
    holder = WriterLock(directory / "writer.lock").holder()
    writer = "this process" if holder == os.getpid() else f"process {holder}" if holder else "no process"
    return [f"Index: {files:,} files, {grows}", f"Kept up to date by {writer}"]


def _search(root: Path, directory: Path) -> str:
    database = directory / "search.db"
    if ChunkStore.state_of(database, root) not in (IndexState.READY, IndexState.PARTIAL):
        return "Search by meaning: not indexed yet; vgrep_functions and ask find less"
    try:
        with contextlib.closing(ChunkStore(database, readonly=True)) as store:
            chunks, pending = store.counts()
    except sqlite3.Error as problem:
        return f"Search by meaning: {problem}"
    return f"Search by meaning: {chunks:,} pieces of code and text, {pending:,} of them without a vector"
