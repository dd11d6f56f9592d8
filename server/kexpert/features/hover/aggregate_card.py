"""Cards of structs and unions with their layout, of enums and enumerators with their values."""

from __future__ import annotations

from collections.abc import Sequence

from kexpert.core.docs.kerneldoc import inline_member_docs, parse_kerneldoc
from kexpert.core.symbols import Kind, Symbol
from kexpert.core.text import decode
from kexpert.features.hover.card import HoverCard, plain_text, restructured_text
from kexpert.features.hover.card_reader import MAX_VARIANTS, Reading, comment_of, other_variants
from kexpert.features.hover.code_card import head, trimmed
from kexpert.features.hover.comment_text import above_line, beside
from kexpert.features.hover.enum_card import MAX_ENUM, enum_around, enumerators
from kexpert.features.hover.macro_card import MacroLookup
from kexpert.features.hover.type_sizes import layout_of

_MAX_ENUMERATORS = 24
_MAX_BODY_LINES = 30


def aggregate_card(reading: Reading, symbol: Symbol, symbols: Sequence[Symbol]) -> HoverCard:
    """A struct, union or enum by its tag."""
    word = {Kind.STRUCT: "struct", Kind.UNION: "union"}.get(symbol.kind, "enum")
    variants = other_variants(reading, symbol, symbols)
    card = HoverCard(symbol.name, word)
    data = reading.data(symbol.path) or b""
    card.documentation = reading.documentation([symbol, *variants[:2]])
    card.place = reading.place(symbol)
    card.variants = tuple(reading.place(one) for one in variants[:MAX_VARIANTS])
    card.more_variants = max(0, len(variants) - MAX_VARIANTS)
    card.maintainers = reading.maintainers(symbol.path)
    if symbol.kind == Kind.ENUM:
        card.code = head(data, symbol)
        found = enumerators(data[symbol.start : symbol.end][:MAX_ENUM], MacroLookup(reading))
        card.enumerators = tuple(found[:_MAX_ENUMERATORS])
        card.more_enumerators = max(0, len(found) - _MAX_ENUMERATORS)
        return card
    card.layout = layout_of(reading, symbol) if reading.config.layout else None
    shows_body = reading.config.layout and card.layout is None
    card.code = trimmed(data[symbol.start : symbol.end], _MAX_BODY_LINES) if shows_body else head(data, symbol)
    return card


def enumerator_card(reading: Reading, symbol: Symbol) -> HoverCard:
    """One enumerator with its value, worked out from the enum around it."""
    card = HoverCard(symbol.name, "enumerator", f"enum {symbol.scope}" if symbol.scope else "")
    data = reading.data(symbol.path) or b""
    card.code = decode(data[symbol.start : symbol.end]).strip()
    card.place = reading.place(symbol)
    card.maintainers = reading.maintainers(symbol.path)
    extent = enum_around(data, symbol.name_start)
    if extent is not None:
        text = data[extent[0] : extent[1]]
        values = {one.name: one.value for one in enumerators(text, MacroLookup(reading))}
        card.value = values.get(symbol.name)
        doc = parse_kerneldoc(comment_of(data, extent[0]))
        documented = {one.name: one.text for one in doc.params} if doc else {}
        described = documented.get(symbol.name) or inline_member_docs(text).get(symbol.name, "")
        card.documentation = restructured_text(described)
    if not card.documentation:
        card.documentation = plain_text(beside(data, symbol.end) or above_line(data, symbol.start))
    return card
