"""Cards of macros: the definition, and its expansion where it is used."""

from __future__ import annotations

from collections.abc import Sequence

from kexpert.core.symbols import Kind, Symbol
from kexpert.features.hover.card import Documentation, HoverCard, PlainText, plain_text
from kexpert.features.hover.card_reader import CardReader, other_variants
from kexpert.features.hover.code_card import first_lines
from kexpert.features.hover.comment_text import about_constant
from kexpert.features.hover.macro_meanings import meanings_in
from kexpert.features.semantics.compiled_text import Compilation
from kexpert.features.semantics.macro_expansion import Macro, call_arguments, expand, parse_macro

_MAX_LINES = 12
_MAX_EXPANSION_CHARS = 900
#: Variants whose conditions and text are read.
_MAX_READ_VARIANTS = 9


def macro_card(
    reader: CardReader, symbol: Symbol, symbols: Sequence[Symbol], use: tuple[bytes, int] | None
) -> HoverCard:
    """``use``: the text and the offset after the macro's name where it is used; None at its definition."""
    variants = other_variants(reader, symbol, symbols)
    read = [variant for variant in variants[:_MAX_READ_VARIANTS] if reader.is_for_kernel(variant)]
    variants = read + variants[_MAX_READ_VARIANTS:]
    text = reader.text(symbol)
    card = HoverCard(symbol.name, "macro", code=first_lines(text, _MAX_LINES))
    card.documentation = reader.documentation([symbol, *variants[:3]])
    reader.add_places(card, symbol, variants)
    macro = parse_macro(text)
    if macro is not None and macro.parameters is None:
        card.documentation = _documentation(reader, symbol, card.documentation)
    if macro is not None:
        _add_expansion(reader, macro, symbol.path, use, card)
        if card.value is not None and any(_contradicts(reader, symbol, variant) for variant in read):
            compilation = Compilation(reader.view, reader.source(reader.path or symbol.path))
            compiled = [row for row in compilation.variants([symbol, *read]) if row.kind is Kind.MACRO]
            if compiled != [symbol] and compilation.last_read(compiled) != symbol:
                card.value = None
    return card


def _documentation(
    reader: CardReader, symbol: Symbol, above: tuple[Documentation, ...]
) -> tuple[Documentation, ...]:
    """The kernel-doc of a constant, else what a comment says about it. ``above``: the documentation above it."""
    own = above[0].text if above and isinstance(above[0], PlainText) else ""
    if above and not own:
        return above
    return plain_text(about_constant(reader.data(symbol.path) or b"", symbol.name, own))


def _contradicts(reader: CardReader, symbol: Symbol, other: Symbol) -> bool:
    """True if an equally good definition has another text: then the value is not known."""
    shared = ("include", "arch")
    is_equal = other.path == symbol.path or other.path.split("/")[0] == symbol.path.split("/")[0] in shared
    return is_equal and reader.text(other).split() != reader.text(symbol).split()


def _add_expansion(
    reader: CardReader, macro: Macro, path: str, use: tuple[bytes, int] | None, card: HoverCard
) -> None:
    arguments = None
    if macro.parameters is not None:
        arguments = call_arguments(*use) if use else None
        if arguments is None:
            return
    expansion = expand(macro, arguments, meanings_in(reader, path).lookup_in(reader.path or path))
    if expansion is None:
        return
    card.value = expansion.value
    text = expansion.text.expandtabs(8)
    is_news = expansion.text != macro.body and expansion.text != str(expansion.value)
    if text and is_news and len(text) <= _MAX_EXPANSION_CHARS and text.count("\n") < _MAX_LINES:
        card.expansion = text
