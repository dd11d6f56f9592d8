"""What single definitions say: their text, places, layout, locks, maintainers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from kexpert.core.kernel.maintainers import MaintainerEntry, parse_maintainers
from kexpert.core.kernel.maintainers import Maintainers as MaintainersFile
from kexpert.core.retrieval.words import STOP_WORDS
from kexpert.core.symbols import Kind, Symbol
from kexpert.core.text import decode
from kexpert.features.hover.card import HoverCard, Place
from kexpert.features.hover.card_reader import CardReader, HoverConfig
from kexpert.features.hover.code_card import declaration_head, first_lines, start_with_annotations
from kexpert.features.hover.hover import card_for_symbol
from kexpert.features.named.definitions import CODE
from kexpert.view import View

if TYPE_CHECKING:
    from kexpert.features.explain.explanation import Explanation, Statement

#: A card for an agent: what takes long and is asked for by other questions is left out.
_PLAIN = HoverConfig(layout=False, maintainers=False)
_WITH_LAYOUT = HoverConfig(callers=False, maintainers=False)
_MAX_HEAD_LINES = 4
_TITLE_WORD = re.compile(r"[a-z][\w-]+")
#: Words of a question for maintainers that no title is meant by.
_ASKING = STOP_WORDS | {"maintain", "maintains", "maintainer", "maintainers", "maintained", "patch", "patches", "send"}
_MAX_ENTRIES = 6


@dataclass(frozen=True, slots=True)
class Definition:
    """One definition: its place with its conditions, and its declaration without a body."""

    symbol: Symbol
    place: Place
    head: str


@dataclass(frozen=True, slots=True)
class DefinitionText:
    """The lines of a definition, 0-based and inclusive, the comment above left out; ``more_lines`` were cut."""

    path: str
    first_line: int
    last_line: int
    text: str
    more_lines: int


@dataclass(frozen=True, slots=True)
class Locking:
    """Locks and contexts of a function. ``card`` has the rules that it states and the sleeping functions it calls;
    ``complete``: all paths through it could be followed."""

    symbol: Symbol
    card: HoverCard | None
    statements: tuple[Statement, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class Responsible:
    """The entries of MAINTAINERS for a file, the most specific first."""

    path: str
    entries: tuple[MaintainerEntry, ...]


def described(view: View, symbols: Iterable[Symbol]) -> list[Definition]:
    """Each definition with its conditions."""
    reader = CardReader(view, None)
    return [Definition(symbol, reader.place(symbol), _head(reader, symbol)) for symbol in symbols]


def _head(reader: CardReader, symbol: Symbol) -> str:
    data = reader.data(symbol.path)
    if not data:
        return ""
    if symbol.kind in (Kind.MACRO, Kind.TRACEPOINT, Kind.ASM_LABEL, Kind.ENUMERATOR, Kind.MODULE_PARAM):
        return first_lines(data[symbol.start : symbol.end], _MAX_HEAD_LINES)
    if symbol.kind is Kind.CONFIG:
        return ""
    if symbol.kind is Kind.MEMBER:
        return " ".join(first_lines(data[symbol.start : symbol.end], 1).split())
    return declaration_head(data, symbol)


def card_of(view: View, symbol: Symbol) -> HoverCard | None:
    """What a hover shows of a symbol, without its layout and maintainers."""
    return card_for_symbol(view, symbol, _PLAIN)


def layout_card(view: View, symbol: Symbol) -> HoverCard | None:
    """The card of a struct or union with the layout."""
    return card_for_symbol(view, symbol, _WITH_LAYOUT)


def definition_text(view: View, symbol: Symbol, max_lines: int) -> DefinitionText | None:
    """The text of a definition as it is in its file; None if it cannot be read."""
    source = view.source(symbol.path)
    if source is None:
        return None
    start = source.data.rfind(b"\n", 0, start_with_annotations(source.data, symbol.start)) + 1
    first = source.lines.line_of(start)
    last = source.lines.line_of(max(symbol.end - 1, start))
    cut = min(last, first + max_lines - 1)
    text = decode(b"\n".join(source.lines.line_bytes(line).rstrip(b"\r\n") for line in range(first, cut + 1)))
    return DefinitionText(symbol.path, first, last, text, last - cut)


def explained(view: View, symbol: Symbol) -> Explanation | None:
    """The page about a function or a macro."""
    from kexpert.features.explain.explain import explanation_of

    source = view.source(symbol.path)
    return explanation_of(view, source, symbol) if source is not None and symbol.kind in CODE else None


def locking(view: View, symbol: Symbol) -> Locking | None:
    """Locks and contexts of a function; None if it cannot be read."""
    from kexpert.features.explain.callee_effects import body_in_tree
    from kexpert.features.explain.contexts import context_statements
    from kexpert.features.explain.flow import Flow
    from kexpert.features.explain.locks import lock_rules, lock_statements, lock_uses

    source = view.source(symbol.path)
    if source is None:
        return None
    card = card_for_symbol(view, symbol, HoverConfig(callers=False, layout=False, maintainers=False))
    if symbol.kind not in CODE:
        return Locking(symbol, card, (), True)
    body = body_in_tree(view, source, symbol)
    flow = Flow(body)
    uses = lock_uses(body, flow)
    found = [*lock_statements(body, flow, uses, lock_rules(body, flow, uses)), *context_statements(body, flow)]
    return Locking(symbol, card, tuple(dict.fromkeys(found)), flow.complete and body.root is not None)


def responsible(view: View, path: str) -> Responsible | None:
    """Who maintains a file or folder; None where the tree has no MAINTAINERS."""
    data = view.data("MAINTAINERS")
    if data is None:
        return None
    path = path.rstrip("/")
    entries = _parsed(data).match(f"{path}/Makefile" if view.list_dir(path) else path)
    return Responsible(path, tuple(entries[:_MAX_ENTRIES]))


def named_maintainers(view: View, text: str) -> list[MaintainerEntry]:
    """The entries of MAINTAINERS whose titles hold the most words of a text, the shortest first; none for no word."""
    data = view.data("MAINTAINERS")
    words = {word for word in _TITLE_WORD.findall(text.lower()) if word not in _ASKING}
    if data is None or not words:
        return []
    entries = _parsed(data).entries
    held = [sum(word in entry.title.lower().replace(" ", "") for word in words) for entry in entries]
    most = max(held, default=0)
    best = [entry for entry, count in zip(entries, held, strict=True) if count == most] if most else []
    return sorted(best, key=lambda entry: len(entry.title))


@lru_cache(maxsize=2)
def _parsed(data: bytes) -> MaintainersFile:
    return parse_maintainers(data)
