"""``DiskView``: the view of a tree, open buffers over the index on disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any, Protocol

from kexpert.background.file_identity import FileIdentity
from kexpert.background.read_ahead import wanted_texts
from kexpert.background.tree import read, relative_path
from kexpert.core.c.source import Source
from kexpert.core.retrieval.chunk import Chunk, chunks
from kexpert.core.retrieval.folded import holds
from kexpert.core.symbols import DEFINITIONS, Assignment, FileUses, Flag, Kind, Symbol
from kexpert.index.made_in_buffers import merged
from kexpert.index.occurrences import uses
from kexpert.index.position_codec import COMMON_FILES
from kexpert.index.proximity import ranked
from kexpert.index.reader import IndexReader, StoredSymbol, as_symbol
from kexpert.index.schema import StoredFile
from kexpert.view import Hit, SearchMethod, View, collected_kinds

#: Rows ranked for one prefix. A short prefix has tens of thousands, and the user waits: of such a prefix the names
#: with most callers are ranked and the shortest of the first names, each with some rows.
_MAX_PREFIX_ROWS = 1500
_MAX_PREFIX_NAMES = 2000
_MAX_POPULAR_NAMES = 120
_MAX_SHORT_NAMES = 120
_MAX_ROWS_PER_NAME = 12
#: Longer patterns are not abbreviations, and a search by letters in order is slow.
_MAX_ABBREVIATION_LETTERS = 10
#: Up to so many files are read for a name without asking the index whether they hold it.
_MAX_FILES_READ = 64
#: Definitions before declarations.
_PREFERENCE = {kind: place for place, kind in enumerate(DEFINITIONS)}


class Searcher(Protocol):
    """Search by meaning in one tree; ``search.query`` implements it."""

    def find(self, facts: View, query: str, limit: int, method: SearchMethod | None) -> list[Hit]: ...
    def similar(self, chunk: Chunk, limit: int, other_files: bool, timeout: float) -> list[Hit]: ...


class DiskView(View):
    """A tree's index under some open buffers.

    A buffer's definitions hide the rows of its file. Rows of a file that changed on disk since it was indexed
    are replaced by symbols of the file as it is now.
    """

    def __init__(
        self,
        reader: IndexReader,
        overlay: Mapping[str, Source] | None = None,
        unchanged: Mapping[str, Source] | None = None,
        on_stale: Callable[[str], None] = lambda _: None,
        searcher: Searcher | None = None,
    ) -> None:
        self._reader = reader
        self._overlay = dict(overlay or {})
        self._unchanged: dict[str, Source] = {}
        for path, source in (unchanged or {}).items():
            # a file that is not indexed yet has no rows
            (self._unchanged if reader.is_indexed(path) else self._overlay)[path] = source
        self._on_stale = on_stale
        self._searcher = searcher
        self._current: dict[str, bool] = {}
        self._symbols_on_disk: dict[str, list[Symbol]] = {}
        self._made: dict[str, list[Symbol]] = {}
        self._last_read: tuple[str, bytes | None] = ("", None)
        self._last_files: tuple[str, dict[str, StoredFile]] = ("", {})
        self.root = str(reader.root)
        self.complete = reader.complete

    # -- text -----------------------------------------------------------------------------------

    def source(self, path: str) -> Source | None:
        found = self._overlay.get(path) or self._unchanged.get(path)
        if found is not None:
            return found
        return self._reader.source(path) if self._holds(path) else None

    def data(self, path: str) -> bytes | None:
        if self._last_read[0] == path and path not in self._overlay:
            return self._last_read[1]
        data = self._bytes_of(path)
        self._last_read = path, data
        return data

    def _bytes_of(self, path: str) -> bytes | None:
        found = self._overlay.get(path)
        if found is not None:
            return found.data
        return self._reader.bytes_of(path) if self._holds(path) else None

    def state_of(self, path: str) -> Hashable:
        opened = self._overlay.get(path)
        if opened is not None:
            return hashlib.blake2b(opened.data).digest()
        return FileIdentity.of(f"{self.root}/{path}") if self._holds(path) else None

    def headers_state(self) -> Hashable:
        opened = frozenset((path, self.state_of(path)) for path in self._overlay if path.endswith(".h"))
        return self._reader.headers_state(), opened

    def lasting_headers_state(self) -> str | None:
        is_changed = any(path.endswith(".h") for path in self._overlay)
        return None if is_changed or not self.complete else self._reader.headers_digest()

    def is_open(self, path: str) -> bool:
        return path in self._overlay

    def exists(self, path: str) -> bool:
        return path in self._overlay or (self._holds(path) and os.path.isfile(f"{self.root}/{path}"))

    def _holds(self, path: str) -> bool:
        """True if a path lies in the tree."""
        if ".." not in path and not path.startswith("/"):
            return True
        return relative_path(Path(self.root), f"{self.root}/{path}") is not None

    def list_dir(self, path: str) -> Mapping[str, bool]:
        if not self._holds(path):
            return {}
        try:
            with os.scandir(f"{self.root}/{path}") as entries:
                return {entry.name: entry.is_dir() for entry in entries}
        except (OSError, ValueError):
            return {}

    def files_named(self, name: str) -> list[str]:
        known = {*self._reader.files_named(name), *(path for path in self._overlay if f"/{path}".endswith(f"/{name}"))}
        return sorted(path for path in known if self.exists(path))

    # -- symbols --------------------------------------------------------------------------------

    def lookup(self, name: str, kinds: Collection[Kind] = (), limit: int = 200) -> list[Symbol]:
        found = self._open_symbols(lambda symbol: symbol.name == name, name, kinds)
        rows = self._reader.named(name, kinds, limit)
        found += self._live(rows, lambda symbol: symbol.name == name and (not kinds or symbol.kind in kinds))
        return found[:limit]

    def symbols_in(self, path: str) -> list[Symbol]:
        if path in self._overlay:
            return merged(self._overlay[path].facts.symbols, self._made_in(path))
        rows = self._reader.in_file(path)
        if rows and self._is_current(path, rows[0].identity):
            return [row.symbol for row in rows]
        return self._symbols_now(path)

    def lookup_prefix(
        self, prefix: str, limit: int = 200, near: str = "", kinds: Collection[Kind] = ()
    ) -> list[Symbol]:
        if not prefix:
            return []
        popular = self._reader.popularity(prefix, limit)
        # nobody calls a struct or GFP_KERNEL: that many files hold the word counts as well
        common = self._reader.common_words(prefix)
        popular |= {word: max(popular.get(word, 0), COMMON_FILES) for word in common if kinds or word.isupper()}
        own = [symbol for symbol in self.symbols_in(near) if symbol.name.startswith(prefix)] if near else []
        rows: list[tuple[Any, ...]] = [*own]
        rows += self._open_symbols(lambda symbol: symbol.name.startswith(prefix), prefix, ())
        if kinds:
            stored = self._reader.starting_with(prefix, _MAX_PREFIX_ROWS, kinds)
        elif self._reader.has_many(prefix, _MAX_PREFIX_ROWS):
            # not all can be ranked: take the names with most callers and the shortest
            names = self._reader.names_from(prefix, _MAX_PREFIX_NAMES)
            chosen = dict.fromkeys([*list(popular)[:_MAX_POPULAR_NAMES], *sorted(names, key=len)[:_MAX_SHORT_NAMES]])
            stored = self._reader.named_any(list(chosen), _MAX_ROWS_PER_NAME)
        else:
            stored = self._reader.starting_with(prefix, _MAX_PREFIX_ROWS)
        rows += [row for row in stored if row[2] not in self._overlay]
        if kinds:
            rows = [row for row in rows if row[1] in kinds]
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
        if sum(map(len, groups)) < limit and len(words) == 1 and 3 <= len(joined) <= _MAX_ABBREVIATION_LETTERS:
            names = self._reader.matching("*".join(joined) + "*", joined[0], limit)
            found = [as_symbol(row) for row in self._reader.named_any(names[: limit // 2], 500)]
            groups.append(ranked(found, self._reader.popularity_of(names), near))
        seen: dict[tuple[str, Kind], Symbol] = {}
        for symbol in (symbol for group in groups for symbol in group):
            seen.setdefault((symbol.name, symbol.kind), symbol)
        return list(seen.values())[:limit]

    def kinds_of(self, names: Collection[str]) -> dict[str, dict[Kind, Flag]]:
        found = collected_kinds(names, (s for source in self._overlay.values() for s in source.facts.symbols))
        for name, kinds in self._reader.kinds_of(names).items():
            known = found.setdefault(name, {})
            for kind, flags in kinds.items():
                known[kind] = known.get(kind, Flag(0)) | flags
        return found

    # -- uses -----------------------------------------------------------------------------------

    def files_mentioning(self, name: str) -> list[str]:
        if not name.isidentifier():
            return []
        needle = name.encode()
        opened = {path for path, source in self._overlay.items() if needle in source.data}
        return sorted(opened | {path for path in self._files_with(name) if path not in self._overlay})

    def _files_with(self, name: str) -> dict[str, StoredFile]:
        """The indexed files that hold a word; kept for the next question about the same word."""
        if self._last_files[0] != name:
            self._last_files = name, self._reader.files_with(name)
        return self._last_files[1]

    def files_that_can_hold(self, clauses: Sequence[Collection[bytes]]) -> list[str]:
        opened = [path for path, source in self._overlay.items() if holds(source.data.lower(), clauses)]
        stored = self._reader.files_that_can_hold(clauses)
        return sorted(opened + [path for path in stored if path not in self._overlay])

    def wanted_texts(
        self, paths: Sequence[str], wanted: Callable[[bytes], bool], *, can_join: bool = False
    ) -> Iterator[tuple[str, bytes | None]]:
        # from the files themselves: thousands of them are not worth a look into the reader's cache
        root, opened = self.root, {path: source.data for path, source in self._overlay.items()}

        def text_of(path: str) -> bytes | None:
            return opened[path] if path in opened else read(root, path)

        return wanted_texts(list(filter(self._holds, paths)), text_of, wanted, can_join=can_join)

    def references(
        self,
        name: str,
        cancelled: Callable[[], bool] = lambda: False,
        within: Collection[str] | None = None,
    ) -> list[FileUses]:
        if not name.isidentifier():
            return []
        if within is not None and len(within) <= _MAX_FILES_READ:
            read = [uses(path, self.data(path) or b"", name.encode()) for path in sorted(within) if not cancelled()]
            return list(filter(len, read)) if not cancelled() else []
        common = self._reader.common_word(name)
        stored = self._files_with(name)
        needle = name.encode()
        opened = {path for path, source in self._overlay.items() if needle in source.data}
        known: dict[int, str] = {}
        found: list[FileUses] = []
        for path in opened.union(stored.keys() - self._overlay.keys()):
            if cancelled():
                return []
            if within is not None and path not in within:
                continue
            file = None if path in opened else stored[path]
            if file is not None and file.id in common.covered and self._is_current(path, file.identity):
                known[file.id] = path
            else:
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
        return [hit for stored in found if (hit := self._where_now(stored))]

    def similar(self, chunk: Chunk, limit: int = 10, other_files: bool = False, timeout: float = 2.0) -> list[Hit]:
        if self._searcher is None:
            return []
        found = self._searcher.similar(chunk, limit, other_files, timeout)
        return [hit for stored in found if (hit := self._where_now(stored))]

    def _where_now(self, hit: Hit) -> Hit | None:
        """A hit with its position in the file as it is now; None if it is gone."""
        path = hit.path
        if path not in self._overlay and (path in self._unchanged or self._is_current(path, hit.identity)):
            return hit
        source = self.source(path)
        found = (
            [chunk for chunk in chunks(path, source.data) if (chunk.kind, chunk.name) == (hit.kind, hit.name)]
            if source
            else []
        )
        if not found:
            return None
        nearest = min(found, key=lambda chunk: abs(chunk.line - hit.line))
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
        """Assignments with ``value`` in ``column`` whose struct, as it is written there, is wanted."""
        found = [
            assignment
            for source in self._overlay.values()
            if value.encode() in source.data
            for assignment in source.facts.assignments
            if getattr(assignment, column) == value and is_wanted(assignment.struct)
        ]
        # Most assignments to a ``probe`` are of other structs: their files are not examined.
        for fields, identity in self._reader.assignments(column, value, limit):
            path = fields[4]
            if is_wanted(fields[0]) and path not in self._overlay and self._is_current(path, identity):
                found.append(Assignment(*fields))
        return found

    def _is_of(self, written: str, struct: str) -> bool:
        """True if an initialiser of ``written`` ("outer.member" for a nested one) fills ``struct``."""
        if "." not in written:
            return written == struct
        outer, *members = written.split(".")
        for member in members:
            owner = outer
            outer = ""
            for symbol in self._members(owner, member)[:1]:
                words = self.text(symbol).split()
                tags = [word for word in words if word not in (b"struct", b"union", b"const", b"*", b"volatile")]
                outer = tags[0].strip(b"*").decode("utf-8", "replace") if tags else ""
        return outer == struct

    def _members(self, owner: str, member: str) -> list[Symbol]:
        """The members of a name whose scope is ``owner``."""

        def is_wanted(symbol: Symbol) -> bool:
            return symbol.name == member and symbol.scope == owner and symbol.kind == Kind.MEMBER

        found = self._open_symbols(is_wanted, member, ())
        return found + self._live(self._reader.members(owner, member), is_wanted)

    # -- stitching ------------------------------------------------------------------------------

    def _open_symbols(self, wanted: Callable[[Symbol], bool], text: str, kinds: Collection[Kind]) -> list[Symbol]:
        """Symbols of the open buffers; buffers without ``text`` are not parsed."""
        needle = text.encode()
        return [
            symbol
            for path, source in self._overlay.items()
            for symbol in [*(source.facts.symbols if needle in source.data else ()), *self._made_in(path)]
            if wanted(symbol) and (not kinds or symbol.kind in kinds)
        ]

    def _made_in(self, path: str) -> list[Symbol]:
        """The names that macros of other files make in an open buffer."""
        if path not in self._made:
            self._made[path] = self._reader.made_in(self._overlay[path])
        return self._made[path]

    def _live(self, rows: list[StoredSymbol], wanted: Callable[[Symbol], bool]) -> list[Symbol]:
        """Rows that no open buffer hides; the rows of a stale file are replaced by those of its current symbols
        that are ``wanted``."""
        found: list[Symbol] = []
        replaced: set[str] = set()
        for row in rows:
            path = row.symbol.path
            if path in self._overlay:
                continue
            if self._is_current(path, row.identity):
                found.append(row.symbol)
            elif path not in replaced:
                replaced.add(path)
                found += [symbol for symbol in self._symbols_now(path) if wanted(symbol)]
        return found

    def _is_current(self, path: str, identity: tuple[int, int]) -> bool:
        known = self._current.get(path)
        if known is None:
            known = self._current[path] = self._reader.is_current(path, identity)
            if not known:
                self._on_stale(path)
        return known

    def _symbols_now(self, path: str) -> list[Symbol]:
        if path not in self._symbols_on_disk:
            self._symbols_on_disk[path] = self._reader.symbols_now(path)
        return self._symbols_on_disk[path]
