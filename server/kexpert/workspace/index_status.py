"""What is indexed of a tree, in lines for people and agents."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from pathlib import Path

from kexpert.background.database import IndexState, cache_directory
from kexpert.background.lock import WriterLock
from kexpert.background.tree import read
from kexpert.index.schema import SymbolStore
from kexpert.search.chunk_store import ChunkStore

_VERSION = re.compile(rb"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION)[ \t]*=[ \t]*(\S*)", re.M)
_MAX_MAKEFILE_BYTES = 4096


def index_status(root: Path) -> list[str]:
    """The tree, its version, the index, who writes it, and search."""
    directory = cache_directory(root)
    return [
        f"Tree: {root}, Linux {kernel_version(root) or 'of unknown version'}",
        *_symbols(root, directory),
        _search(root, directory),
    ]


def kernel_version(root: Path) -> str:
    """``6.1.0`` from the Makefile at the top; "" if it does not say."""
    head = (read(root, "Makefile") or b"")[:_MAX_MAKEFILE_BYTES]
    found: dict[str, str] = {key.decode(): value.decode("utf-8", "replace") for key, value in _VERSION.findall(head)}
    extra: str = found.get("EXTRAVERSION", "")
    numbers = [found[key] for key in ("VERSION", "PATCHLEVEL", "SUBLEVEL") if found.get(key)]
    return ".".join(numbers) + extra


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
