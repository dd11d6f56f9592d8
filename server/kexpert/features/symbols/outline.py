"""The outline of a file, and symbols by name over the tree."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from kexpert.core.c.source import Source
from kexpert.core.symbols import Flag, Kind, Symbol
from kexpert.core.text import encode, identifier_at
from kexpert.features.build_files.outline import sections
from kexpert.features.semantics.variant_states import compiled_first
from kexpert.view import View

_CONTAINERS = (Kind.STRUCT, Kind.UNION, Kind.ENUM)
_INNER = (*_CONTAINERS, Kind.MEMBER, Kind.ENUMERATOR)
#: Kinds that repeat a name of the outline.
_LEFT_OUT = (Kind.EXPORT,)
#: A macro that only pastes a name.
_NAMES_ONLY = re.compile(rb"\s*#\s*define\s+\w+\(\w+\)\s+(?:\w+\s*##\s*)+\w+\s*")


@dataclass(slots=True)
class OutlineEntry:
    """A symbol with the symbols inside it; ``name_end`` ends the name as it is written in the text."""

    symbol: Symbol
    name_end: int
    children: list[OutlineEntry] = field(default_factory=list)


def outline(source: Source) -> list[OutlineEntry]:
    """The symbols of a text in order, with members and enumerators inside their struct, union or enum."""
    parts = sections(source)
    if parts is not None:
        return [OutlineEntry(part, part.name_start + len(encode(part.name))) for part in parts]
    symbols = [s for s in source.facts.symbols if s.kind not in _LEFT_OUT]
    symbols.sort(key=lambda s: (s.start, -s.end))
    roots: list[OutlineEntry] = []
    around: list[OutlineEntry] = []
    for symbol in symbols:
        end = name_end(source, symbol)
        if symbol.kind is Kind.CONFIG:  # as a Kconfig file writes it
            symbol = symbol._replace(name=symbol.name.removeprefix("CONFIG_"))
        elif symbol.flags & Flag.FUNCTION_LIKE and _NAMES_ONLY.fullmatch(source.data, symbol.start, symbol.end):
            symbol = symbol._replace(flags=symbol.flags & ~Flag.FUNCTION_LIKE)  # ``FNAME(x)`` is a name, no function
        entry = OutlineEntry(symbol, end)
        while around and around[-1].symbol.end < symbol.end:
            around.pop()
        inside = around if symbol.kind in _INNER else []
        (inside[-1].children if inside else roots).append(entry)
        if symbol.kind in _CONTAINERS:
            around.append(entry)
    return roots


def name_end(source: Source, symbol: Symbol) -> int:
    """The end of the name in the text, which may be shorter than the symbol's (``sys_open``)."""
    word = identifier_at(source.data, symbol.name_start)
    return word[1] if word and word[0] == symbol.name_start else symbol.name_start


def workspace_symbols(view: View, query: str, limit: int = 100) -> list[Symbol]:
    """Symbols for the words typed into a symbol search, best first; none for no words."""
    query = query.strip()
    if not query:
        return []
    found = view.lookup_fuzzy(query, limit)
    return compiled_first(view, [s for s in found if s.kind not in _LEFT_OUT])[:limit]
