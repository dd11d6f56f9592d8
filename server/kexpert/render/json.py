"""Answers as JSON, for programs: paths relative to the tree, lines and columns from 1, columns in characters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from kexpert.core.c.source import Source
from kexpert.core.symbols import Span, Symbol, Use
from kexpert.core.text import decode
from kexpert.features.hover.card import HoverCard, Place
from kexpert.features.inline.suggest import Suggestion
from kexpert.features.navigation.call_hierarchy import Call
from kexpert.features.navigation.member_references import MarkedUses
from kexpert.features.search.search import SearchResult
from kexpert.render import markdown

Json: TypeAlias = dict[str, Any]
#: The text of a file by its path; None for one that cannot be read.
SourceOf: TypeAlias = Callable[[str], Source | None]

_MAX_LINE_CHARS = 300


def hover_card(card: HoverCard) -> Json:
    """A card with its text as Markdown."""
    return {"name": card.name, "what": card.what, "markdown": markdown.hover_card(card)}


def places(source_of: SourceOf, spans: Iterable[Span | Use]) -> list[Json]:
    """The start of each span with the text of its line; spans in files that can no longer be read are left out."""
    return [found for span in spans if (found := _place(source_of, span)) is not None]


def marked_uses(source_of: SourceOf, marked: MarkedUses) -> list[Json]:
    """Uses of a name in one file with what is done there ("read", "write", "address", "declaration"; "" where it is not
    known), and whether they certainly mean it."""
    access: Sequence[str] = marked.access or [""] * len(marked.file)
    return [
        {**place, "access": str(done), "certain": sure}
        for use, sure, done in zip(marked.file, marked.certain, access, strict=True)
        if (place := _place(source_of, use)) is not None
    ]


def _place(source_of: SourceOf, span: Span | Use) -> Json | None:
    source = source_of(span.path)
    if source is None:
        return None
    line, column = source.lines.to_position(span.start, "utf-32")
    text = decode(source.lines.line_bytes(line)).strip()
    return {"path": span.path, "line": line + 1, "column": column + 1, "text": text}


def search_result(source_of: SourceOf, result: SearchResult) -> Json:
    """A result of a search by meaning, with the lines that match."""
    lines = [{"line": number + 1, "text": text} for number, text in result.lines]
    return {**_named(source_of, result, result.start), "score": round(result.score, 6), "lines": lines}


def symbol(source_of: SourceOf, found: Symbol) -> Json:
    """A symbol that was found by its name."""
    return {**_named(source_of, found, found.name_start), "scope": found.scope}


def _named(source_of: SourceOf, named: SearchResult | Symbol, start: int) -> Json:
    """Name, kind, and the position of the name."""
    source = source_of(named.path)
    line, column = source.lines.to_position(start, "utf-32") if source else (named.line, 0)
    return {
        "name": named.name,
        "kind": named.kind.name.lower(),
        "path": named.path,
        "line": line + 1,
        "column": column + 1,
    }


def suggestion(found: Suggestion | None) -> Json:
    """What inline completion shows or hides; times in milliseconds. None: no code is written at that place."""
    if found is None:
        return no_suggestion("no place")
    return {
        "text": found.text,
        "offset": found.offset,
        "doubt": found.hidden_reason,
        "about": found.hidden_detail,
        "origin": found.origin,
        "tokens": found.tokens,
        "shown": found.shown,
        "logprob": None if math.isnan(found.logprob) else round(found.logprob, 4),
        "first_token_ms": round(found.first_token * 1e3, 1),
        "ms": round(found.seconds * 1e3, 1),
    }


def no_suggestion(why: str) -> Json:
    """The answer where no model was asked."""
    return {"text": "", "shown": False, "doubt": why}


def card(found: HoverCard) -> Json:
    """A card for a page: its text, and as data where the thing is defined and how often it is called."""
    return {
        **hover_card(found),
        "place": None if found.place is None else _card_place(found.place),
        "variants": [_card_place(variant) for variant in found.variants],
        "more_variants": found.more_variants,
        "callers": found.callers,
        "origin": "model" if found.written is not None and not found.documentation else "facts",
    }


def _card_place(place: Place) -> Json:
    return {"path": place.path, "line": place.line + 1, "what": place.what, "conditions": list(place.conditions)}


def definition(source_of: SourceOf, found: Symbol, conditions: Iterable[str]) -> Json:
    """One of the symbols of a name, with the text of its line and what must be configured for it to exist."""
    shown = symbol(source_of, found)
    source = source_of(found.path)
    text = decode(source.lines.line_bytes(shown["line"] - 1)).strip() if source else ""
    return {**shown, "text": text[:_MAX_LINE_CHARS], "conditions": list(conditions)}


def calls(source_of: SourceOf, found: Iterable[Call], max_places: int) -> list[Json]:
    """Functions at the other end of calls, and where the calls are written."""
    return [
        {"symbol": symbol(source_of, call.symbol), "places": places(source_of, call.spans[:max_places])}
        for call in found
    ]
