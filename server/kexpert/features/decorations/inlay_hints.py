"""Inlay hints: parameter names before arguments, values of enumerators, sizes after ``sizeof(struct foo)``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from kexpert.core.c.function_extent import enclosing_function, function_tokens
from kexpert.core.c.lex import blank_comments
from kexpert.core.c.source import Source
from kexpert.core.c.tokens import Tokens
from kexpert.core.c.word_scan import NOT_CALLS
from kexpert.core.symbols import Kind
from kexpert.features.hover.card_reader import CardReader
from kexpert.features.hover.enum_values import MAX_ENUM_BYTES
from kexpert.features.hover.macro_meanings import meanings_in
from kexpert.features.hover.type_sizes import layout_of
from kexpert.features.semantics.definition_ranking import rank_definitions
from kexpert.features.signature_help import signature_help
from kexpert.view import View

#: Of one answer. An editor asks for what is on the screen.
_MAX_HINTS = 600
_MAX_CALLEES = 120
_MAX_SIZES = 24
_MIN_PARAMETER_LETTERS = 2
_SIZEOF = re.compile(rb"\bsizeof\s*\(\s*(struct|union)\s+(\w+)\s*\)")


@dataclass(frozen=True, slots=True)
class HintConfig:
    """Which hints are wanted."""

    parameters: bool = True
    enumerators: bool = True
    sizes: bool = True


@dataclass(frozen=True, slots=True)
class Hint:
    """A text to show at a byte offset, before or after what is written there."""

    offset: int
    label: str
    kind: Literal["parameter", "value"]


def inlay_hints(
    view: View, source: Source, start: int, end: int, config: HintConfig, cancelled: Callable[[], bool]
) -> list[Hint]:
    """The hints between two offsets, in order. Empty as soon as ``cancelled()``."""
    found: list[Hint] = []
    for wanted, make in ((config.parameters, _parameters), (config.enumerators, _enumerators), (config.sizes, _sizes)):
        if wanted:
            for hint in make(view, source, start, end):
                if cancelled():
                    return []
                if hint is not None and start <= hint.offset <= end:
                    found.append(hint)
                    if len(found) >= _MAX_HINTS:
                        break
    return sorted(found, key=lambda hint: hint.offset)


def _parameters(view: View, source: Source, start: int, end: int) -> Iterator[Hint | None]:
    """None between calls, so that the asker can cancel."""
    known: dict[str, list[str]] = {}
    for symbol in source.facts.symbols:
        if symbol.kind not in (Kind.FUNCTION, Kind.SYSCALL) or symbol.end <= start or symbol.start >= end:
            continue
        function = enclosing_function(source, symbol.name_start)
        if function is None:
            continue
        tokens = function_tokens(source, function)
        first = tokens.at_offset(max(function.body_start, start))
        for at in range(max(first, 1), min(tokens.at_offset(end) + 1, len(tokens) - 1)):
            name = tokens[at]
            if tokens[at + 1] != "(" or not tokens.is_word(at) or name.encode("latin-1") in NOT_CALLS:
                continue
            arguments = tokens.commas(at + 2, tokens.past(at + 1) - 1)
            if len(arguments) < 2:
                continue
            yield None
            key = name if tokens[at - 1] not in (".", "->") else f"{tokens.start(at)}"
            if key not in known:
                if len(known) >= _MAX_CALLEES:
                    return
                help_ = signature_help(view, source, tokens.stop(at + 1))
                known[key] = [parameter.name for parameter in help_.parameters] if help_ else []
            for (begin, stop), parameter in zip(arguments, known[key], strict=False):
                if not _is_said(tokens, begin, stop, parameter):
                    yield Hint(tokens.start(begin), f"{parameter}:", "parameter")


def _is_said(tokens: Tokens, begin: int, stop: int, parameter: str) -> bool:
    """True where the argument itself says what it is, or the name of the parameter says nothing."""
    plain = parameter.strip("_").lower()
    if len(plain) < _MIN_PARAMETER_LETTERS or not plain.isidentifier():
        return True
    words = [tokens[at].lower() for at in range(begin, stop) if tokens.is_word(at)]
    return bool(words) and (plain in words[-1].split("_") or plain == words[-1] or words[-1] in plain.split("_"))


def _enumerators(view: View, source: Source, start: int, end: int) -> Iterator[Hint | None]:
    meanings = meanings_in(CardReader(view, source), source.path)
    rows = source.facts.symbols
    for symbol in rows:
        is_near = symbol.kind is Kind.ENUM and symbol.end > start and symbol.start < end
        if not is_near or symbol.end - symbol.start > MAX_ENUM_BYTES:
            continue
        yield None
        values = {each.name: each.value for each in meanings.enumerators(source.path, symbol.start, symbol.end)}
        code = blank_comments(source.data[symbol.start : symbol.end])
        for row in rows:
            if row.kind is not Kind.ENUMERATOR or not symbol.start <= row.name_start < symbol.end:
                continue
            after = row.name_start + len(row.name)
            value = values.get(row.name)
            if value is not None and not code[after - symbol.start :].lstrip().startswith(b"="):
                yield Hint(after, f" = {value}", "value")


def _sizes(view: View, source: Source, start: int, end: int) -> Iterator[Hint | None]:
    known: dict[tuple[bytes, bytes], str] = {}
    for match in _SIZEOF.finditer(blank_comments(source.data[start:end])):
        key = match[1], match[2]
        if key not in known:
            if len(known) >= _MAX_SIZES:
                return
            yield None
            known[key] = _size(view, source, *key)
        if known[key]:
            yield Hint(start + match.end(), f" = {known[key]}", "value")


def _size(view: View, source: Source, keyword: bytes, tag: bytes) -> str:
    """The size of a record in bytes, with ``~`` where it is approximate; "" if it is not known."""
    kind = Kind.UNION if keyword == b"union" else Kind.STRUCT
    rows = rank_definitions(view, view.lookup(tag.decode("latin-1"), (kind,)), source)
    found = layout_of(CardReader(view, source), rows[0]) if rows else None
    if found is None or found.size is None:
        return ""
    return f"{'' if found.exact else '~'}{found.size}"
