"""The results of a search for text, as lines for a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from kexpert.core.c.source import Source
from kexpert.core.text import decode
from kexpert.features.grep.grep import GrepAnswer, GrepHit

Json: TypeAlias = dict[str, Any]

_WHY = {"time": "the time for one search was over", "cancelled": "the search was cancelled"}
_GROWING = "the index is still growing: files may be missing"


def to_json(
    found: GrepAnswer, source_of: Callable[[str], Source | None], max_body_bytes: int = 8000
) -> Json:
    """Lines count from 1. ``text`` is the whole definition, cut after ``max_body_bytes``; without it for 0.

    ``more`` counts further results; it is a lower bound unless ``exact``.
    """
    return {
        "results": [_hit(hit, source_of, max_body_bytes) for hit in found.hits],
        "more": found.more,
        "exact": found.is_exact,
        "stopped": found.why_stopped or None,
        "filesSearched": found.files_searched,
        "filesWithMatches": found.files_with_matches,
        "indexComplete": found.is_complete,
    }


def _hit(hit: GrepHit, source_of: Callable[[str], Source | None], max_body_bytes: int) -> Json:
    answer: Json = {
        "name": hit.symbol.name if hit.symbol else "",
        "kind": hit.symbol.kind.name.lower() if hit.symbol else "line",
        "path": hit.path,
        "line": hit.line + 1,
        "lines": [{"line": line + 1, "text": text} for line, text in hit.lines],
        "moreLines": hit.more_lines,
    }
    source = source_of(hit.path) if max_body_bytes and hit.symbol else None
    if source is not None:
        body = source.data[hit.start : min(hit.end, hit.start + max_body_bytes)]
        answer["text"] = decode(body)
        answer["textLine"] = source.lines.line_of(hit.start) + 1
        answer["truncated"] = hit.end - hit.start > max_body_bytes
    return answer


def to_lines(
    found: GrepAnswer,
    place_of: Callable[[str], str] = str,
    source_of: Callable[[str], Source | None] | None = None,
) -> Iterator[str]:
    """``path:line: kind name`` and the matching lines below; with ``source_of`` the whole text instead."""
    for hit in found.hits:
        what = f"{hit.symbol.kind.name.lower()} {hit.symbol.name}" if hit.symbol else "line"
        yield f"{place_of(hit.path)}:{hit.line + 1}: {what}"
        source = source_of(hit.path) if source_of and hit.symbol else None
        if source is not None:
            first = source.lines.line_of(hit.start)
            text = decode(source.data[hit.start : hit.end]).split("\n")
            yield from (f"    {number}: {line}" for number, line in enumerate(text, first + 1))
            continue
        yield from (f"    {line + 1}: {text.strip()}" for line, text in hit.lines)
        if hit.more_lines:
            yield f"    ... {hit.more_lines} more lines"
    if found.more or not found.is_exact:
        yield _rest(found)
    if not found.is_complete:
        yield _GROWING


def _rest(found: GrepAnswer) -> str:
    reason = _WHY.get(found.why_stopped, "")
    if found.is_exact:
        return f"... {found.more} more results"
    count = f"at least {found.more} more results" if found.more else "not all files were searched"
    return f"... {count}{f'; {reason}' if reason else ''}"
