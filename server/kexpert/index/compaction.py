"""Compaction: remove what the symbol index still holds of superseded files."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

from kexpert.background.tree import FileKind, read
from kexpert.core.c.extract import extract
from kexpert.core.c.lex import blank_comments
from kexpert.core.c.word_scan import identifiers
from kexpert.index.schema import FILE_SHIFT, WORDS_TABLE, SymbolStore

_FILES_PER_STEP = 400


def compact(root: Path, database: Path, interrupted: Callable[[], bool]) -> bool:
    """Rebuild the word lists from the live files and drop dead callers. Returns whether it finished.

    Builds a second table step by step and swaps at the end, so readers never miss it. When interrupted
    it gives up; call it again later.
    """
    with contextlib.closing(SymbolStore(database)) as store:
        db = store.db
        db.execute("DROP TABLE IF EXISTS fresh_words")
        db.execute(WORDS_TABLE.format(name="fresh_words"))
        last = 0
        while True:
            if interrupted():
                return False
            files = db.execute(
                "SELECT id, path, kind FROM files WHERE id > ? ORDER BY id LIMIT ?", (last, _FILES_PER_STEP)
            ).fetchall()
            if not files:
                break
            rows = []
            for file_id, path, kind in files:
                data = read(root, path)
                if data is None:
                    continue
                if kind in (FileKind.C, FileKind.HEADER):
                    words = identifiers(blank_comments(data)) - _defined_names(db, file_id, path, data)
                else:
                    words = identifiers(data)
                rows.append((file_id, b" ".join(words).decode("latin-1")))
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT INTO fresh_words (rowid, word) VALUES (?, ?)", rows)
            db.execute("COMMIT")
            last = files[-1][0]
        db.execute("BEGIN IMMEDIATE")
        db.execute("DROP TABLE words")
        db.execute("ALTER TABLE fresh_words RENAME TO words")
        db.execute(f"DELETE FROM calls WHERE caller >> {FILE_SHIFT} IN (SELECT id FROM dead)")
        db.execute(f"DELETE FROM registers WHERE id >> {FILE_SHIFT} IN (SELECT id FROM dead)")
        highest = db.execute("SELECT coalesce(max(id), 0) FROM dead").fetchone()[0]
        db.execute("DELETE FROM dead WHERE id < ?", (highest,))  # the highest stays, so that no id is used twice
        db.execute("COMMIT")
        return True


def _defined_names(db: sqlite3.Connection, file_id: int, path: str, data: bytes) -> set[bytes]:
    """The names that a file defines, as stored."""
    first, last = file_id << FILE_SHIFT, (file_id + 1) << FILE_SHIFT
    names = {row[0].encode() for row in db.execute("SELECT name FROM symbols WHERE id >= ? AND id < ?", (first, last))}
    return names or {symbol.name.encode() for symbol in extract(path, data).symbols}
