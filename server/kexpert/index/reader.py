"""Reading a symbol index from any thread, while another process may be writing it."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from kexpert.background.file_identity import FileIdentity
from kexpert.background.tree import FileKind, examine, read
from kexpert.core.c.source import Source
from kexpert.core.symbols import Flag, Kind, Symbol
from kexpert.core.text import IDENTIFIER
from kexpert.index.builder import facts_of
from kexpert.index.made_in_buffers import BufferExpansions
from kexpert.index.position_codec import CommonWord
from kexpert.index.schema import FILE_SHIFT, StoredFile, SymbolStore

#: The fields of a Symbol in their order, then the identity of its file when it was indexed.
_SYMBOL = "s.name, s.kind, f.path, s.line, s.at, s.start, s.end, coalesce(s.scope, ''), s.flags, f.size, f.mtime_ns"
_FILE = "f.path, f.id, f.size, f.mtime_ns"
_FROM = f"FROM symbols s JOIN files f ON f.id = s.id >> {FILE_SHIFT}"
_REGISTER = f"r.name, {int(Kind.MACRO)}, f.path, r.line, r.at, r.start, r.end, '', r.flags, f.size, f.mtime_ns"
_FROM_REGISTERS = f"FROM registers r JOIN files f ON f.id = r.id >> {FILE_SHIFT}"
#: Bytes of text kept in memory; parsed, it takes about ten times as much.
_MAX_CACHED_BYTES = 8 << 20
#: A name further from the start of its line gets no column without reading the file.
_MAX_COLUMN_BYTES = 2048
#: Cached answers, and the rows of the longest.
_MAX_CACHED_ANSWERS = 2000
_MAX_CACHED_ROWS = 40

_KINDS = {int(kind): kind for kind in Kind}
_flags = lru_cache(maxsize=None)(Flag)  # an enum's own look-up costs as much as the rest of a row


#: The columns of ``_SYMBOL``.
SymbolRow = tuple[Any, ...]


class StoredSymbol(NamedTuple):
    """A symbol as stored, with its file's identity when it was indexed."""

    symbol: Symbol
    identity: FileIdentity


class IndexReader:
    """Rows of the symbol index, and files of the tree through a small cache. Safe from any thread."""

    def __init__(
        self,
        root: Path,
        database: Path,
        on_damage: Callable[[], None] = lambda: None,
        on_removed: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_damage = on_damage
        self._on_removed = on_removed
        self.root = root
        self.database = database
        self._local = threading.local()
        self._lock = threading.Lock()
        self._open: list[SymbolStore] = []
        self._generation = 0
        self._inode = 0
        self._sources: OrderedDict[str, tuple[FileIdentity, Source]] = OrderedDict()
        self._cached_bytes = 0
        self._headers_digest: tuple[Hashable, str] | None = None
        self._expansions = BufferExpansions(root, self._rows)

    # -- connections ----------------------------------------------------------------------------

    def refresh(self) -> None:
        """Notice that the database was replaced by a new file, or removed. Called before each view is made."""
        try:
            inode = os.stat(self.database).st_ino
        except OSError:
            inode = 0
        if inode != self._inode:
            with self._lock:
                was_there = self._inode != 0
                self._inode = inode
                self._generation += 1
            if was_there and not inode:
                self._on_removed()

    def close(self) -> None:
        with self._lock:
            self._generation += 1
            for store in self._open:
                store.close()
            self._open.clear()

    def _rows(self, sql: str, parameters: Iterable[Any] = ()) -> list[Any]:
        """Rows of a query; none if there is no database (yet, or any more)."""
        try:
            return self._connection().execute(sql, tuple(parameters)).fetchall()
        except sqlite3.OperationalError:
            return []
        except sqlite3.DatabaseError:
            self._on_damage()
            return []

    def _connection(self) -> sqlite3.Connection:
        held = getattr(self._local, "store", None)
        if held is None or held[0] != self._generation:
            store = SymbolStore(self.database, readonly=True)
            store.db.execute("PRAGMA cache_size = -12000")
            with self._lock:
                self._open.append(store)
                if held is not None and held[1] in self._open:
                    self._open.remove(held[1])
            if held is not None:
                held[1].close()
            self._local.store = held = (self._generation, store)
        return held[1].db

    def _cached_answers(self) -> dict[Any, list[StoredSymbol]]:
        """Answers to this thread since the database changed last."""
        version = (self._generation, self._rows("PRAGMA data_version"))
        held = getattr(self._local, "answers", None)
        if held is None or held[0] != version or len(held[1]) >= _MAX_CACHED_ANSWERS:
            self._local.answers = held = (version, {})
        answers: dict[Any, list[StoredSymbol]] = held[1]
        return answers

    @property
    def complete(self) -> bool:
        rows = self._rows("SELECT value FROM meta WHERE key = 'complete'")
        return bool(rows) and rows[0][0] == "1"

    # -- symbols --------------------------------------------------------------------------------

    def named(self, name: str, kinds: Collection[Kind], limit: int) -> list[StoredSymbol]:
        """Symbols of a name. Short answers are cached until the database changes, because the same names are looked
        up again and again."""
        cached, key = self._cached_answers(), (name, tuple(kinds), limit)
        found = cached.get(key)
        if found is None:
            found = self._named(name, kinds, limit)
            if 0 < len(found) <= _MAX_CACHED_ROWS:  # none may mean that the database cannot be read at this moment
                cached[key] = found
        return list(found)

    def _named(self, name: str, kinds: Collection[Kind], limit: int) -> list[StoredSymbol]:
        found = self._symbols(f"{_FROM} WHERE s.name = ? {_of_kind(kinds)} LIMIT ?", (name, limit))
        if not kinds or Kind.MACRO in kinds:
            found += self._registers("WHERE r.name = ? LIMIT ?", (name, limit - len(found)))
        return found

    def members(self, owner: str, name: str) -> list[StoredSymbol]:
        """The members ``name`` whose scope is ``owner``; thousands of structs may have one of that name."""
        return self._symbols(
            f"{_FROM} WHERE s.name = ? AND s.scope = ? AND s.kind = {Kind.MEMBER:d} LIMIT 200", (name, owner)
        )

    def named_any(self, names: Sequence[str], max_each: int) -> list[SymbolRow]:
        """Rows of some names, at most ``max_each`` of each (on average, for names in register headers)."""
        wanted = json.dumps(list(names))
        found = self._rows(
            f"SELECT {_SYMBOL} FROM json_each(?) n"
            " JOIN symbols s ON s.id IN (SELECT id FROM symbols WHERE name = n.value LIMIT ?)"
            f" JOIN files f ON f.id = s.id >> {FILE_SHIFT}",
            (wanted, max_each),
        )
        return found + self._rows(
            f"SELECT {_REGISTER} FROM json_each(?) n JOIN registers r ON r.name = n.value"
            f" JOIN files f ON f.id = r.id >> {FILE_SHIFT} LIMIT ?",
            (wanted, len(names) * max_each),
        )

    def has_many(self, prefix: str, limit: int) -> bool:
        """True if at least ``limit`` symbols begin with ``prefix``."""
        counted = "SELECT count(*) FROM (SELECT 1 FROM symbols WHERE name >= ? AND name < ? LIMIT ?)"
        rows = self._rows(counted, (prefix, _after(prefix), limit))
        return bool(rows) and rows[0][0] >= limit

    def names_from(self, prefix: str, limit: int) -> list[str]:
        """The first names that begin with ``prefix``, register headers left out."""
        distinct = "SELECT DISTINCT name FROM symbols WHERE name >= ? AND name < ? LIMIT ?"
        return [row[0] for row in self._rows(distinct, (prefix, _after(prefix), limit))]

    def starting_with(self, prefix: str, limit: int, kinds: Collection[Kind] = ()) -> list[SymbolRow]:
        found = self._rows(
            f"SELECT {_SYMBOL} {_FROM} WHERE s.name >= ? AND s.name < ? {_of_kind(kinds)} LIMIT ?",
            (prefix, _after(prefix), limit),
        )
        if len(found) < limit and (not kinds or Kind.MACRO in kinds):
            in_range = "name >= ? AND name < ? LIMIT ?"
            rest = (prefix, _after(prefix), limit - len(found))
            found += self._rows(f"SELECT {_REGISTER} {_FROM_REGISTERS} WHERE r.{in_range}", rest)
        return found

    def in_file(self, path: str) -> list[StoredSymbol]:
        """The symbols of one file in order; none for a register header."""
        return self._symbols(
            f"FROM files f JOIN symbols s ON s.id >= f.id << {FILE_SHIFT} AND s.id < (f.id + 1) << {FILE_SHIFT}"
            " WHERE f.path = ? ORDER BY s.at, s.id",
            (path,),
        )

    def made_in(self, source: Source) -> list[Symbol]:
        """The names that macros of other files make in a text that is not indexed."""
        newest = self._rows("SELECT max(id) FROM files")
        return self._expansions.symbols(source, (self._generation, newest))

    def kinds_of(self, names: Collection[str]) -> dict[str, dict[Kind, Flag]]:
        """For each stored name its kinds with the flags that any symbol of that kind has."""
        found: dict[str, dict[Kind, Flag]] = {}
        wanted = list(names)
        for start in range(0, len(wanted), 500):
            part = wanted[start : start + 500]
            marks = ",".join("?" * len(part))
            for name, kind, flags in self._rows(
                f"SELECT DISTINCT name, kind, flags FROM symbols WHERE name IN ({marks})", part
            ):
                kinds = found.setdefault(name, {})
                kinds[_KINDS[kind]] = kinds.get(_KINDS[kind], Flag(0)) | Flag(flags)
            for name, flags in self._rows(f"SELECT DISTINCT name, flags FROM registers WHERE name IN ({marks})", part):
                kinds = found.setdefault(name, {})
                kinds[Kind.MACRO] = kinds.get(Kind.MACRO, Flag(0)) | Flag(flags)
        return found

    def with_subwords(self, words: Iterable[str], limit: int) -> list[StoredSymbol]:
        """Symbols in whose name each word begins a part, shortest names first. Words of one or two letters are
        ignored: they begin too many parts."""
        parts = [word for word in words if len(word) > 2 and word.isalnum()]
        if not parts:
            return []
        match = " AND ".join(f'"{part}"*' for part in parts)
        return self._symbols(
            f"FROM (SELECT rowid FROM subwords WHERE subwords MATCH ? LIMIT 1500) w"
            f" JOIN symbols s ON s.id = w.rowid JOIN files f ON f.id = s.id >> {FILE_SHIFT}"
            " ORDER BY length(s.name) LIMIT ?",
            (match, limit),
        )

    def matching(self, pattern: str, first: str, limit: int) -> list[str]:
        """Names that begin with the letter ``first`` and match a GLOB, those with many callers first."""
        popular = self._rows(
            "SELECT name FROM popular WHERE name GLOB ? ORDER BY callers DESC LIMIT ?", (pattern, limit)
        )
        if len(popular) >= limit // 4:
            return [row[0] for row in popular]
        rows = self._rows(
            "SELECT DISTINCT name FROM (SELECT name FROM symbols WHERE name >= ? AND name < ? LIMIT 400000)"
            " WHERE name GLOB ? LIMIT ?",
            (first, _after(first), pattern, limit),
        )
        return list(dict.fromkeys([row[0] for row in popular] + [row[0] for row in rows]))

    def _symbols(self, tail: str, parameters: Iterable[Any]) -> list[StoredSymbol]:
        return _as_symbols(self._rows(f"SELECT {_SYMBOL} {tail}", parameters))

    def _registers(self, condition: str, parameters: Iterable[Any]) -> list[StoredSymbol]:
        return _as_symbols(self._rows(f"SELECT {_REGISTER} {_FROM_REGISTERS} {condition}", parameters))

    # -- calls, tables, words -------------------------------------------------------------------

    def callers(self, name: str, limit: int) -> list[StoredSymbol]:
        return self._symbols(
            f"FROM (SELECT DISTINCT caller FROM calls WHERE callee = ? LIMIT ?) c JOIN symbols s ON s.id = c.caller"
            f" JOIN files f ON f.id = s.id >> {FILE_SHIFT}",
            (name, limit),
        )

    def caller_count(self, name: str) -> int:
        rows = self._rows(
            f"SELECT count(*) FROM calls WHERE callee = ? AND caller >> {FILE_SHIFT} NOT IN (SELECT id FROM dead)",
            (name,),
        )
        return rows[0][0] if rows else 0

    def popularity(self, prefix: str, limit: int) -> dict[str, int]:
        """Number of callers of the names with a prefix, for those that have most."""
        return dict(
            self._rows(
                "SELECT name, callers FROM popular WHERE name >= ? AND name < ? ORDER BY callers DESC LIMIT ?",
                (prefix, _after(prefix), limit),
            )
        )

    def popularity_of(self, names: Collection[str]) -> dict[str, int]:
        """Number of callers of some names, without those that few call."""
        found: dict[str, int] = {}
        wanted = list(names)
        for start in range(0, len(wanted), 500):
            part = wanted[start : start + 500]
            marks = ",".join("?" * len(part))
            found.update(self._rows(f"SELECT name, callers FROM popular WHERE name IN ({marks})", part))
        return found

    def files_named(self, name: str) -> list[str]:
        """Paths of files that end with a name."""
        rows = self._rows("SELECT path FROM files WHERE substr('/' || path, -length(?)) = ?", (f"/{name}", f"/{name}"))
        return [row[0] for row in rows]

    def exported(self, names: Sequence[str]) -> set[str]:
        """Those of ``names`` that an EXPORT_SYMBOL gives to modules."""
        found: set[str] = set()
        for start in range(0, len(names), 500):
            part = names[start : start + 500]
            marks = ",".join("?" * len(part))
            rows = self._rows(f"SELECT name FROM symbols WHERE name IN ({marks}) AND kind = {Kind.EXPORT:d}", part)
            found.update(row[0] for row in rows)
        return found

    def assignments(self, column: str, value: str, limit: int) -> list[tuple[tuple[Any, ...], tuple[int, int]]]:
        """(the fields of an Assignment, the (size, mtime_ns) of its file) of each that has ``value`` in ``column``."""
        assert column in ("function", "member")
        return [
            ((struct, member, function, table, path, at, line), (size, mtime))
            for struct, member, function, table, at, line, path, size, mtime in self._rows(
                "SELECT a.struct, a.member, a.function, a.tbl, a.at, a.line, f.path, f.size, f.mtime_ns"
                f" FROM assignments a JOIN files f ON f.id = a.id >> {FILE_SHIFT} WHERE a.{column} = ? LIMIT ?",
                (value, limit),
            )
        ]

    def files_with(self, word: str) -> dict[str, StoredFile]:
        """Files by path that hold a word in any case, or define it."""
        rows = self._rows(
            f"SELECT {_FILE} FROM words JOIN files f ON f.id = words.rowid WHERE words MATCH ?", (f'"{word}"',)
        )
        rows += self._rows(f"SELECT DISTINCT {_FILE} {_FROM} WHERE s.name = ?", (word,))
        rows += self._rows(f"SELECT DISTINCT {_FILE} {_FROM_REGISTERS} WHERE r.name = ?", (word,))
        return {row[0]: StoredFile._make(row[1:]) for row in rows}

    def files_that_can_hold(self, clauses: Sequence[Collection[bytes]]) -> list[str]:
        """Files of which the trigrams do not exclude that they hold, for every clause, one of its texts."""
        from kexpert.index.trigram_index import ids_that_can_hold  # numpy: when first needed

        passing = ids_that_can_hold(self._rows, clauses)
        if passing is None:
            return [row[0] for row in self._rows("SELECT path FROM files")]
        found = "SELECT path FROM files WHERE id IN (SELECT value FROM json_each(?))"
        return [row[0] for row in self._rows(found, (json.dumps(passing),))]

    def common_words(self, prefix: str) -> list[str]:
        """The words that begin with ``prefix`` and that thousands of files hold; none before they are noted."""
        found = "SELECT DISTINCT word FROM places WHERE word >= ? AND word < ?"
        return [row[0] for row in self._rows(found, (prefix, _after(prefix)))]

    def common_word(self, word: str) -> CommonWord:
        """The stored positions of a word; they cover no file if it is not common."""
        # one statement, so that all parts are of one moment
        parts = self._rows(
            "SELECT p.files, w.packed FROM place_parts p LEFT JOIN places w ON w.part = p.id AND w.word = ?1"
            " WHERE EXISTS (SELECT 1 FROM places WHERE word = ?1)",
            (word,),
        )
        return CommonWord(word, parts)

    # -- files ----------------------------------------------------------------------------------

    def source(self, path: str) -> Source | None:
        """A file of the tree as it is on disk now; the last few stay parsed."""
        identity = FileIdentity.of(f"{self.root}/{path}")
        if identity is None:
            return None
        with self._lock:
            held = self._sources.get(path)
            if held is not None and held[0] == identity:
                self._sources.move_to_end(path)
                return held[1]
        data = read(self.root, path)
        if data is None:
            return None
        source = Source(path, data)
        with self._lock:
            old = self._sources.pop(path, None)
            self._cached_bytes += len(data) - (len(old[1].data) if old else 0)
            self._sources[path] = (identity, source)
            while self._cached_bytes > _MAX_CACHED_BYTES and len(self._sources) > 1:
                _, (_, dropped) = self._sources.popitem(last=False)
                self._cached_bytes -= len(dropped.data)
        return source

    def bytes_of(self, path: str) -> bytes | None:
        """A file's bytes, not put into the cache: for queries that read thousands of files once."""
        with self._lock:
            held = self._sources.get(path)
        return held[1].data if held and self.is_current(path, held[0]) else read(self.root, path)

    def text_before(self, path: str, offset: int) -> tuple[bytes, bytes] | None:
        """(the line before ``offset``, the word at ``offset``), without reading the whole file."""
        start = max(offset - _MAX_COLUMN_BYTES, 0)
        try:
            with open(f"{self.root}/{path}", "rb", buffering=0) as file:
                file.seek(start)
                data = file.read(offset - start + 256)
        except (OSError, ValueError):
            return None
        at = offset - start
        line = data.rfind(b"\n", 0, at) + 1
        if not line and start:
            return None
        word = IDENTIFIER.match(data, at)
        return data[line:at], word[0] if word else b""

    def headers_state(self) -> Hashable:
        """Another value after every change to the stored headers: an id is one state of one file."""
        rows = self._rows("SELECT count(*), max(id) FROM files WHERE kind = ?", (int(FileKind.HEADER),))
        return str(self.database), self._generation, tuple(rows)

    def headers_digest(self) -> str:
        """The same for all states in which the stored headers have the same names, sizes and times."""
        state = self.headers_state()
        held = self._headers_digest
        if held is None or held[0] != state:
            sql = "SELECT path, size, mtime_ns FROM files WHERE kind = ? ORDER BY path"
            rows = self._rows(sql, (int(FileKind.HEADER),))
            digest = hashlib.blake2b(repr([tuple(row) for row in rows]).encode(), digest_size=16).hexdigest()
            self._headers_digest = held = (state, digest)
        return held[1]

    def is_indexed(self, path: str) -> bool:
        """True if the index holds a file as it is on disk now."""
        rows = self._rows("SELECT size, mtime_ns FROM files WHERE path = ?", (path,))
        return bool(rows) and self.is_current(path, FileIdentity(*rows[0]))

    def is_current(self, path: str, identity: tuple[int, int]) -> bool:
        """True if a file on disk still has the (size, mtime_ns) with which it was indexed."""
        return FileIdentity.of(f"{self.root}/{path}") == identity

    def symbols_now(self, path: str) -> list[Symbol]:
        """The symbols of a file as it is on disk now, whatever the index says."""
        file = examine(self.root, path)
        source = self.source(path) if file else None
        if file is None or source is None:
            return []
        return source.facts.symbols if path.endswith((".c", ".h", ".S")) else facts_of(file, source.data).symbols


def as_symbol(row: SymbolRow) -> Symbol:
    """The symbol of a row; a symbol is returned as it is."""
    if isinstance(row, Symbol):
        return row
    name, kind, path, line, at, start, end, scope, flags, *_ = row
    return Symbol(name, _KINDS[kind], path, line, at, start, end, scope, _flags(flags))


def _as_symbols(rows: list[SymbolRow]) -> list[StoredSymbol]:
    return [StoredSymbol(as_symbol(row), FileIdentity(row[-2], row[-1])) for row in rows]


def _of_kind(kinds: Collection[Kind]) -> str:
    return f"AND s.kind IN ({','.join(str(int(kind)) for kind in kinds)})" if kinds else ""


def _after(prefix: str) -> str:
    """The first text that sorts after everything that begins with ``prefix``."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1) if prefix else "\U0010ffff"
