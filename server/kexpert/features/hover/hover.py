"""Hover: the name under the cursor as a card of facts."""

from __future__ import annotations

import time
from collections.abc import Sequence

from kexpert.core.c.function_extent import enclosing_function, function_tokens
from kexpert.core.c.source import Source
from kexpert.core.retrieval.chunk import Chunk, ChunkKind
from kexpert.core.symbols import Kind, Symbol
from kexpert.core.text import decode
from kexpert.features.hover.aggregate_card import aggregate_card, enumerator_card
from kexpert.features.hover.card import HoverCard, Place, Similar
from kexpert.features.hover.card_reader import DEFAULT_CONFIG, CardReader, HoverConfig
from kexpert.features.hover.config_card import config_card
from kexpert.features.hover.file_card import documentation_card, include_card
from kexpert.features.hover.function_card import function_card
from kexpert.features.hover.macro_card import macro_card
from kexpert.features.hover.member_card import member_card, member_symbol_card
from kexpert.features.hover.variable_card import local_card, parameter_card, typedef_card, variable_card
from kexpert.features.semantics.definition_ranking import kernel_first
from kexpert.features.semantics.resolve import Resolved, resolve
from kexpert.features.semantics.variant_states import Place as AskingPlace
from kexpert.view import View

__all__ = ["HoverCard", "HoverConfig", "card_for_symbol", "hover", "warm"]

_MENTIONS = (Kind.EXPORT, Kind.INITCALL)
_MAX_SIMILAR = 3
#: Kinds that have a "See also".
_CHUNK_KINDS = {
    Kind.FUNCTION: ChunkKind.FUNCTION, Kind.SYSCALL: ChunkKind.FUNCTION, Kind.STRUCT: ChunkKind.STRUCT,
}  # fmt: skip


def hover(view: View, source: Source, offset: int, config: HoverConfig = DEFAULT_CONFIG) -> HoverCard | None:
    """The card of the name at ``offset``; None if nothing is known about it."""
    deadline = time.monotonic() + config.similar_within_seconds
    found = resolve(view, source, offset)
    if found is None:
        return None
    wants_similar = config.similar_within_seconds > 0 and found.kind == "symbol"
    if wants_similar:
        _similar(view, found.symbols, 0.0)  # starts the search, which runs while the card is made
    card = _card(CardReader(view, source, config), source, found)
    if card is not None:
        card.start, card.end = found.start, found.end
        if card.layout is not None or card.what in ("struct", "union"):
            card.near = members_used(source, offset)
        if wants_similar:
            card.similar = _similar(view, found.symbols, max(0.0, deadline - time.monotonic()))
    return card


def members_used(source: Source, offset: int) -> frozenset[str]:
    """The members that the function around an offset names, of any struct."""
    function = enclosing_function(source, offset)
    if function is None:
        return frozenset()
    tokens = function_tokens(source, function)
    return frozenset(tokens[at] for at in range(1, len(tokens)) if tokens[at - 1] in ("->", ".") and tokens.is_word(at))


def _similar(view: View, symbols: Sequence[Symbol], seconds: float) -> tuple[Similar, ...]:
    """Code of other files that is most like a definition, if it is found within ``seconds``. Those files are not
    read: a hover waits for this."""
    definition = next((symbol for symbol in symbols if symbol.kind in _CHUNK_KINDS), None)
    source = view.source(definition.path) if definition else None
    if definition is None or source is None:
        return ()
    body = decode(source.data[definition.start : definition.end])
    chunk = Chunk(
        definition.path, _CHUNK_KINDS[definition.kind], definition.name, definition.line, definition.start,
        definition.end, "", body,
    )  # fmt: skip
    hits = view.similar(chunk, _MAX_SIMILAR, other_files=True, timeout=seconds)
    return tuple(Similar(hit.name, Place(hit.path, hit.line)) for hit in hits)


def card_for_symbol(view: View, symbol: Symbol, config: HoverConfig = DEFAULT_CONFIG) -> HoverCard | None:
    """The card of a symbol of the index, as for a completion item. It has no "See also"."""
    return _symbol_card(CardReader(view, None, config), symbol, view.lookup(symbol.name), None)


def warm(view: View, source: Source) -> None:
    """Read what every card of a tree needs, and the headers of a file, so that the first card does not wait."""
    CardReader(view, source).maintainers(source.path)
    if source.path.endswith((".c", ".h", ".S")):
        AskingPlace.at(view, source).read_headers()


def _card(reader: CardReader, source: Source, found: Resolved) -> HoverCard | None:
    if found.kind in ("local", "label") and found.local is not None:
        return local_card(reader, source, found.local)
    if found.kind == "member":
        return member_card(reader, found)
    if found.kind == "include":
        return include_card(reader, found.name, found.path)
    if found.kind == "document":
        return documentation_card(reader, found.name, found.path)
    if found.kind == "config":
        return config_card(reader, found.name, found.symbols)
    if not found.symbols:
        return None
    here = [symbol for symbol in found.symbols if symbol.path == source.path and symbol.name_start == found.start]
    defining = [symbol for symbol in found.symbols if symbol.kind not in _MENTIONS]
    symbols = here or kernel_first(defining, reader.data) or found.symbols
    card = _symbol_card(reader, symbols[0], found.symbols, None if here else (source.data, found.end))
    if card is not None:
        card.symbol = symbols[0]
    return card


def _symbol_card(
    reader: CardReader, symbol: Symbol, symbols: Sequence[Symbol], use: tuple[bytes, int] | None
) -> HoverCard | None:
    """``symbols``: everything of that name. ``use``: the text and the end of the name where it is used."""
    match symbol.kind:
        case Kind.FUNCTION | Kind.PROTOTYPE | Kind.SYSCALL | Kind.TRACEPOINT | Kind.ASM_LABEL:
            return function_card(reader, symbol, symbols)
        case Kind.MACRO:
            return macro_card(reader, symbol, symbols, use)
        case Kind.STRUCT | Kind.UNION | Kind.ENUM:
            return aggregate_card(reader, symbol, symbols)
        case Kind.ENUMERATOR:
            return enumerator_card(reader, symbol)
        case Kind.MEMBER:
            return member_symbol_card(reader, symbol)
        case Kind.TYPEDEF:
            return typedef_card(reader, symbol, symbols)
        case Kind.VARIABLE | Kind.DECLARATION:
            return variable_card(reader, symbol, symbols)
        case Kind.MODULE_PARAM:
            return parameter_card(reader, symbol)
        case Kind.CONFIG:
            return config_card(reader, symbol.name, symbols)
        case _:
            return None
