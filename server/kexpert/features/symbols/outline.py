"""The outline of a file, and symbols by name over the tree."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from kexpert.core.c.source import Source
from kexpert.core.symbols import DEFINITIONS, Flag, Kind, Symbol
from kexpert.core.text import encode, identifier_at
from kexpert.features.build_files.outline import sections
from kexpert.features.semantics.definition_ranking import NOT_KERNEL, common_directories
from kexpert.features.semantics.variant_states import compiled_first
from kexpert.view import View

_CONTAINERS = (Kind.STRUCT, Kind.UNION, Kind.ENUM)
_INNER = (*_CONTAINERS, Kind.MEMBER, Kind.ENUMERATOR)
#: Definitions of one name that are ranked: ``probe`` has hundreds.
_MAX_ROWS = 1000
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


def workspace_symbols(view: View, query: str, opened: Collection[str] = (), limit: int = 100) -> list[Symbol]:
    """Symbols for the words typed into a symbol search, best first; none for no words.

    Every definition of exactly that name comes first, ranked by ``opened``, the paths of open files; then one symbol
    for each similar name.
    """
    query = query.strip()
    if not query:
        return []
    named = [s for s in view.lookup("_".join(query.split()), limit=_MAX_ROWS) if s.kind in DEFINITIONS]
    similar = [s for s in view.lookup_fuzzy(query, limit) if s.kind not in _LEFT_OUT]
    best = nearest_first(view, named, opened)[: limit * 3 // 4]
    return list(dict.fromkeys([*best, *compiled_first(view, similar)]))[:limit]


def nearest_first(view: View, symbols: Iterable[Symbol], opened: Collection[str]) -> list[Symbol]:
    """Symbols of one name: those of open files, then those that are compiled, then the nearest to an open file; what
    is no part of the kernel comes last."""

    def shared(path: str) -> int:
        return max((common_directories(path, other) for other in opened), default=0)

    near = compiled_first(view, sorted(symbols, key=lambda symbol: -shared(symbol.path)))
    return sorted(near, key=lambda symbol: (symbol.path not in opened, symbol.path.startswith(NOT_KERNEL)))
