"""``BufferView``: the view of texts that belong to no tree."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence

from kexpert.core.c.source import Source
from kexpert.core.retrieval.chunk import Chunk
from kexpert.core.retrieval.folded import holds
from kexpert.core.symbols import Assignment, FileFacts, FileUses, Flag, Kind, Symbol
from kexpert.index.occurrences import uses
from kexpert.view import Hit, SearchMethod, View, collected_kinds


class BufferView(View):
    """Answers from the texts it is given; reads no disk and knows no search by meaning."""

    complete = True

    def __init__(self, root: str, sources: Mapping[str, Source]) -> None:
        self.root = root
        self._sources = sources

    def source(self, path: str) -> Source | None:
        return self._sources.get(path)

    def data(self, path: str) -> bytes | None:
        source = self._sources.get(path)
        return source.data if source else None

    def state_of(self, path: str) -> Hashable:
        source = self._sources.get(path)
        return source.data if source else None

    def headers_state(self) -> Hashable:
        return frozenset((path, source.data) for path, source in self._sources.items() if path.endswith(".h"))

    def is_open(self, path: str) -> bool:
        return path in self._sources

    def exists(self, path: str) -> bool:
        return path in self._sources

    def list_dir(self, path: str) -> Mapping[str, bool]:
        return {}

    def files_named(self, name: str) -> list[str]:
        return sorted(path for path in self._sources if f"/{path}".endswith(f"/{name}"))

    def lookup(self, name: str, kinds: Collection[Kind] = (), limit: int = 200) -> list[Symbol]:
        return [s for s in self._symbols() if s.name == name and (not kinds or s.kind in kinds)][:limit]

    def symbols_in(self, path: str) -> list[Symbol]:
        return sorted((s for s in self._symbols() if s.path == path), key=lambda s: s.start)

    def lookup_prefix(
        self, prefix: str, limit: int = 200, near: str = "", kinds: Collection[Kind] = ()
    ) -> list[Symbol]:
        matching = [s for s in self._symbols() if prefix and s.name.startswith(prefix)]
        matching = [s for s in matching if not kinds or s.kind in kinds]
        return _distinct(_nearest_first(matching, near))[:limit]

    def lookup_fuzzy(self, pattern: str, limit: int = 200, near: str = "") -> list[Symbol]:
        letters = "".join(pattern.split()).replace("_", "").lower()
        if not letters:
            return []
        scattered = [s for s in self._symbols() if _holds_in_order(s.name.lower(), letters)]
        name = "_".join(pattern.split())
        groups = (self.lookup(name), self.lookup_prefix(name, limit, near), _nearest_first(scattered, near))
        return _distinct(symbol for group in groups for symbol in group)[:limit]

    def kinds_of(self, names: Collection[str]) -> dict[str, dict[Kind, Flag]]:
        return collected_kinds(names, self._symbols())

    def files_mentioning(self, name: str) -> list[str]:
        word = name.encode("utf-8", "surrogateescape")
        return sorted(path for path, source in self._sources.items() if word in source.facts.identifiers)

    def files_that_can_hold(self, clauses: Sequence[Collection[bytes]]) -> list[str]:
        return sorted(path for path, source in self._sources.items() if holds(source.data.lower(), clauses))

    def references(
        self,
        name: str,
        cancelled: Callable[[], bool] = lambda: False,
        within: Collection[str] | None = None,
    ) -> list[FileUses]:
        if not name.isidentifier():
            return []
        found = []
        for path in sorted(self._sources):
            if cancelled():
                return []
            if within is None or path in within:
                found.append(uses(path, self._sources[path].data, name.encode("utf-8", "surrogateescape")))
        return [file for file in found if file]

    def place_of(self, symbol: Symbol) -> None:
        return None

    def callers(self, name: str, limit: int = 1000) -> list[Symbol]:
        found = [facts.symbols[caller] for facts in self._facts() for caller, callee in facts.calls if callee == name]
        return found[:limit]

    def caller_count(self, name: str) -> int:
        return len(self.callers(name))

    def exported(self, names: Sequence[str]) -> set[str]:
        return {symbol.name for symbol in self._symbols() if symbol.kind is Kind.EXPORT}.intersection(names)

    def assignments_of(self, function: str) -> list[Assignment]:
        return [each for facts in self._facts() for each in facts.assignments if each.function == function]

    def implementations(self, struct: str, member: str, limit: int = 2000) -> list[Assignment]:
        assigned = [each for facts in self._facts() for each in facts.assignments if each.member == member]
        return [each for each in assigned if struct in ("", each.struct)][:limit]

    def search(self, query: str, limit: int = 20, method: SearchMethod | None = None) -> list[Hit]:
        return []

    def similar(self, chunk: Chunk, limit: int = 10, other_files: bool = False, timeout: float = 2.0) -> list[Hit]:
        return []

    def _facts(self) -> Iterable[FileFacts]:
        return (source.facts for source in self._sources.values())

    def _symbols(self) -> Iterable[Symbol]:
        return (symbol for facts in self._facts() for symbol in facts.symbols)


def _nearest_first(symbols: Iterable[Symbol], near: str) -> list[Symbol]:
    """Those in the file ``near`` first, then those in its directory."""
    directory = near.rpartition("/")[0]
    return sorted(symbols, key=lambda s: near and (s.path != near) + (s.path.rpartition("/")[0] != directory))


def _distinct(symbols: Iterable[Symbol]) -> list[Symbol]:
    """The first symbol of each name and kind."""
    found: dict[tuple[str, Kind], Symbol] = {}
    for symbol in symbols:
        found.setdefault((symbol.name, symbol.kind), symbol)
    return list(found.values())


def _holds_in_order(name: str, letters: str) -> bool:
    remaining = iter(name)
    return all(letter in remaining for letter in letters)
