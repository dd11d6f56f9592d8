"""Cards of structs and unions with their layout, of enums and enumerators with their values."""

from __future__ import annotations

from collections.abc import Sequence

from kexpert.core.docs.kerneldoc import inline_member_docs, parse_kerneldoc
from kexpert.core.symbols import Flag, Kind, Symbol
from kexpert.core.text import decode
from kexpert.features.hover.card import HoverCard, plain_text, restructured_text
from kexpert.features.hover.card_reader import CardReader, comment_of, other_variants
from kexpert.features.hover.code_card import declaration_head, first_lines
from kexpert.features.hover.comment_text import about_constant, comment_above_line, comment_beside_text
from kexpert.features.hover.enum_values import enum_of
from kexpert.features.hover.macro_meanings import meanings_in
from kexpert.features.hover.type_sizes import layout_of

_KIND_WORDS = {Kind.STRUCT: "struct", Kind.UNION: "union", Kind.ENUM: "enum"}
_MAX_ENUMERATORS = 24
_MAX_CALL_CHARS = 80
_MAX_BODY_LINES = 30


def aggregate_card(reader: CardReader, symbol: Symbol, symbols: Sequence[Symbol]) -> HoverCard:
    """A struct, union or enum with a tag."""
    variants = other_variants(reader, symbol, symbols)
    card = HoverCard(symbol.name, _KIND_WORDS[symbol.kind])
    data = reader.data(symbol.path) or b""
    card.documentation = reader.documentation([symbol, *variants[:2]])
    reader.add_places(card, symbol, variants)
    if symbol.kind == Kind.ENUM:
        card.code = declaration_head(data, symbol)
        found = meanings_in(reader, symbol.path).enumerators(symbol.path, symbol.start, symbol.end)
        card.enumerators = tuple(found[:_MAX_ENUMERATORS])
        card.more_enumerators = max(0, len(found) - _MAX_ENUMERATORS)
        return card
    card.layout = layout_of(reader, symbol) if reader.config.layout else None
    if reader.config.layout and card.layout is None:
        card.code = first_lines(data[symbol.start : symbol.end], _MAX_BODY_LINES)
    else:
        card.code = declaration_head(data, symbol)
    return card


def enumerator_card(reader: CardReader, symbol: Symbol) -> HoverCard:
    """An enumerator with its value."""
    card = HoverCard(symbol.name, "enumerator", f"enum {symbol.scope}" if symbol.scope else "")
    data = reader.data(symbol.path) or b""
    card.code = decode(data[symbol.start : symbol.end]).strip()
    if symbol.flags & Flag.IDIOM and card.code != symbol.name:  # a list macro makes it
        card.code = f"{symbol.name} /* {' '.join(card.code.split())[:_MAX_CALL_CHARS]} */"
    reader.add_places(card, symbol)
    span = enum_of(reader.view, symbol)
    if span is not None:
        text = data[span[0] : span[1]]
        values = {each.name: each.value for each in meanings_in(reader, symbol.path).enumerators(symbol.path, *span)}
        card.value = values.get(symbol.name)
        doc = parse_kerneldoc(comment_of(data, span[0]))
        documented = {param.name: param.text for param in doc.params} if doc else {}
        described = documented.get(symbol.name) or inline_member_docs(text).get(symbol.name, "")
        card.documentation = restructured_text(described)
    if not card.documentation:
        comment = comment_beside_text(data, symbol.end) or comment_above_line(data, symbol.start)
        card.documentation = plain_text(about_constant(data, symbol.name, comment))
    return card
