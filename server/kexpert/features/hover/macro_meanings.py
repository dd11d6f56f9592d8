"""What macros and enumerators mean in the files of types and constants, as the configuration in view has them."""

from __future__ import annotations

import re

from kexpert.core.c.lex import blank_comments
from kexpert.core.symbols import Kind, Symbol
from kexpert.core.text import decode, encode
from kexpert.features.hover.card import Enumerator
from kexpert.features.hover.card_reader import CardReader, is_in_reach
from kexpert.features.hover.enum_values import MAX_ENUM_BYTES, enum_of, enumerator_values
from kexpert.features.semantics.compiled_text import Compilation
from kexpert.features.semantics.definition_ranking import NOT_KERNEL, is_private
from kexpert.features.semantics.macro_expansion import Lookup, Macro, Measure, evaluate, parse_macro
from kexpert.features.semantics.member_macros import expand_calls

_BOUNDS = "kernel/bounds.c"
#: A call where an enumerator begins.
_CALL = re.compile(rb"[{,)\n][ \t]*[A-Za-z_]\w*\(")
#: A word where an enumerator begins; it may expand to several.
_LIST = re.compile(rb"([{,]\s*)([A-Za-z_]\w*)(?=\s*[\w}])")
_MAX_LOOKUPS = 120
_MAX_ROWS = 40
_MAX_CANDIDATES = 6
#: Values that the compiler or the configuration gives, for an LP64 kernel and a current compiler.
_KNOWN_MACROS = {
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


class MacroMeanings:
    """The only meaning of a macro or an enumerator in a file, and the values of constants. Answers are kept."""

    def __init__(
        self, reader: CardReader, compilation: Compilation, measure: Measure = lambda keyword, operand: None
    ) -> None:
        self._reader = reader
        self._measure = measure
        self._compilation = compilation
        self._known: dict[tuple[str, str], Macro | None] = {}
        self._lookups = _MAX_LOOKUPS

    def value(self, expression: str, path: str) -> int | None:
        """The value of a macro, an enumerator or an expression of them where a file uses it."""
        return evaluate(expression, lambda word: self.macro(word, path), self._measure)

    def macro(self, name: str, path: str) -> Macro | None:
        """The only meaning of a macro or an enumerator in a file; None if there are several."""
        if name in _KNOWN_MACROS:
            return _KNOWN_MACROS[name]
        key = name, path
        if key not in self._known:
            self._known[key] = None
            self._known[key] = self._compilation.macro(name) or self._find(name, path)
        return self._known[key]

    def _find(self, name: str, path: str) -> Macro | None:
        if self._lookups <= 0:
            return None
        self._lookups -= 1
        found = self._reader.view.lookup(name, (Kind.MACRO, Kind.ENUMERATOR), _MAX_ROWS)
        found = [row for row in found if row.path == path or not is_private(row)]
        near = [row for row in found if row.path == path or is_in_reach(row.path, path)]
        rows = self._compilation.variants(near or [row for row in found if not row.path.startswith(NOT_KERNEL)])
        rows = [row for row in rows if row.path == path] or rows
        if not rows:
            return self._generated(name)
        if len(rows) > (_MAX_CANDIDATES if near else 1):
            return None
        macros = [row for row in rows if row.kind is Kind.MACRO]
        if not macros:
            return self._enumerator(rows)
        texts = [self._reader.text(row) for row in macros if self._reader.is_for_kernel(row)]
        if len({b"".join(text.split()) for text in texts}) != 1:
            last = self._compilation.last_read(macros)
            return parse_macro(self._reader.text(last)) if last else None
        macro = parse_macro(texts[0])
        if macro is not None and macro.body == name:  # ``#define NAME NAME`` beside an enumerator
            return self._enumerator([row for row in rows if row.kind is Kind.ENUMERATOR])
        return macro

    def _generated(self, name: str) -> Macro | None:
        """A constant that the build writes to ``generated/bounds.h``."""
        data = self._reader.data(_BOUNDS) or b""
        text = decode(self._compilation.text(_BOUNDS, data, 0, len(data)))
        found = re.findall(rf"\bDEFINE\({re.escape(name)},\s*(.+)\);", text)
        value = self.value(found[0], _BOUNDS) if len(found) == 1 else None
        return None if value is None else Macro(name, None, "", str(value))

    def _enumerator(self, rows: list[Symbol]) -> Macro | None:
        values: set[int | None] = set()
        for row in rows:
            span = enum_of(self._reader.view, row)
            found = self.enumerators(row.path, *span) if span else []
            values.add(next((each.value for each in found if each.name == row.name), None))
        value = values.pop() if len(values) == 1 else None
        return None if value is None else Macro(rows[0].name, None, "", str(value))

    def enumerators(self, path: str, start: int, end: int) -> list[Enumerator]:
        """The enumerators of an enum by its text's place, with those that macros make, where these are known."""
        if end - start >= MAX_ENUM_BYTES:
            return []
        text = self._compilation.text(path, self._reader.data(path) or b"", start, end)
        lookup = self.lookup_in(path)

        def listed(match: re.Match[bytes]) -> bytes:
            macro = lookup(decode(match[2]))
            is_list = macro is not None and macro.parameters is None and "(" in macro.body
            return match[1] + encode(macro.body) if macro and is_list else match[0]

        if _CALL.search(text) or _LIST.search(text):
            code = _LIST.sub(listed, blank_comments(text))
            text = encode(expand_calls(decode(code), lookup) or "") or text if _CALL.search(code) else text
        return enumerator_values(text, lookup)

    def lookup_in(self, path: str) -> Lookup:
        """The look-up of macros as a file has them."""
        return lambda word: self.macro(word, path)


def meanings_in(reader: CardReader, path: str) -> MacroMeanings:
    """What macros and enumerators mean for the file under the cursor, or for a file if there is none."""
    return MacroMeanings(reader, Compilation(reader.view, reader.source(reader.path or path)))
