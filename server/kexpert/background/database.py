"""A database of a tree: one SQLite file, written by one process, read by any number."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from abc import ABC, abstractmethod
from enum import Enum
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote


class IndexState(Enum):
    """State of a database on disk; the value is for messages."""

    MISSING = "there is none yet"
    CORRUPT = "the database is damaged"
    VERSION_MISMATCH = "it was made by another version of kexpert"
    FOREIGN = "it belongs to another tree"
    PARTIAL = "the first indexing has not finished"
    READY = "ready"


def cache_directory(root: Path) -> Path:
    """The folder of a tree's databases, ``$XDG_CACHE_HOME/kexpert/<tree id>``; never in the tree."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    real = os.path.realpath(root)
    digest = hashlib.sha256(os.fsencode(real)).hexdigest()[:12]
    return Path(base) / "kexpert" / f"{Path(real).name}-{digest}"


def discard(database: Path) -> None:
    """Remove a database with its side files. Readers notice by its inode."""
    for suffix in ("", "-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)


def is_on_readonly_volume(path: Path) -> bool:
    """True if no process here can write a database: SQLite then cannot make the files that readers share, and needs
    none."""
    return not os.access(path.parent, os.W_OK) and not path.with_name(path.name + "-wal").exists()


class Database(ABC):
    """One connection. Not shared between threads.

    The table ``meta`` holds the tree's root, the version that made the database, and whether it is complete.
    """

    #: Statements that create the tables, ``meta`` among them, each ended by ``;`` and a line break.
    schema: ClassVar[str]
    #: Tables that must be readable; otherwise the database counts as damaged.
    tables: ClassVar[tuple[str, ...]]

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self.path = path
        self.readonly = readonly
        if not readonly:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        address = f"file:{quote(str(path.absolute()))}?mode={'ro' if readonly else 'rwc'}"
        if readonly and is_on_readonly_volume(path):
            address += "&immutable=1"
        timeout = 30 if readonly else 120
        self.db = sqlite3.connect(address, uri=True, isolation_level=None, timeout=timeout, check_same_thread=False)
        try:
            if not readonly:
                self.db.execute("PRAGMA journal_mode = WAL")
                self.db.execute("PRAGMA synchronous = OFF")  # a torn database is detected and rebuilt
                self.db.execute("PRAGMA wal_autocheckpoint = 16384")
                self.db.execute("PRAGMA journal_size_limit = 67108864")
                self.db.execute("PRAGMA secure_delete = OFF")
        except sqlite3.Error:
            self.db.close()
            raise

    @classmethod
    @abstractmethod
    def version(cls) -> str:
        """The version that must have made a database for it to be used."""

    def close(self) -> None:
        self.db.close()

    def create(self, root: Path) -> None:
        """Create the tables of an empty database."""
        self.db.execute("BEGIN IMMEDIATE")
        self.execute_each(self.schema)
        self.set_meta("root", os.path.realpath(root))
        self.set_meta("version", self.version())
        self.set_meta("complete", "0")
        self.db.execute("COMMIT")

    def execute_each(self, statements: str) -> None:
        """Execute statements inside a transaction (``executescript`` would commit it)."""
        for statement in statements.split(";\n"):
            if statement.strip():
                self.db.execute(statement)

    def meta(self, key: str) -> str | None:
        row = self.db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def set_meta(self, key: str, value: str) -> None:
        self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    @property
    def complete(self) -> bool:
        """True if the whole tree has been read once."""
        return self.meta("complete") == "1"

    @classmethod
    def state_of(cls, path: Path, root: Path) -> IndexState:
        """The state of the database at ``path`` as that of the tree ``root``. Changes nothing."""
        if not path.exists():
            return IndexState.MISSING
        try:
            with contextlib.closing(cls(path, readonly=True)) as found:
                return found._state(root)
        except sqlite3.Error:
            return IndexState.CORRUPT

    def _state(self, root: Path) -> IndexState:
        try:
            if self.meta("version") != self.version():
                return IndexState.VERSION_MISMATCH
            if self.meta("root") != os.path.realpath(root):
                return IndexState.FOREIGN
            for table in self.tables:
                self.db.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()
            return IndexState.READY if self.complete else IndexState.PARTIAL
        except sqlite3.Error as error:
            # a database that another process is creating this moment has no tables yet
            empty = "no such table" in str(error) and self.path.stat().st_size <= 4096
            return IndexState.MISSING if empty else IndexState.CORRUPT
