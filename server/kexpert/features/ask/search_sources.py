"""What search finds for a question, worded as sources: a line of documentation each, with its place."""

from __future__ import annotations

from kexpert.core.docs.kerneldoc import comment_above, comment_text, parse_kerneldoc
from kexpert.core.kernel.kconfig import parse_kconfig
from kexpert.core.retrieval.chunk import ChunkKind
from kexpert.core.text import decode
from kexpert.features.ask.fact_sources import FoundSource
from kexpert.features.search.search import SearchResult, search
from kexpert.prompt.sources import config_sources, plain
from kexpert.view import FilterError, SearchMethod, View

_MAX_CHARS = 160
_CODE_RESULTS = 6
_DOCUMENT_RESULTS = 3
_CALLED = (ChunkKind.FUNCTION, ChunkKind.MACRO)


def search_sources(view: View, text: str) -> list[FoundSource]:
    """Code, options and documentation for a question, best first; every third is a page of Documentation."""
    query = text.replace(":", " ")  # no filters
    try:
        everything = search(view, query, _CODE_RESULTS)
        pages = search(view, f"{query} path:Documentation", _DOCUMENT_RESULTS, SearchMethod.BM25)
    except FilterError:
        return []
    found: list[FoundSource] = []
    rest = [page for page in pages if page not in everything and "/translations/" not in page.path]
    for at, result in enumerate(each for each in everything if "/translations/" not in each.path):
        found += _source(view, result)
        if at % 2 and rest:
            found += _source(view, rest.pop(0))
    return list(dict.fromkeys(found))


def _source(view: View, result: SearchResult) -> list[FoundSource]:
    if result.kind is ChunkKind.CONFIG:
        return _option(view, result)
    said = _documentation(view, result) if result.kind is not ChunkKind.SECTION else None
    if said is not None:
        text, line = said
    elif result.lines:
        line, text = result.lines[0]
        text = " ".join(each for _, each in result.lines)
    else:
        text, line = _first_line(view, result), result.line
    name = f"{result.name}()" if result.kind in _CALLED and result.name else result.name
    return [FoundSource("", None, shortened(f"{name}: {plain(text)}" if name else plain(text)), result.path, line)]


def _documentation(view: View, result: SearchResult) -> tuple[str, int] | None:
    """(the summary of a definition's comment, its line)"""
    source = view.source(result.path)
    symbols = view.symbols_in(result.path) if source is not None else []
    start = next((each.start for each in symbols if each.name_start == result.start), result.start)
    span = comment_above(source.data, start) if source is not None else None
    if source is None or span is None:
        return None
    comment = source.data[span[0] : span[1]]
    doc = parse_kerneldoc(comment)
    text = doc.summary if doc is not None else comment_text(comment).partition("\n\n")[0]
    return (text, source.lines.line_of(span[0])) if text.strip() else None


def _first_line(view: View, result: SearchResult) -> str:
    source = view.source(result.path)
    return decode(source.lines.line_bytes(result.line)).strip() if source is not None else ""


def _option(view: View, result: SearchResult) -> list[FoundSource]:
    data = view.data(result.path)
    entries = parse_kconfig(data, result.path).named(result.name.removeprefix("CONFIG_")) if data else []
    texts = [(text, entry.line) for entry in entries[:1] for text in config_sources(entry)[:1]]
    return [FoundSource("", None, shortened(text), result.path, line) for text, line in texts]


def shortened(text: str) -> str:
    """At most as many characters as a small model is given."""
    return text if len(text) <= _MAX_CHARS else text[: _MAX_CHARS - 1].rsplit(None, 1)[0] + "\u2026"
