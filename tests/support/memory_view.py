"""A ``View`` of files in memory, and the cursor in a fixture."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from kexpert.core.c.source import Source
from kexpert.core.retrieval.chunk import Chunk, chunks
from kexpert.core.retrieval.words import query_stems, stems
from kexpert.core.symbols import FileFacts, Kind, Symbol
from kexpert.view import Hit, SearchMethod
from kexpert.workspace.buffer_view import BufferView
from tests.support.fixture_text import CURSOR, cut_cursor, files_of

__all__ = ["CURSOR", "MemoryView", "at_cursor", "files_of"]


def at_cursor(fixture: str) -> tuple[MemoryView, Source, int]:
    """The tree of a fixture, the file that holds ``/*|*/`` (removed) and its offset."""
    files = files_of(fixture)
    path, offset = cut_cursor(files)
    view = MemoryView(files)
    source = view.source(path)
    assert source is not None
    return view, source, offset


class MemoryView(BufferView):
    """A View that reads all its files for each answer, in place of an index."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.sources = {path: Source(path, data) for path, data in files.items()}
        super().__init__("/tree", self.sources)

    def list_dir(self, path: str) -> Mapping[str, bool]:
        prefix = path.rstrip("/") + "/" if path else ""
        names: dict[str, bool] = {}
        for file in self.sources:
            if file.startswith(prefix):
                name, slash, _ = file[len(prefix) :].partition("/")
                names[name] = names.get(name, False) or bool(slash)
        return names

    def search(self, query: str, limit: int = 20, method: SearchMethod | None = None) -> list[Hit]:
        """The chunks that share the most stems with a query."""
        wanted = set(query_stems(query))
        return self._best(lambda chunk: len(wanted.intersection(stems(f"{chunk.name} {chunk.summary}"))), limit)

    def similar(self, chunk: Chunk, limit: int = 10, other_files: bool = False, timeout: float = 2.0) -> list[Hit]:
        """The chunks that share the most stems with a piece of code."""
        wanted = set(stems(chunk.body))

        def common_stems(other: Chunk) -> int:
            if other.path == chunk.path and (other_files or (other.start < chunk.end and chunk.start < other.end)):
                return 0
            return len(wanted.intersection(stems(other.body)))

        return self._best(common_stems, limit)

    def _best(self, score: Callable[[Chunk], int], limit: int) -> list[Hit]:
        every = [(score(chunk), chunk) for path, s in self.sources.items() for chunk in chunks(path, s.data)]
        best = sorted(((points, chunk) for points, chunk in every if points), key=lambda pair: -pair[0])
        return [Hit(c.path, c.kind, c.name, c.line, c.start, c.end, points, (0, 0)) for points, c in best[:limit]]

    def _facts(self) -> Iterable[FileFacts]:
        return (source.facts for path, source in self.sources.items() if path.endswith((".c", ".h", ".S")))

    def _symbols(self) -> Iterable[Symbol]:
        yield from super()._symbols()
        for path, source in self.sources.items():
            if path.rpartition("/")[2].startswith("Kconfig"):
                yield from _options(path, source.data)


def _options(path: str, data: bytes) -> list[Symbol]:
    found = []
    for match in re.finditer(rb"^(?:menu)?config (\w+)\n(?:[ \t]+.*\n|\n)*", data, re.M):
        line = data.count(b"\n", 0, match.start())
        found.append(Symbol("CONFIG_" + match[1].decode(), Kind.CONFIG, path, line, match.start(1), match.start(),
                            match.end()))  # fmt: skip
    return found
