"""A tree in memory: files in one string, and a View over them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping

from kexpert.core.c.lex import blank_comments, is_member_use
from kexpert.core.c.source import Source
from kexpert.core.retrieval.chunk import Chunk, chunks
from kexpert.core.retrieval.words import query_stems, stems
from kexpert.core.symbols import Assignment, FileUses, Kind, Symbol, Use
from kexpert.index.disk_view import View
from kexpert.search.query import Hit, Method

_FILE = re.compile(r"^//- (\S+)\n", re.M)
CURSOR = "/*|*/"


def files_of(fixture: str) -> dict[str, bytes]:
    """``//- path`` lines cut a fixture into files; one without any is ``drivers/x/x.c``."""
    parts = _FILE.split(fixture)
    if len(parts) == 1:
        return {"drivers/x/x.c": fixture.encode()}
    return {path: text.encode() for path, text in zip(parts[1::2], parts[2::2], strict=True)}


def at_cursor(fixture: str) -> tuple[MemoryView, Source, int]:
    """The tree of a fixture, the file that holds ``/*|*/`` (taken out) and where it stood."""
    files = files_of(fixture)
    path = next(path for path, data in files.items() if CURSOR.encode() in data)
    offset = files[path].index(CURSOR.encode())
    files[path] = files[path].replace(CURSOR.encode(), b"", 1)
    view = MemoryView(files)
    source = view.source(path)
    assert source is not None
    return view, source, offset


class MemoryView(View):
    """What the index would say of these files, worked out by looking at all of them."""

    root = "/tree"
    complete = True

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.sources = {path: Source(path, data) for path, data in files.items()}
        self.facts = {
            path: source.facts for path, source in self.sources.items() if path.endswith((".c", ".h", ".S"))
        }
        self._symbols = [symbol for facts in self.facts.values() for symbol in facts.symbols]
        for path, source in self.sources.items():
            if path.rpartition("/")[2].startswith("Kconfig"):
                self._symbols += _options(path, source.data)

    def source(self, path: str) -> Source | None:
        return self.sources.get(path)

    def lookup(self, name: str, kinds: Collection[Kind] = (), limit: int = 200) -> list[Symbol]:
        found = [s for s in self._symbols if s.name == name and (not kinds or s.kind in kinds)]
        return found[:limit]

    def lookup_prefix(self, prefix: str, limit: int = 200, near: str = "") -> list[Symbol]:
        return self._once([s for s in self._symbols if s.name.startswith(prefix)], near)[:limit]

    def lookup_fuzzy(self, pattern: str, limit: int = 200, near: str = "") -> list[Symbol]:
        scattered = re.compile(".*".join(map(re.escape, pattern)), re.I)
        rest = [s for s in self._symbols if scattered.search(s.name)]
        return self._once(self.lookup_prefix(pattern, near=near) + self._once(rest, near), "")[:limit]

    def _once(self, symbols: list[Symbol], near: str) -> list[Symbol]:
        if near:
            folder = near.rpartition("/")[0]
            symbols = sorted(symbols, key=lambda s: (s.path != near, s.path.rpartition("/")[0] != folder))
        return list({(s.name, s.kind): s for s in reversed(symbols)}.values())[::-1]

    def symbols_in(self, path: str) -> list[Symbol]:
        return sorted((s for s in self._symbols if s.path == path), key=lambda s: s.start)

    def text(self, symbol: Symbol) -> bytes:
        source = self.sources.get(symbol.path)
        return source.data[symbol.start : symbol.end] if source else b""

    def data(self, path: str) -> bytes | None:
        source = self.sources.get(path)
        return source.data if source else None

    def references(
        self,
        name: str,
        cancelled: Callable[[], bool] = lambda: False,
        within: Collection[str] | None = None,
    ) -> list[FileUses]:
        found = []
        word = re.compile(rb"\b%s\b" % name.encode())
        for path, source in self.sources.items():
            if within is not None and path not in within:
                continue
            for match in word.finditer(blank_comments(source.data)):
                member = is_member_use(source.data, match.start())
                found.append(FileUses.of(Use(path, *match.span(), member, None)))
        return found

    def files_mentioning(self, name: str) -> list[str]:
        word = re.compile(rb"\b%s\b" % name.encode())
        return [path for path, source in self.sources.items() if word.search(source.data)]

    def callers(self, name: str, limit: int = 1000) -> list[Symbol]:
        found = [f.symbols[caller] for f in self.facts.values() for caller, callee in f.calls if callee == name]
        return found[:limit]

    def caller_count(self, name: str) -> int:
        return len(self.callers(name))

    def search(self, query: str, limit: int = 20, method: Method | None = None) -> list[Hit]:
        """What shares most stems with a question."""
        wanted = set(query_stems(query))
        return self._alike(lambda chunk: len(wanted.intersection(stems(f"{chunk.name} {chunk.summary}"))), limit)

    def similar(self, chunk: Chunk, limit: int = 10, other_files: bool = False, timeout: float = 2.0) -> list[Hit]:
        """What shares most words with a piece of code."""
        wanted = set(stems(chunk.body))

        def alike(other: Chunk) -> int:
            if other.path == chunk.path and (other_files or (other.start < chunk.end and chunk.start < other.end)):
                return 0
            return len(wanted.intersection(stems(other.body)))

        return self._alike(alike, limit)

    def _alike(self, score: Callable[[Chunk], int], limit: int) -> list[Hit]:
        every = [(score(chunk), chunk) for path, s in self.sources.items() for chunk in chunks(path, s.data)]
        best = sorted(((points, chunk) for points, chunk in every if points), key=lambda pair: -pair[0])
        return [Hit(c.path, c.kind, c.name, c.line, c.start, c.end, points, (0, 0)) for points, c in best[:limit]]

    def assignments_of(self, function: str) -> list[Assignment]:
        return [a for facts in self.facts.values() for a in facts.assignments if a.function == function]

    def implementations(self, struct: str, member: str, limit: int = 2000) -> list[Assignment]:
        return [
            a for facts in self.facts.values() for a in facts.assignments
            if a.member == member and (not struct or a.struct == struct)
        ][:limit]  # fmt: skip

    def exists(self, path: str) -> bool:
        return path in self.sources

    def list_dir(self, path: str) -> Mapping[str, bool]:
        prefix = path.rstrip("/") + "/" if path else ""
        names: dict[str, bool] = {}
        for file in self.sources:
            if file.startswith(prefix):
                name, slash, _ = file[len(prefix) :].partition("/")
                names[name] = names.get(name, False) or bool(slash)
        return names


def _options(path: str, data: bytes) -> list[Symbol]:
    found = []
    for match in re.finditer(rb"^(?:menu)?config (\w+)\n(?:[ \t]+.*\n|\n)*", data, re.M):
        line = data.count(b"\n", 0, match.start())
        found.append(Symbol("CONFIG_" + match[1].decode(), Kind.CONFIG, path, line, match.start(1), match.start(),
                            match.end()))  # fmt: skip
    return found
