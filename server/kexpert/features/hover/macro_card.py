"""Cards of macros: the definition, and its expansion where it is used."""

from __future__ import annotations

from collections.abc import Sequence

from kexpert.core.symbols import Kind, Symbol
from kexpert.features.hover.card import HoverCard
from kexpert.features.hover.card_reader import CardReader, other_variants
from kexpert.features.hover.code_card import first_lines
from kexpert.features.hover.enum_values import enclosing_enum, enumerator_values
from kexpert.features.semantics.definition_ranking import is_private
from kexpert.features.semantics.macro_expansion import Macro, call_arguments, expand, parse_macro

_MAX_LINES = 12
_MAX_EXPANSION_CHARS = 900
_MAX_CANDIDATES = 6
#: Variants whose conditions and text are read.
_MAX_READ_VARIANTS = 9

#: Values that the compiler or the configuration gives, for an LP64 kernel and a current compiler.
KNOWN_MACROS = {
    macro.name: macro
    for macro in map(
        parse_macro,
        (
            b"#define BITS_PER_LONG 64",
            b"#define BITS_PER_LONG_LONG 64",
            b"#define BITS_PER_BYTE 8",
            b"#define _AC(number, suffix) number##suffix",
            b"#define BUILD_BUG_ON_ZERO(condition) 0",
            b"#define GENMASK_INPUT_CHECK(high, low) 0",
        ),
    )
    if macro is not None
}


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
    if macro is not None:
        _add_expansion(reader, macro, use, card)
        if any(_contradicts(reader, symbol, variant) for variant in read):
            card.value = None
    return card


def _contradicts(reader: CardReader, symbol: Symbol, other: Symbol) -> bool:
    """True if an equally good definition has another text: then the value is not known."""
    shared = ("include", "arch")
    is_equal = other.path == symbol.path or other.path.split("/")[0] == symbol.path.split("/")[0] in shared
    return is_equal and reader.text(other).split() != reader.text(symbol).split()


class MacroLookup:
    """Finds the only meaning of a macro or an enumerator; None if definitions differ. Answers are kept."""

    def __init__(self, reader: CardReader) -> None:
        self._reader = reader
        self._known: dict[str, Macro | None] = dict(KNOWN_MACROS)

    def __call__(self, name: str) -> Macro | None:
        if name not in self._known:
            self._known[name] = self._find(name)
        return self._known[name]

    def _find(self, name: str) -> Macro | None:
        reader = self._reader
        symbols = reader.lookup(name, (Kind.MACRO, Kind.ENUMERATOR), limit=20)
        macros = [symbol for symbol in symbols if symbol.kind == Kind.MACRO]
        if symbols and not macros:
            return self._enumerator(symbols)
        own = [macro for macro in macros if macro.path == reader.path]
        shared = [macro for macro in macros if not is_private(macro) and macro.path.startswith("include/")]
        candidates = own or shared
        if len(candidates) > _MAX_CANDIDATES:
            return None
        texts = [reader.text(macro) for macro in candidates if len(candidates) == 1 or reader.is_for_kernel(macro)]
        if len({b"".join(text.split()) for text in texts}) != 1:
            return None
        return parse_macro(texts[0])

    def _enumerator(self, symbols: list[Symbol]) -> Macro | None:
        """An enumerator with only one value, as a macro of that value."""
        values: set[int | None] = set()
        for symbol in symbols[:_MAX_CANDIDATES]:
            data = self._reader.data(symbol.path) or b""
            span = enclosing_enum(data, symbol.name_start)
            found = enumerator_values(data[span[0] : span[1]], self) if span else []
            values.add(next((enumerator.value for enumerator in found if enumerator.name == symbol.name), None))
        value = values.pop() if len(values) == 1 and len(symbols) <= _MAX_CANDIDATES else None
        return None if value is None else Macro(symbols[0].name, None, "", str(value))


def _add_expansion(reader: CardReader, macro: Macro, use: tuple[bytes, int] | None, card: HoverCard) -> None:
    arguments = None
    if macro.parameters is not None:
        arguments = call_arguments(*use) if use else None
        if arguments is None:
            return
    expansion = expand(macro, arguments, MacroLookup(reader))
    if expansion is None:
        return
    card.value = expansion.value
    text = expansion.text.expandtabs(8)
    is_news = expansion.text != macro.body and expansion.text != str(expansion.value)
    if text and is_news and len(text) <= _MAX_EXPANSION_CHARS and text.count("\n") < _MAX_LINES:
        card.expansion = text
