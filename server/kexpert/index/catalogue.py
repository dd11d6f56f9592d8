"""What a symbol index holds, as a list: files in order of their paths, and counts."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kexpert.background.tree import FileKind
from kexpert.index.schema import INDEX_VERSION, SymbolStore

_LAST = "\U0010ffff"  # sorts after every path


@dataclass(frozen=True, slots=True)
class IndexedFile:
    """A file in the index; ``kind`` is the lower-case name of its ``FileKind``, ``size`` is in bytes."""

    path: str
    kind: str
    size: int


@dataclass(frozen=True, slots=True)
class Counts:
    """How much a symbol index holds; None where that is not known yet."""

    files: int | None = None
    symbols: int | None = None
    version: int = INDEX_VERSION


class Catalogue:
    """Reads one index. Any thread may use it; each call opens the database for itself."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._counted: tuple[tuple[int, ...], Counts] = (), Counts()
        self._counting = threading.Lock()
        self._listed: tuple[tuple[int, ...], Sequence[str]] = (), ()

    def files(self, after: str = "", limit: int = 100, under: str = "") -> list[IndexedFile]:
        """Up to ``limit`` files whose paths begin with ``under`` and sort after ``after``."""
        with contextlib.suppress(sqlite3.Error), contextlib.closing(self._open()) as store:
            rows = store.db.execute(
                "SELECT path, kind, size FROM files WHERE path >= ? AND path < ? AND path > ? ORDER BY path LIMIT ?",
                (under, under + _LAST, after, limit),
            )
            return [IndexedFile(path, FileKind(kind).name.lower(), size) for path, kind, size in rows]
        return []

    def paths(self) -> Sequence[str]:
        """The paths of all files, kept in memory until the index changes."""
        state = self._state()
        if self._listed[0] != state:
            with contextlib.suppress(sqlite3.Error), contextlib.closing(self._open()) as store:
                self._listed = state, [path for (path,) in store.db.execute("SELECT path FROM files ORDER BY path")]
        return self._listed[1]

    def counts(self) -> Counts:
        """What was counted last. Never waits: to count millions of rows that are not in memory takes seconds, so a
        thread counts again when the index changed."""
        state = self._state()
        if self._counted[0] != state and self._counting.acquire(blocking=False):
            threading.Thread(target=self._count, args=(state,), name="kexpert-count", daemon=True).start()
        return self._counted[1]

    def _count(self, state: tuple[int, ...]) -> None:
        try:
            with contextlib.suppress(sqlite3.Error), contextlib.closing(self._open()) as store:
                self._counted = state, Counts(store.file_count(), store.symbol_count())
        finally:
            self._counting.release()

    def _open(self) -> SymbolStore:
        return SymbolStore(self._database, readonly=True)

    def _state(self) -> tuple[int, ...]:
        """Changes with the database."""
        found: list[int] = []
        for name in (str(self._database), f"{self._database}-wal"):
            with contextlib.suppress(OSError):
                status = os.stat(name)
                found += [status.st_ino, status.st_size, status.st_mtime_ns]
        return tuple(found)
