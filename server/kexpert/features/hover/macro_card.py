"""Cards of macros: the definition, and what it stands for where it is used."""

from __future__ import annotations

from collections.abc import Sequence

from kexpert.core.symbols import Kind, Symbol
from kexpert.features.hover.card import HoverCard
from kexpert.features.hover.card_reader import MAX_VARIANTS, Reading, other_variants
from kexpert.features.hover.code_card import trimmed
from kexpert.features.hover.enum_card import enum_around, enumerators
from kexpert.features.semantics.definition_ranking import is_private
from kexpert.features.semantics.macro_expansion import Macro, call_arguments, expand, parse_macro

_MAX_LINES = 12
_MAX_EXPANSION = 900
_MAX_CANDIDATES = 6

#: What the compiler or the configuration gives, as an LP64 kernel built by a current compiler has it.
_KNOWN = {
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


def macro_card(reading: Reading, symbol: Symbol, symbols: Sequence[Symbol], use: tuple[bytes, int] | None) -> HoverCard:
    """``use``: the text and the offset behind the macro's name where it is used; None at its definition."""
    variants = other_variants(reading, symbol, symbols)
    looked_at = variants[: MAX_VARIANTS + 1]
    variants = [one for one in looked_at if reading.in_kernel(one)] + variants[len(looked_at) :]
    text = reading.text(symbol)
    card = HoverCard(symbol.name, "macro", code=trimmed(text, _MAX_LINES))
    card.documentation = reading.documentation([symbol, *variants[:3]])
    card.place = reading.place(symbol)
    card.variants = tuple(reading.place(one) for one in variants[:MAX_VARIANTS])
    card.more_variants = max(0, len(variants) - MAX_VARIANTS)
    card.maintainers = reading.maintainers(symbol.path)
    macro = parse_macro(text)
    if macro is not None:
        _expansion(reading, macro, use, card)
        if any(_contradicts(reading, symbol, one) for one in looked_at if one in variants):
            card.value = None
    return card


def _contradicts(reading: Reading, symbol: Symbol, other: Symbol) -> bool:
    """Whether another definition of as good a standing says something else: then the value is not known."""
    equal = other.path == symbol.path or other.path.split("/")[0] == symbol.path.split("/")[0] in ("include", "arch")
    return equal and reading.text(other).split() != reading.text(symbol).split()


class MacroLookup:
    """Finds the one meaning of a macro or an enumerator; declines where definitions differ. Answers
    are kept."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._known: dict[str, Macro | None] = dict(_KNOWN)

    def __call__(self, name: str) -> Macro | None:
        if name not in self._known:
            self._known[name] = self._find(name)
        return self._known[name]

    def _find(self, name: str) -> Macro | None:
        reading = self._reading
        rows = reading.lookup(name, (Kind.MACRO, Kind.ENUMERATOR), limit=20)
        found = [one for one in rows if one.kind == Kind.MACRO]
        if rows and not found:
            return self._enumerator(rows)
        own = [one for one in found if one.path == reading.near]
        shared = [one for one in found if not is_private(one) and one.path.startswith("include/")]
        candidates = own or shared
        if len(candidates) > _MAX_CANDIDATES:
            return None
        texts = [reading.text(one) for one in candidates if len(candidates) == 1 or reading.in_kernel(one)]
        if len({b"".join(text.split()) for text in texts}) != 1:
            return None
        return parse_macro(texts[0])


    def _enumerator(self, rows: list[Symbol]) -> Macro | None:
        """An enumerator as a macro that stands for its value, when it has one value only."""
        values: set[int | None] = set()
        for row in rows[:_MAX_CANDIDATES]:
            data = self._reading.data(row.path) or b""
            extent = enum_around(data, row.name_start)
            found = enumerators(data[extent[0] : extent[1]], self) if extent else []
            values.add(next((one.value for one in found if one.name == row.name), None))
        value = values.pop() if len(values) == 1 and len(rows) <= _MAX_CANDIDATES else None
        return None if value is None else Macro(rows[0].name, None, "", str(value))


def _expansion(reading: Reading, macro: Macro, use: tuple[bytes, int] | None, card: HoverCard) -> None:
    arguments = None
    if macro.parameters is not None:
        arguments = call_arguments(*use) if use else None
        if arguments is None:
            return
    lookup = MacroLookup(reading)
    found = expand(macro, arguments, lookup)
    if found is None:
        return
    card.value = found.value
    text = found.text.expandtabs(8)
    changed = found.text != macro.body and found.text != str(found.value)
    if text and changed and len(text) <= _MAX_EXPANSION and text.count("\n") < _MAX_LINES:
        card.expansion = text
