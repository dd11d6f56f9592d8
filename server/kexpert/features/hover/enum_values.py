"""The values of enumerators, computed from the text of their enum."""

from __future__ import annotations

import re

from kexpert.core.c.lex import blank_comments
from kexpert.core.c.tokens import Tokens
from kexpert.core.symbols import Flag, Kind, Symbol
from kexpert.features.hover.card import Enumerator
from kexpert.features.semantics.macro_expansion import Lookup, evaluate
from kexpert.view import View

MAX_ENUM_BYTES = 256 * 1024
_MAX_HEAD_BYTES = 300
#: Directives after which more or fewer enumerators may come; a ``#define`` is not one.
_SPLITS = re.compile(rb"#[ \t]*(?!(?:define|undef|pragma|error|warning)\b)")
_MAX_EXPRESSION_TOKENS = 100


def enumerator_values(text: bytes, lookup: Lookup) -> list[Enumerator]:
    """The enumerators of ``enum … { … }`` with their values.

    After an enumerator whose value is not known, and after an ``#if``, values are None until one is written.
    """
    tokens = Tokens(text)
    brace = next((at for at in range(len(tokens)) if tokens[at] == "{"), -1)
    if brace < 0:
        return []
    stop = tokens.partner(brace) if tokens.partner(brace) >= 0 else len(tokens)
    found: list[Enumerator] = []
    known: dict[str, int] = {}
    value: int | None = 0
    previous = tokens.stop(brace)
    for start, end in tokens.commas(brace + 1, stop):
        if not tokens.is_word(start):
            continue
        name = tokens[start]
        equals = next((at for at in range(start, end) if tokens[at] == "="), -1)
        if equals < 0 and end > start + 1 and tokens[start + 1] == "(":  # a macro that makes several
            value = None
        if _SPLITS.search(blank_comments(text[previous : tokens.start(start)])):
            value = None
        previous = tokens.start(start)
        if equals >= 0:
            words = [tokens[at] for at in range(equals + 1, end)]
            expression = " ".join(f"({known[word]})" if word in known else word for word in words)
            value = evaluate(expression, lookup) if len(words) < _MAX_EXPRESSION_TOKENS else None
        found.append(Enumerator(name, value))
        if value is not None:
            known[name] = value
            value += 1
    return found


def enum_of(view: View, row: Symbol) -> tuple[int, int] | None:
    """The (start, end) of the enum of an enumerator in its file, also of one that a list macro elsewhere names."""
    found = enclosing_enum(view.data(row.path) or b"", row.name_start)
    if found or not row.scope or not row.flags & Flag.IDIOM:
        return found
    enums = (each for each in view.lookup(row.scope, (Kind.ENUM,)) if each.path == row.path)
    return next(((each.start, each.end) for each in enums), None)


def enclosing_enum(data: bytes, at: int) -> tuple[int, int] | None:
    """The (start, end) of the ``enum … { … }`` whose braces hold ``at``."""
    floor = max(0, at - MAX_ENUM_BYTES)
    brace = data.rfind(b"{", floor, at)
    start = data.rfind(b"enum", floor, brace) if brace >= 0 else -1
    end = data.find(b"}", at, at + MAX_ENUM_BYTES)
    if start < 0 or end < 0 or b";" in data[start:brace] or brace - start > _MAX_HEAD_BYTES:
        return None
    return start, end + 1
