"""Search by meaning: code and documentation for a question, and code similar to a piece of code."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kexpert.core.c.source import Source
from kexpert.core.retrieval.chunk import Chunk, ChunkKind, chunks, split_comments
from kexpert.core.retrieval.words import query_stems, stems
from kexpert.core.symbols import DEFINITIONS, Kind
from kexpert.core.text import decode
from kexpert.features.semantics.variant_states import compiled_first
from kexpert.view import Hit, SearchMethod, View

_NAME = re.compile(r"[A-Za-z_]\w*")
_KINDS = {
    Kind.FUNCTION: ChunkKind.FUNCTION, Kind.SYSCALL: ChunkKind.FUNCTION, Kind.STRUCT: ChunkKind.STRUCT,
    Kind.UNION: ChunkKind.STRUCT, Kind.ENUM: ChunkKind.STRUCT, Kind.MACRO: ChunkKind.MACRO,
    Kind.CONFIG: ChunkKind.CONFIG,
}  # fmt: skip
#: Lines shown of a result, and lines of a long function that are read to choose them.
_SHOWN_LINES = 2
_READ_LINES = 400
_MAX_LINE_CHARS = 200
#: Definitions of a name in a query that are looked at and shown.
_MAX_VARIANTS, _MAX_NAMED = 20, 3


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A result: its kind and the span of its name; ``lines`` (0-based, with their text) are those that match."""

    name: str
    kind: ChunkKind
    path: str
    start: int  # of the name; of the whole if it has none
    end: int
    line: int  # 0-based
    score: float
    lines: tuple[tuple[int, str], ...] = ()


def search(view: View, query: str, limit: int = 20, method: SearchMethod | None = None) -> list[SearchResult]:
    """Code and documentation for a question, best first; definitions that it names come before all.

    Raises FilterError.
    """
    hits = view.search(query, limit, method)
    found = [shown for hit in hits if (shown := _show(view, hit, query))]
    if method in (None, SearchMethod.RERANKED):
        named = _named(view, query)
        known = {(result.path, result.name) for result in named}
        found = named + [result for result in found if (result.path, result.name) not in known]
    return found[:limit]


def similar(view: View, source: Source, start: int, end: int, limit: int = 10) -> list[SearchResult]:
    """The code most similar to that from ``start`` to ``end``; for an empty span, to the function around it."""
    chunk = _selected(source, start, end)
    if chunk is None:
        return []
    return [shown for hit in view.similar(chunk, limit) if (shown := _show(view, hit, ""))]


def _named(view: View, query: str) -> list[SearchResult]:
    """Definitions of the names in a query: words with a ``_`` (``kmem_cache_alloc``), and its words joined by ``_``."""
    words = query.split()
    names = [word for word in words if "_" in word and _NAME.fullmatch(word)]
    if all(_NAME.fullmatch(word) for word in words):
        names.append("_".join(words))
    kinds = [kind for kind in DEFINITIONS if kind in _KINDS]
    found = []
    for name in dict.fromkeys(names):
        for symbol in compiled_first(view, view.lookup(name, kinds, limit=_MAX_VARIANTS))[:_MAX_NAMED]:
            hit = Hit(symbol.path, _KINDS[symbol.kind], symbol.name, symbol.line, symbol.start, symbol.end, 1.0, (0, 0))
            if shown := _show(view, hit, query):
                found.append(shown)
    return found


def _selected(source: Source, start: int, end: int) -> Chunk | None:
    """A selection as a chunk; the chunk around the cursor if nothing is selected."""
    if source.data[start:end].strip():
        body, inner = split_comments(source.data[start:end])
        return Chunk(source.path, ChunkKind.FUNCTION, "", source.lines.line_of(start), start, end, "", body, inner)
    around = [chunk for chunk in chunks(source.path, source.data) if chunk.start <= start <= chunk.end]
    return min(around, key=lambda chunk: chunk.end - chunk.start, default=None)


def _show(view: View, hit: Hit, query: str) -> SearchResult | None:
    """A hit with its place and the lines that match; None if its file no longer exists."""
    source = view.source(hit.path)
    if source is None:
        return None
    data = source.data
    name = hit.name.removeprefix("CONFIG_").encode("utf-8", "surrogateescape")
    at = data.find(name, hit.start, hit.end) if name else -1
    start, end = (at, at + len(name)) if at >= 0 else (hit.start, hit.start)
    line = source.lines.line_of(start)
    lines = _matching(source, hit, set(query_stems(query)), line) if query else ()
    return SearchResult(hit.name, hit.kind, hit.path, start, end, line, hit.score, lines)


def _matching(source: Source, hit: Hit, wanted: set[str], own: int) -> tuple[tuple[int, str], ...]:
    """The lines of a chunk that share the most words with a question, in their order."""
    first = source.lines.line_of(hit.start)
    last = min(source.lines.line_of(max(hit.end - 1, hit.start)), first + _READ_LINES)
    scored = []
    for line in range(first, last + 1):
        if line == own:
            continue
        text = decode(source.lines.line_bytes(line)).strip()
        if count := len(wanted.intersection(stems(text))):
            scored.append((-count, line, text[:_MAX_LINE_CHARS]))
    return tuple(sorted((line, text) for _, line, text in sorted(scored)[:_SHOWN_LINES]))
