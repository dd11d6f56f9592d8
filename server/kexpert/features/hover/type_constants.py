"""Macros and enumerators in the lengths of arrays and widths of bit-fields, as the configuration in view has them."""

from __future__ import annotations

import re

from kexpert.core.c.lex import blank_comments
from kexpert.core.symbols import Kind, Symbol
from kexpert.core.text import decode, encode
from kexpert.features.hover.card import Enumerator
from kexpert.features.hover.card_reader import CardReader, is_in_reach
from kexpert.features.hover.enum_values import MAX_ENUM_BYTES, enclosing_enum, enumerator_values
from kexpert.features.hover.macro_card import KNOWN_MACROS
from kexpert.features.hover.member_macros import expand_calls
from kexpert.features.semantics.compiled_text import Compilation
from kexpert.features.semantics.definition_ranking import NOT_KERNEL, is_private
from kexpert.features.semantics.macro_expansion import Macro, Measure, evaluate, parse_macro

_BOUNDS = "kernel/bounds.c"
#: A call where an enumerator begins.
_CALL = re.compile(rb"[{,)\n][ \t]*[A-Za-z_]\w*\(")
_MAX_LOOKUPS = 120
_MAX_ROWS = 40
_MAX_CANDIDATES = 6


class TypeConstants:
    """The value of constants in the files of types. Answers are kept."""

    def __init__(self, reader: CardReader, compilation: Compilation, measure: Measure) -> None:
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
        if name in KNOWN_MACROS:
            return KNOWN_MACROS[name]
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
            return None
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
            data = self._reader.data(row.path) or b""
            span = enclosing_enum(data, row.name_start)
            text = self._compilation.text(row.path, data, *span) if span and span[1] - span[0] < MAX_ENUM_BYTES else b""
            found = self._values(text, row.path)
            values.add(next((each.value for each in found if each.name == row.name), None))
        value = values.pop() if len(values) == 1 else None
        return None if value is None else Macro(rows[0].name, None, "", str(value))

    def _values(self, text: bytes, path: str) -> list[Enumerator]:
        """The enumerators of an enum with those that macros make, where these are known."""

        def lookup(word: str) -> Macro | None:
            return self.macro(word, path)

        if _CALL.search(text):
            text = encode(expand_calls(decode(blank_comments(text)), lookup) or "") or text
        return enumerator_values(text, lookup)
