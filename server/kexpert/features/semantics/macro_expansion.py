"""Macro expansion as a reader does it: arguments in place of parameters, constants evaluated.

This is no preprocessor. A ``Lookup`` finds the definition of a macro. It may return None (several definitions under
different conditions, a budget spent); then the expansion stops, or the value stays unknown. Nothing here guesses.
Integers are those of an LP64 kernel.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from kexpert.core.c.macro_text import (
    MAX_TEXT,
    Macro,
    arguments_of,
    is_blank,
    parse_macro,
    skip_blanks,
    substitute,
    tokenize,
)  # fmt: skip
from kexpert.core.text import decode
from kexpert.features.semantics.constants import WORDS, evaluate_tokens

__all__ = ["Expansion", "Lookup", "Macro", "call_arguments", "evaluate", "expand", "parse_macro", "substitute"]

MAX_TOKENS = 4000
MAX_DEPTH = 24

_NEVER_CONSTANT = frozenset({";", "{", "}", "[", "=", "->", "."})
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*\Z")


@dataclass(frozen=True, slots=True)
class Expansion:
    """The expansion of a macro at one place: its text, and its value if it is an integer."""

    text: str
    value: int | None


Lookup = Callable[[str], Macro | None]
#: (``sizeof`` or an alignment, its operand) -> the value; None if it is not known
Measure = Callable[[str, str], int | None]
_TYPEOF = frozenset({"typeof", "__typeof__", "__typeof"})
_MEASURES = frozenset({"sizeof", "__alignof__", "__alignof", "_Alignof"})


def call_arguments(data: bytes, offset: int) -> list[str] | None:
    """The arguments of the call whose ``(`` is the first thing at or after ``offset``; None if
    there is no call there or it is not closed nearby."""
    window = decode(data[offset : offset + MAX_TEXT])
    tokens = tokenize(window)
    start = skip_blanks(tokens, 0)
    if start >= len(tokens) or tokens[start] != "(":
        return None
    found = arguments_of(tokens, start)
    return None if found is None else [re.sub(r"\s+", " ", "".join(argument)).strip() for argument in found[0]]


def expand(macro: Macro, arguments: list[str] | None, lookup: Lookup) -> Expansion | None:
    """The expansion of the macro with these arguments, one step deep; further while it is only another macro.

    None if the arguments do not fit.
    """
    text = substitute(macro, arguments)
    if text is None:
        return None
    seen = {macro.name}
    for _ in range(MAX_DEPTH):
        inner = _sole_macro(text, seen, lookup)
        if inner is None:
            break
        following = substitute(*inner)
        if not following:
            break
        seen.add(inner[0].name)
        text = following
    return Expansion(text, evaluate(text, lookup))


def evaluate(text: str, lookup: Lookup, measure: Measure = lambda keyword, operand: None) -> int | None:
    """The value of an integer constant expression after full expansion; None for anything else.

    ``measure`` gives what ``sizeof`` and ``__alignof__`` say of an operand.
    """
    tokens = tokenize(text)
    if not _NEVER_CONSTANT.isdisjoint(tokens):
        return None
    flat = _Rescan(lookup, measure).run(tokens, frozenset())
    if flat is None:
        return None
    return evaluate_tokens([token for token in flat if not is_blank(token)])


def _sole_macro(text: str, seen: set[str], lookup: Lookup) -> tuple[Macro, list[str] | None] | None:
    """The macro and its arguments if ``text`` is only a macro."""
    tokens = [token for token in tokenize(text) if not token.startswith(("//", "/*"))]
    while len(tokens) > 2 and tokens[0] == "(" and tokens[-1] == ")" and _IDENTIFIER.match(tokens[1]):
        tokens = tokens[1:-1]
    if not tokens or not _IDENTIFIER.match(tokens[0]) or tokens[0] in seen:
        return None
    opening = skip_blanks(tokens, 1)
    if opening >= len(tokens):
        macro = lookup(tokens[0])
        return (macro, None) if macro is not None and macro.parameters is None else None
    if tokens[opening] != "(":
        return None
    found = arguments_of(tokens, opening)
    if found is None or skip_blanks(tokens, found[1]) < len(tokens):
        return None
    macro = lookup(tokens[0])
    if macro is None or macro.parameters is None:
        return None
    return macro, ["".join(argument).strip() for argument in found[0]]


class _Rescan:
    """Replaces all macros, but none inside its own expansion. Gives up at the first other word that no constant holds.

    Steps are counted: a chain of macros in which each names the next twice doubles at every level.
    """

    def __init__(self, lookup: Lookup, measure: Measure) -> None:
        self.lookup = lookup
        self.measure = measure
        self.steps = MAX_TOKENS

    def run(self, tokens: list[str], active: frozenset[str]) -> list[str] | None:
        out: list[str] = []
        at = 0
        self.steps -= len(tokens) + 1
        if self.steps < 0 or len(active) > MAX_DEPTH:
            return None
        while at < len(tokens):
            token = tokens[at]
            at += 1
            if token in _MEASURES and (measured := self._measured(tokens, at)) is not None:
                out.append(measured[0])
                at = measured[1]
                continue
            if token in _TYPEOF and (after := self._past_cast(tokens, at, out)):
                out.pop()
                at = after
                continue
            is_name = _IDENTIFIER.match(token) is not None and token not in WORDS
            macro = self.lookup(token) if is_name and token not in active else None
            arguments: list[str] | None = None
            if macro is not None and macro.parameters is not None:
                opening = skip_blanks(tokens, at)
                found = arguments_of(tokens, opening) if opening < len(tokens) and tokens[opening] == "(" else None
                if found is None:
                    macro = None
                else:
                    arguments, at = ["".join(argument).strip() for argument in found[0]], found[1]
            if macro is None:
                if is_name:
                    return None
                out.append(token)
                continue
            body = substitute(macro, arguments)
            if arguments is None and body and _IDENTIFIER.match(body) and self._is_call(tokens, at):
                tokens, at, active = [body, *tokens[at:]], 0, active | {macro.name}  # another macro's name
                continue
            inner = None if body is None else self.run(tokenize(body), active | {macro.name})
            if inner is None:
                return None
            out += inner
        return out

    @staticmethod
    def _is_call(tokens: list[str], at: int) -> bool:
        opening = skip_blanks(tokens, at)
        return opening < len(tokens) and tokens[opening] == "("

    def _measured(self, tokens: list[str], at: int) -> tuple[str, int] | None:
        """What ``sizeof`` says as a token, and where to go on; None if that is not known."""
        opening = skip_blanks(tokens, at)
        found = arguments_of(tokens, opening) if self._is_call(tokens, at) else None
        if found is None or len(found[0]) != 1:
            return None
        value = self.measure(tokens[at - 1], " ".join("".join(found[0][0]).split()))
        return None if value is None else (f"{value}UL", found[1])

    def _past_cast(self, tokens: list[str], at: int, out: list[str]) -> int:
        """Where a cast to the type of something ends, of which the opening bracket is read; 0 if this is none."""
        is_cast = out[-1:] == ["("] and self._is_call(tokens, at)
        found = arguments_of(tokens, skip_blanks(tokens, at)) if is_cast else None
        closing = skip_blanks(tokens, found[1]) if found is not None else len(tokens)
        return closing + 1 if closing < len(tokens) and tokens[closing] == ")" else 0
