"""A view of nothing but the open buffers, for files that belong to no kernel tree."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

from kexpert.core.c.source import Source
from kexpert.core.retrieval.chunk import Chunk
from kexpert.core.symbols import Assignment, FileUses, Kind, Symbol
from kexpert.index.disk_view import View
from kexpert.index.occurrences import uses
from kexpert.search.query import Hit, Method


class OpenBuffers(View):
    """Answers from the texts it is given; knows no disk."""

    complete = True

    def __init__(self, root: str, sources: Mapping[str, Source]) -> None:
        self.root = root
        self._sources = sources

    def source(self, path: str) -> Source | None:
        return self._sources.get(path)

    def data(self, path: str) -> bytes | None:
        source = self._sources.get(path)
        return source.data if source else None

    def exists(self, path: str) -> bool:
        return path in self._sources

    def place_of(self, symbol: Symbol) -> None:
        return None

    def _symbols(self) -> Iterator[Symbol]:
        for source in self._sources.values():
            yield from source.facts.symbols

    def lookup(self, name: str, kinds: Collection[Kind] = (), limit: int = 200) -> list[Symbol]:
        return [s for s in self._symbols() if s.name == name and (not kinds or s.kind in kinds)][:limit]

    def lookup_prefix(self, prefix: str, limit: int = 200, near: str = "") -> list[Symbol]:
        return self._distinct(lambda name: name.startswith(prefix), limit)

    def lookup_fuzzy(self, pattern: str, limit: int = 200, near: str = "") -> list[Symbol]:
        wanted = pattern.lower()
        return self._distinct(lambda name: wanted in name.lower(), limit)

    def _distinct(self, wanted: Callable[[str], bool], limit: int) -> list[Symbol]:
        found: dict[tuple[str, Kind], Symbol] = {}
        for symbol in self._symbols():
            if wanted(symbol.name):
                found.setdefault((symbol.name, symbol.kind), symbol)
        return list(found.values())[:limit]

    def symbols_in(self, path: str) -> list[Symbol]:
        source = self.source(path)
        return sorted(source.facts.symbols, key=lambda s: s.start) if source else []

    def text(self, symbol: Symbol) -> bytes:
        source = self.source(symbol.path)
        return source.data[symbol.start : symbol.end] if source else b""

    def references(
        self,
        name: str,
        cancelled: Callable[[], bool] = lambda: False,
        within: Collection[str] | None = None,
    ) -> list[FileUses]:
        word = name.encode("utf-8", "surrogateescape")
        found = (uses(path, source.data, word) for path, source in sorted(self._sources.items()) if not cancelled())
        return [one for one in found if one]

    def files_mentioning(self, name: str) -> list[str]:
        word = name.encode("utf-8", "surrogateescape")
        return [path for path, source in self._sources.items() if word in source.facts.identifiers]

    def callers(self, name: str, limit: int = 1000) -> list[Symbol]:
        found = []
        for source in self._sources.values():
            facts = source.facts
            found += [facts.symbols[caller] for caller, callee in facts.calls if callee == name]
        return found[:limit]

    def caller_count(self, name: str) -> int:
        return len(self.callers(name))

    def search(self, query: str, limit: int = 20, method: Method | None = None) -> list[Hit]:
        return []

    def similar(self, chunk: Chunk, limit: int = 10, other_files: bool = False, timeout: float = 2.0) -> list[Hit]:
        return []

    def assignments_of(self, function: str) -> list[Assignment]:
        return [a for s in self._sources.values() for a in s.facts.assignments if a.function == function]

    def implementations(self, struct: str, member: str, limit: int = 2000) -> list[Assignment]:
        found = [
            a
            for source in self._sources.values()
            for a in source.facts.assignments
            if a.member == member and struct in ("", a.struct)
        ]
        return found[:limit]

    def list_dir(self, path: str) -> Mapping[str, bool]:
        return {}
