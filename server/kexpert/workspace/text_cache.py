"""What took long to find out, such as what a model wrote, kept in the tree's cache: a text by a key."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import threading
import time
from pathlib import Path
from urllib.parse import quote

from kexpert.background.database import discard
from kexpert.core.text import encode

FILE_NAME = "written.db"
#: Of the table. A database of another version is made anew.
_VERSION = 1
_MAX_TEXTS = 50_000
_REMOVED_AT_ONCE = 5_000
_PUTS_BETWEEN_COUNTS = 100
_MAX_IN_MEMORY = 4_096
_TIMEOUT_SECONDS = 0.5  # for another process that writes


def key_of(*parts: str) -> str:
    """A key of fixed length."""
    return hashlib.sha256(b"\0".join(map(encode, parts))).hexdigest()


class TextCache:
    """Texts by key. Any thread may use it; several processes may share the file.

    What cannot be read or written is not there: a damaged file is made anew, a folder that cannot be written leaves the
    texts of this process in memory.
    """

    def __init__(
        self,
        folder: Path | None,
        file_name: str = FILE_NAME,
        max_texts: int = _MAX_TEXTS,
        max_in_memory: int = _MAX_IN_MEMORY,
    ) -> None:
        """``folder``: the tree's cache; None to keep nothing on disk."""
        self._folder = folder
        self._file_name = file_name
        self._max_texts = max_texts
        self._max_in_memory = max_in_memory
        self._puts = 0
        self._lock = threading.Lock()
        self._known: dict[str, str] = {}
        self._db: sqlite3.Connection | None = None
        self._is_opened = folder is None

    def get(self, key: str) -> str | None:
        """The text of a key; None if there is none."""
        with self._lock:
            known = self._known.get(key)
            if known is None and (db := self._opened()) is not None:
                with contextlib.suppress(sqlite3.Error):
                    row = db.execute("SELECT text FROM written WHERE key = ?", (key,)).fetchone()
                    if row is not None and isinstance(row[0], str):
                        known = row[0]
                        self._remember(key, known)
            return known

    def put(self, key: str, text: str) -> None:
        with self._lock:
            self._remember(key, text)
            db = self._opened()
            if db is None:
                return
            with contextlib.suppress(sqlite3.Error):
                db.execute("INSERT OR REPLACE INTO written VALUES (?, ?, ?)", (key, text, int(time.time())))
                self._puts += 1
                if self._puts % _PUTS_BETWEEN_COUNTS:
                    return
                (count,) = db.execute("SELECT count(*) FROM written").fetchone()
                if count > self._max_texts:
                    oldest = "SELECT key FROM written ORDER BY written_at LIMIT ?"
                    db.execute(f"DELETE FROM written WHERE key IN ({oldest})", (_REMOVED_AT_ONCE,))

    def close(self) -> None:
        with self._lock:
            if self._db is not None:
                self._db.close()
            self._db, self._is_opened = None, True

    def __del__(self) -> None:
        self.close()

    def _remember(self, key: str, text: str) -> None:
        self._known[key] = text
        if len(self._known) > self._max_in_memory:
            del self._known[next(iter(self._known))]

    def _opened(self) -> sqlite3.Connection | None:
        if not self._is_opened and self._folder is not None:
            self._is_opened = True
            path = self._folder / self._file_name
            for _ in range(2):
                try:
                    self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                    self._db = _open(path)
                    break
                except sqlite3.OperationalError:
                    break  # locked, or not to be written
                except sqlite3.DatabaseError:
                    with contextlib.suppress(OSError):
                        discard(path)
                except OSError:
                    break
        return self._db


def _open(path: Path) -> sqlite3.Connection:
    """Raises sqlite3.Error for a file that is damaged, of another version or cannot be written."""
    address = f"file:{quote(str(path.absolute()))}?mode=rwc"
    db = sqlite3.connect(address, uri=True, isolation_level=None, timeout=_TIMEOUT_SECONDS, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = OFF")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version not in (0, _VERSION):
            raise sqlite3.DatabaseError("of another version")
        db.execute("CREATE TABLE IF NOT EXISTS written (key TEXT PRIMARY KEY, text TEXT, written_at INT) WITHOUT ROWID")
        db.execute(f"PRAGMA user_version = {_VERSION}")
        db.execute("SELECT key, text, written_at FROM written LIMIT 1").fetchone()
    except sqlite3.Error:
        db.close()
        raise
    return db

