"""The symbol index on disk: one SQLite database a tree, written by one process, read by any number.

A row's id holds the id of its file (``id >> FILE_SHIFT``), so a file's rows are one range of a table and need no
column. A changed file gets a new id. Rows of the old id in tables without such a range (words, callers) are passed
over by id until the database is compacted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import NamedTuple

from kexpert.background.database import Database
from kexpert.background.file_identity import FileIdentity
from kexpert.background.tree import FileKind, TreeFile
from kexpert.core.symbols import FileFacts, Kind, Symbol

#: Bump when what is stored changes: older databases are rebuilt.
#: 1: first layout.
#: 2: the macros of register headers in a table of their own.
#: 3: no symbols of dead ``#if`` branches; the names that macros of the same file make.
#: 4: the names that macros of other files make.
#: 5: types in records without a tag inside functions; declarations whose heads hold macros with arguments.
#: 6: enumerators and members that list macros make; heads with more annotations that no vocabulary knows.
#: 7: macros of assembly in headers; functions that __ATTR_RO(x) takes, whose name is a macro too; boards of arm.
INDEX_VERSION = 7

FILE_SHIFT = 20
"""A symbol's id is its file's id shifted by this, plus its ordinal in the file."""
#: The ordinals from here on are of names that macros of other files make, see ``made_by_macros``.
MADE_ROWS = 1 << 19
_MAX_ROWS_OF_FILE = MADE_ROWS

#: Which files hold a word. Case is folded, so readers check the text again.
WORDS_TABLE = """CREATE VIRTUAL TABLE {name} USING fts5(word, content='', detail=none,
    tokenize="unicode61 remove_diacritics 0 tokenchars '_'")"""

_SCHEMA = (
    WORDS_TABLE.format(name="words")
    + """;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE files (id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, size INTEGER, mtime_ns INTEGER, kind INTEGER);
CREATE TABLE dead (id INTEGER PRIMARY KEY);
CREATE TABLE symbols (id INTEGER PRIMARY KEY, name TEXT, kind INTEGER, flags INTEGER, line INTEGER,
                      at INTEGER, start INTEGER, end INTEGER, scope TEXT);
CREATE INDEX symbols_by_name ON symbols (name);
-- the macros of register headers, five of seven million names: sorted by name, no other index
CREATE TABLE registers (name TEXT, id INTEGER, flags INTEGER, line INTEGER, at INTEGER, start INTEGER, end INTEGER,
                        PRIMARY KEY (name, id)) WITHOUT ROWID;
CREATE TABLE assignments (id INTEGER PRIMARY KEY, struct TEXT, member TEXT, function TEXT, tbl TEXT, at INTEGER,
                          line INTEGER);
CREATE INDEX assignments_by_function ON assignments (function);
CREATE INDEX assignments_by_member ON assignments (member);
CREATE TABLE calls (callee TEXT, caller INTEGER);
-- calls at file level of macros of other files; the files whose calls are to be expanded; which macros needed which
CREATE TABLE open_calls (id INTEGER PRIMARY KEY, macro TEXT, prefix TEXT, arguments TEXT, start INTEGER, end INTEGER,
                         line INTEGER, opening INTEGER, written TEXT);
CREATE TABLE unexpanded (file INTEGER PRIMARY KEY);
CREATE TABLE expansions (used TEXT, macro TEXT, PRIMARY KEY (used, macro)) WITHOUT ROWID;
-- the parts of names: kmem_cache_alloc is kmem, cache, alloc
CREATE VIRTUAL TABLE subwords USING fts5(name, content='', detail=none, prefix='2 3',
                                         tokenize="unicode61 remove_diacritics 0");
"""
)

#: Created when the first indexing is done: sorting once costs a third of keeping it sorted.
_LATE_SCHEMA = """
CREATE INDEX IF NOT EXISTS calls_by_callee ON calls (callee, caller);
CREATE INDEX IF NOT EXISTS open_calls_by_macro ON open_calls (macro);
CREATE TABLE IF NOT EXISTS popular (name TEXT PRIMARY KEY, callers INTEGER) WITHOUT ROWID;
INSERT OR REPLACE INTO popular SELECT callee, count(*) FROM calls GROUP BY callee HAVING count(*) >= 8;
"""

#: Kinds whose names are found by a part of them.
_BY_SUBWORD = frozenset(
    {Kind.FUNCTION, Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.TYPEDEF, Kind.MACRO, Kind.VARIABLE, Kind.SYSCALL,
     Kind.TRACEPOINT, Kind.CONFIG, Kind.ASM_LABEL}
)  # fmt: skip
#: Marks the files whose calls may expand to something else, now that these macros changed.
_USERS_OF_MACROS = f"""
INSERT OR IGNORE INTO unexpanded SELECT DISTINCT id >> {FILE_SHIFT} FROM open_calls WHERE macro IN
    (SELECT value FROM json_each(?1) UNION SELECT macro FROM expansions WHERE used IN (SELECT value FROM json_each(?1)))
"""
_SUBWORD_KINDS = ",".join(str(int(kind)) for kind in sorted(_BY_SUBWORD))


def _is_register_table(symbols: Sequence[Symbol]) -> bool:
    """True if a file is a register header: hundreds of macros and nothing else.

    There are millions of registers, and nobody looks for one by a part of its name."""
    return len(symbols) > 400 and all(symbol[1] is Kind.MACRO for symbol in symbols)


class IndexWriteError(Exception):
    """The database cannot be written (a full disk, no rights); the message says what and where."""


class StoredFile(NamedTuple):
    """A file in the index, with its size and mtime when it was read. Flat, because a query reads thousands."""

    id: int
    size: int
    mtime_ns: int

    @property
    def identity(self) -> FileIdentity:
        return FileIdentity(self.size, self.mtime_ns)


class SymbolStore(Database):
    """One connection to a tree's symbol index. Not shared between threads."""

    schema = _SCHEMA
    tables = ("symbols", "files")

    @classmethod
    def version(cls) -> str:
        return str(INDEX_VERSION)

    def finish(self) -> None:
        """Mark the index as complete; create what needs all files: the index of callers, the popular names."""
        self.db.execute("PRAGMA cache_size = -200000")
        self.db.execute("BEGIN IMMEDIATE")
        self.execute_each(_LATE_SCHEMA)
        self.set_meta("complete", "1")
        self.db.execute("COMMIT")
        self.db.execute("PRAGMA cache_size = -16000")
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    # -- files ----------------------------------------------------------------------------------

    def files(self, under: str = "") -> dict[str, StoredFile]:
        """Every file by path, or those below the folder ``under`` ("net/")."""
        rows = self.db.execute(
            "SELECT path, id, size, mtime_ns FROM files WHERE path >= ? AND path < ?", (under, under + "\U0010ffff")
        )
        return {row[0]: StoredFile._make(row[1:]) for row in rows}

    def file(self, path: str) -> StoredFile | None:
        row = self.db.execute("SELECT id, size, mtime_ns FROM files WHERE path = ?", (path,)).fetchone()
        return StoredFile._make(row) if row else None

    def next_id(self) -> int:
        """The lowest file id above all that were ever used."""
        row = self.db.execute(
            "SELECT max(coalesce((SELECT max(id) FROM files), 0), coalesce((SELECT max(id) FROM dead), 0)) + 1"
        ).fetchone()
        return int(row[0])

    def write(self, batch: Sequence[tuple[int, TreeFile, FileFacts]], gone: Iterable[str] = ()) -> None:
        """Replace the rows of some files (with their new ids) and drop those of others, all or nothing."""
        db = self.db
        db.execute("BEGIN IMMEDIATE")
        try:
            complete = self.complete
            changed: set[str] = set()
            for path in gone:
                changed |= self._macros_of(path) if complete else set()
                self._drop(path)
            symbols: list[tuple[object, ...]] = []
            registers: list[tuple[object, ...]] = []
            for file_id, file, facts in batch:
                if complete:
                    changed |= self._macros_of(file.path) | {s.name for s in facts.symbols if s.kind is Kind.MACRO}
                if self._drop(file.path, unless_id=file_id):
                    continue
                base = file_id << FILE_SHIFT
                rows = enumerate(facts.symbols[:_MAX_ROWS_OF_FILE], base)
                in_table = _is_register_table(facts.symbols)
                self._insert(file_id, file, facts, in_table)
                if in_table:
                    registers += [
                        (name, row, flags, line, at, start, end)
                        for row, (name, _, _, line, at, start, end, _, flags) in rows
                    ]
                else:
                    symbols += [
                        (name, row, kind, flags, line, at, start, end, scope or None)
                        for row, (name, kind, _, line, at, start, end, scope, flags) in rows
                    ]
            registers.sort(key=itemgetter(0))  # the order of the table: each page is visited once
            db.executemany(
                "INSERT INTO symbols (name, id, kind, flags, line, at, start, end, scope)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                symbols,
            )
            db.executemany("INSERT INTO registers VALUES (?, ?, ?, ?, ?, ?, ?)", registers)
            if changed:
                db.execute(_USERS_OF_MACROS, (json.dumps(list(changed)),))
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    def _drop(self, path: str, unless_id: int = -1) -> bool:
        """Drop a file's rows; True if they have the id ``unless_id``, by a worker that died after its commit."""
        row = self.db.execute("SELECT id FROM files WHERE path = ?", (path,)).fetchone()
        if row is None or row[0] == unless_id:
            return row is not None
        first, last = row[0] << FILE_SHIFT, (row[0] + 1) << FILE_SHIFT
        # (rows in ``registers`` have no live file any more and are passed over until the database is compacted)
        self.delete_symbols(first, last)
        self.db.execute("DELETE FROM assignments WHERE id >= ? AND id < ?", (first, last))
        self.db.execute("DELETE FROM open_calls WHERE id >= ? AND id < ?", (first, last))
        self.db.execute("DELETE FROM unexpanded WHERE file = ?", row)
        self.db.execute("DELETE FROM files WHERE id = ?", row)
        self.db.execute("INSERT INTO dead VALUES (?)", row)
        return False

    def _macros_of(self, path: str) -> set[str]:
        """The macros that a file defines, as stored."""
        rows = self.db.execute(
            f"SELECT s.name FROM files f JOIN symbols s ON s.id >= f.id << {FILE_SHIFT}"
            f" AND s.id < (f.id + 1) << {FILE_SHIFT} WHERE f.path = ? AND s.kind = {Kind.MACRO:d}",
            (path,),
        )
        return {row[0] for row in rows}

    def _insert(self, file_id: int, file: TreeFile, facts: FileFacts, in_table: bool) -> None:
        """Insert all of a file except its symbols."""
        db = self.db
        base = file_id << FILE_SHIFT
        db.execute(
            "INSERT INTO files VALUES (?, ?, ?, ?, ?)", (file_id, file.path, *file.identity, int(file.kind))
        )
        if facts.assignments:
            db.executemany(
                "INSERT INTO assignments VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (base + i, a.struct, a.member, a.function, a.table, a.start, a.line)
                    for i, a in enumerate(facts.assignments[:_MAX_ROWS_OF_FILE])
                ],
            )
        if facts.calls:
            db.executemany(
                "INSERT INTO calls VALUES (?, ?)",
                [(callee, base + caller) for caller, callee in facts.calls if caller < _MAX_ROWS_OF_FILE],
            )
        if facts.open_calls:
            db.executemany(
                "INSERT INTO open_calls VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (base + i, c.macro, c.prefix, c.arguments, c.start, c.end, c.line, c.opening, c.written)
                    for i, c in enumerate(facts.open_calls)
                ],
            )
            db.execute("INSERT OR IGNORE INTO unexpanded VALUES (?)", (file_id,))
        # Readers also look in ``symbols``, so names that a file defines are left out here.
        words = facts.identifiers
        if file.kind in (FileKind.C, FileKind.HEADER):
            words = words.difference([s.name.encode() for s in facts.symbols[:_MAX_ROWS_OF_FILE]])
        if words:
            db.execute("INSERT INTO words (rowid, word) VALUES (?, ?)", (file_id, b" ".join(words).decode("latin-1")))
        if not in_table:
            self.insert_subwords(base, facts.symbols[:_MAX_ROWS_OF_FILE])

    def insert_subwords(self, first: int, symbols: Sequence[Symbol]) -> None:
        """Make symbols, whose ids ascend from ``first``, known by the parts of their names."""
        self.db.executemany(
            "INSERT INTO subwords (rowid, name) VALUES (?, ?)",
            [(first + i, s.name) for i, s in enumerate(symbols) if s.kind in _BY_SUBWORD],
        )

    def delete_symbols(self, first: int, last: int) -> None:
        """Delete the symbols with ids from ``first`` to before ``last``."""
        self.db.execute(
            "INSERT INTO subwords (subwords, rowid, name) SELECT 'delete', id, name FROM symbols"
            f" WHERE id >= ? AND id < ? AND kind IN ({_SUBWORD_KINDS})",
            (first, last),
        )
        self.db.execute("DELETE FROM symbols WHERE id >= ? AND id < ?", (first, last))

    def file_count(self) -> int:
        return int(self.db.execute("SELECT count(*) FROM files").fetchone()[0])

    def symbol_count(self) -> int:
        """The number of all rows, including a few of superseded register headers."""
        counts = "SELECT (SELECT count(*) FROM symbols) + (SELECT count(*) FROM registers)"
        return int(self.db.execute(counts).fetchone()[0])

    # -- compaction -----------------------------------------------------------------------------

    def dead_share(self) -> float:
        """The share of files in ``words`` and ``calls`` that are superseded, 0 to 1."""
        row = self.db.execute("SELECT (SELECT count(*) FROM dead), (SELECT count(*) FROM files)").fetchone()
        dead, live = int(row[0]), int(row[1])
        return dead / max(dead + live, 1)
