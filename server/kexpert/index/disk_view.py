"""``DiskView``: the view of a tree, open buffers over the index on disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any, Protocol

from kexpert.background.tree import inside
from kexpert.core.c.source import Source
from kexpert.core.retrieval.chunk import Chunk, chunks
from kexpert.core.symbols import DEFINITIONS, Assignment, FileUses, Kind, Symbol
from kexpert.index.occurrences import uses
from kexpert.index.proximity import ranked
from kexpert.index.reader import Reader, Row, as_symbol
from kexpert.view import Hit, SearchMethod, View

#: Rows looked at for one prefix before ranking. A short prefix has ten thousands, and a reader waits: of
#: such a one so many names, those that many call and the shortest of the first, and so many rows of each.
_PREFIX_ROWS = 1500
_PREFIX_NAMES = 2000
_POPULAR = 120
_SHORT = 120
_ROWS_OF_NAME = 12
#: Nobody abbreviates a name to more letters, and a search by letters in their order is slow.
_LONGEST_ABBREVIATION = 10
#: A definition before its declarations.
_PREFERENCE = {kind: place for place, kind in enumerate(DEFINITIONS)}


class Searcher(Protocol):
    """Search by meaning in one tree; ``search.query`` implements it."""

    def find(self, facts: View, query: str, limit: int, method: SearchMethod | None) -> list[Hit]: ...
    def similar(self, chunk: Chunk, limit: int, other_files: bool, timeout: float) -> list[Hit]: ...


class DiskView(View):
    """A tree's index under some open buffers.

    A buffer's definitions hide the rows of its file. Rows whose file changed on disk since it was indexed
    are replaced by what the file says now.
    """

    def __init__(
        self,
        reader: Reader,
        overlay: Mapping[str, Source] | None = None,
        unchanged: Mapping[str, Source] | None = None,
        on_stale: Callable[[str], None] = lambda _: None,
        searcher: Searcher | None = None,
    ) -> None:
        self._reader = reader
        self._overlay = dict(overlay or {})
        self._unchanged = {}
        for path, source in (unchanged or {}).items():
            # the index may not have come to a file yet
            (self._unchanged if reader.is_indexed(path) else self._overlay)[path] = source
        self._on_stale = on_stale
        self._searcher = searcher
        self._current: dict[str, bool] = {}
        self._now: dict[str, list[Symbol]] = {}
        self._last_read: tuple[str, bytes | None] = ("", None)
        self.root = str(reader.root)
        self.complete = reader.complete

    # -- text -----------------------------------------------------------------------------------

    def source(self, path: str) -> Source | None:
        found = self._overlay.get(path) or self._unchanged.get(path)
        if found is not None:
            return found
        return self._reader.source(path) if self._holds(path) else None

    def data(self, path: str) -> bytes | None:
        found = self._overlay.get(path)
        if found is not None:
            return found.data
        if self._last_read[0] == path:
            return self._last_read[1]
        data = self._reader.bytes_of(path) if self._holds(path) else None
        self._last_read = path, data
        return data

    def exists(self, path: str) -> bool:
        return path in self._overlay or (self._holds(path) and os.path.isfile(f"{self.root}/{path}"))

    def _holds(self, path: str) -> bool:
        """Whether a path lies in the tree."""
        if ".." not in path and not path.startswith("/"):
            return True
        return inside(Path(self.root), f"{self.root}/{path}") is not None

    def list_dir(self, path: str) -> Mapping[str, bool]:
        if not self._holds(path):
            return {}
        try:
            with os.scandir(f"{self.root}/{path}") as entries:
                return {entry.name: entry.is_dir() for entry in entries}
        except (OSError, ValueError):
            return {}

    # -- symbols --------------------------------------------------------------------------------

    def lookup(self, name: str, kinds: Collection[Kind] = (), limit: int = 200) -> list[Symbol]:
        found = self._open_symbols(lambda symbol: symbol.name == name, name, kinds)
        rows = self._reader.named(name, kinds, limit)
        found += self._live(rows, lambda symbol: symbol.name == name and (not kinds or symbol.kind in kinds))
        return found[:limit]

    def symbols_in(self, path: str) -> list[Symbol]:
        if path in self._overlay:
            return self._overlay[path].facts.symbols
        rows = self._reader.in_file(path)
        if rows and self._is_current(rows[0]):
            return [row.symbol for row in rows]
        return self._symbols_now(path)

    def lookup_prefix(self, prefix: str, limit: int = 200, near: str = "") -> list[Symbol]:
        if not prefix:
            return []
        popular = self._reader.popularity(prefix, limit)
        own = [symbol for symbol in self.symbols_in(near) if symbol.name.startswith(prefix)] if near else []
        rows: list[tuple[Any, ...]] = [*own]
        rows += self._open_symbols(lambda symbol: symbol.name.startswith(prefix), prefix, ())
        if self._reader.are_many(prefix, _PREFIX_ROWS):
            # not all can be looked at: what is called most, and what is nearly typed
            names = self._reader.names_from(prefix, _PREFIX_NAMES)
            chosen = dict.fromkeys([*list(popular)[:_POPULAR], *sorted(names, key=len)[:_SHORT]])
            stored = self._reader.named_any(list(chosen), _ROWS_OF_NAME)
        else:
            stored = self._reader.starting_with(prefix, _PREFIX_ROWS)
        rows += [row for row in stored if row[2] not in self._overlay]
        return [as_symbol(row) for row in ranked(rows, popular, near)[:limit]]

    def lookup_fuzzy(self, pattern: str, limit: int = 200, near: str = "") -> list[Symbol]:
        words = [word for word in pattern.replace("_", " ").split() if word]
        joined = "_".join(pattern.split())
        if not words:
            return []
        exact = self.lookup(joined, limit=limit)
        groups = [sorted(exact, key=lambda symbol: _PREFERENCE.get(symbol.kind, len(_PREFERENCE)))]
        groups += [self.lookup_prefix(prefix, limit, near) for prefix in dict.fromkeys([joined, joined.upper()])]
        if sum(map(len, groups)) < limit:
            rows = self._reader.with_subwords(words, 500)
            found = [row.symbol for row in rows if row.symbol.path not in self._overlay]
            found += self._open_symbols(lambda s: all(word.lower() in s.name.lower() for word in words), words[0], ())
            groups.append(ranked(found, self._reader.popularity_of({s.name for s in found}), near))
        if sum(map(len, groups)) < limit and len(words) == 1 and 3 <= len(joined) <= _LONGEST_ABBREVIATION:
            names = self._reader.matching("*".join(joined) + "*", joined[0], limit)
            found = [as_symbol(row) for row in self._reader.named_any(names[: limit // 2], 500)]
            groups.append(ranked(found, self._reader.popularity_of(names), near))
        seen: dict[tuple[str, Kind], Symbol] = {}
        for symbol in (symbol for group in groups for symbol in group):
            seen.setdefault((symbol.name, symbol.kind), symbol)
        return list(seen.values())[:limit]

    # -- uses -----------------------------------------------------------------------------------

    def files_mentioning(self, name: str) -> list[str]:
        if not name.isidentifier():
            return []
        needle = name.encode()
        opened = {path for path, source in self._overlay.items() if needle in source.data}
        return sorted(opened | {path for path in self._reader.files_with(name) if path not in self._overlay})

    def references(
        self,
        name: str,
        cancelled: Callable[[], bool] = lambda: False,
        within: Collection[str] | None = None,
    ) -> list[FileUses]:
        if not name.isidentifier():
            return []
        common = self._reader.common_word(name)
        stored = self._reader.files_with(name)
        needle = name.encode()
        opened = {path for path, source in self._overlay.items() if needle in source.data}
        known: dict[int, str] = {}
        found: list[FileUses] = []
        for path in opened.union(stored.keys() - self._overlay.keys()):
            if cancelled():
                return []
            if within is not None and path not in within:
                continue
            if path not in opened and stored[path][0] in common.covered:
                file_id, size, mtime_ns = stored[path]
                if self._path_is_current(path, size, mtime_ns):
                    known[file_id] = path
                    continue
            found.append(uses(path, self.data(path) or b"", needle))
        found += common.uses(known)
        return sorted(filter(len, found), key=attrgetter("path"))

    def place_of(self, symbol: Symbol) -> tuple[int, int] | None:
        if symbol.path in self._overlay:
            return None
        found = self._reader.text_before(symbol.path, symbol.name_start)
        if found is None or not found[1] or not symbol.name.endswith(found[1].decode("latin-1")):
            return None
        return (symbol.line, len(found[0])) if found[0].isascii() and b"\r" not in found[0] else None

    def callers(self, name: str, limit: int = 1000) -> list[Symbol]:
        found = self._live(self._reader.callers(name, limit), lambda _: False)
        for source in self._overlay.values():
            if name.encode() in source.data:
                symbols = source.facts.symbols
                found += [symbols[caller] for caller, callee in source.facts.calls if callee == name]
        return found[:limit]

    def caller_count(self, name: str) -> int:
        return self._reader.caller_count(name)

    def exported(self, names: Sequence[str]) -> set[str]:
        return self._reader.exported(names)

    # -- search by meaning ----------------------------------------------------------------------

    def search(self, query: str, limit: int = 20, method: SearchMethod | None = None) -> list[Hit]:
        if self._searcher is None:
            return []
        found = self._searcher.find(self, query, limit, method)
        return [hit for one in found if (hit := self._where_now(one))]

    def similar(self, chunk: Chunk, limit: int = 10, other_files: bool = False, timeout: float = 2.0) -> list[Hit]:
        if self._searcher is None:
            return []
        found = self._searcher.similar(chunk, limit, other_files, timeout)
        return [hit for one in found if (hit := self._where_now(one))]

    def _where_now(self, hit: Hit) -> Hit | None:
        """A hit where it stands in the file as it is now; None if it is gone."""
        path = hit.path
        if path not in self._overlay and (path in self._unchanged or self._path_is_current(path, *hit.identity)):
            return hit
        source = self.source(path)
        found = (
            [one for one in chunks(path, source.data) if (one.kind, one.name) == (hit.kind, hit.name)] if source else []
        )
        if not found:
            return None
        nearest = min(found, key=lambda one: abs(one.line - hit.line))
        return replace(hit, line=nearest.line, start=nearest.start, end=nearest.end)

    # -- tables of functions --------------------------------------------------------------------

    def assignments_of(self, function: str) -> list[Assignment]:
        return self._assignments("function", function, 2000, lambda _: True)

    def implementations(self, struct: str, member: str, limit: int = 2000) -> list[Assignment]:
        fills: dict[str, bool] = {}

        def is_wanted(written: str) -> bool:
            if written not in fills:
                fills[written] = not struct or self._is_of(written, struct)
            return fills[written]

        return self._assignments("member", member, 50_000, is_wanted)[:limit]

    def _assignments(
        self, column: str, value: str, limit: int, is_wanted: Callable[[str], bool]
    ) -> list[Assignment]:
        """Entries of tables whose struct, as it is written there, is wanted."""
        found = [
            assignment
            for source in self._overlay.values()
            if value.encode() in source.data
            for assignment in source.facts.assignments
            if getattr(assignment, column) == value and is_wanted(assignment.struct)
        ]
        # Most of what is assigned to a ``probe`` is not of the struct in question: no file is looked at for that.
        for fields, size, mtime in self._reader.assignments(column, value, limit):
            path = fields[4]
            if is_wanted(fields[0]) and path not in self._overlay and self._path_is_current(path, size, mtime):
                found.append(Assignment(*fields))
        return found

    def _is_of(self, written: str, struct: str) -> bool:
        """Whether an initialiser of ``written`` ("outer.member" for a nested one) fills ``struct``."""
        if "." not in written:
            return written == struct
        outer, *members = written.split(".")
        for member in members:
            owner = outer
            outer = ""
            for symbol in self.lookup(member, (Kind.MEMBER,), limit=5000):
                if symbol.scope == owner:
                    words = self.text(symbol).split()
                    tags = [word for word in words if word not in (b"struct", b"union", b"const", b"*", b"volatile")]
                    outer = tags[0].strip(b"*").decode("utf-8", "replace") if tags else ""
                    break
        return outer == struct

    # -- stitching ------------------------------------------------------------------------------

    def _open_symbols(self, wanted: Callable[[Symbol], bool], text: str, kinds: Collection[Kind]) -> list[Symbol]:
        """Symbols of the open buffers; only those that hold ``text`` are extracted."""
        needle = text.encode()
        return [
            symbol
            for source in self._overlay.values()
            if needle in source.data
            for symbol in source.facts.symbols
            if wanted(symbol) and (not kinds or symbol.kind in kinds)
        ]

    def _live(self, rows: list[Row], wanted: Callable[[Symbol], bool]) -> list[Symbol]:
        """Rows that are neither hidden by an open buffer nor stale; a stale file's current symbols
        that are ``wanted`` stand in for its rows."""
        found: list[Symbol] = []
        replaced: set[str] = set()
        for row in rows:
            path = row.symbol.path
            if path in self._overlay:
                continue
            if self._is_current(row):
                found.append(row.symbol)
            elif path not in replaced:
                replaced.add(path)
                found += [symbol for symbol in self._symbols_now(path) if wanted(symbol)]
        return found

    def _is_current(self, row: Row) -> bool:
        return self._path_is_current(row.symbol.path, row.size, row.mtime_ns)

    def _path_is_current(self, path: str, size: int, mtime_ns: int) -> bool:
        known = self._current.get(path)
        if known is None:
            known = self._current[path] = self._reader.is_current(path, size, mtime_ns)
            if not known:
                self._on_stale(path)
        return known

    def _symbols_now(self, path: str) -> list[Symbol]:
        if path not in self._now:
            self._now[path] = self._reader.symbols_now(path)
        return self._now[path]
