"""Conditions under which a statement runs, innermost first, and their wording."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from kexpert.core.c.conditions import negate
from kexpert.features.explain.explanation import as_code

GuardKind = Literal["if", "else", "loop", "case", "config"]

_MAX_SHOWN_CHARS = 100
_MAX_OUTER = 2  # conditions named beside the innermost one
_LIKELY = re.compile(r"(?:un)?likely\s*\(")
_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_COMPARISON = re.compile(r"((?:[^&|?:=<>!\-]|->|-(?!>))++)(==|!=|<=|>=|<(?!<)|>(?!>))((?:[^&|?:=<>!\-]|->|-(?!>))++)")


@dataclass(frozen=True, slots=True, eq=False)
class Guard:
    """One condition. ``text`` is code: the condition, the loop's head, ``x == A``.

    Guards are compared by identity: chains of them can be longer than Python recurses.
    """

    kind: GuardKind
    text: str
    line: int
    parent: Guard | None = None

    @property
    def code(self) -> str:
        """The condition that holds where the guarded statement runs, as code; "" for a loop."""
        if self.kind in ("if", "config", "case"):
            return shortened(self.text)
        return shortened(negated(self.text)) if self.kind == "else" else ""

    @property
    def words(self) -> str:
        """The condition for use after "if" or "when" in a text."""
        if self.kind == "loop":
            return f"in the loop {as_code(shortened(self.text))}"
        if self.kind == "config":
            return f"built with {as_code(self.code)}"
        return as_code(self.code)


def ancestors(guard: Guard | None) -> Iterator[Guard]:
    """A guard and those around it, innermost first."""
    while guard is not None:
        yield guard
        guard = guard.parent


def joined(inner: Guard | None, outer: Guard | None) -> Guard | None:
    """Both conditions as one chain: ``outer`` around ``inner``, unless one of them is around the other already."""
    if inner is None or outer is None:
        return inner or outer
    chain = list(ancestors(inner))
    if any(each is outer for each in chain):
        return inner
    if any(each is inner for each in ancestors(outer)):
        return outer
    shared = {id(each) for each in ancestors(outer)}
    result = outer
    for each in reversed(chain):
        if id(each) not in shared:
            result = Guard(each.kind, each.text, each.line, result)
    return result


def condition_of(guard: Guard | None) -> Guard | None:
    """The innermost guard that is a condition: loops and ``#if`` are passed over."""
    while guard is not None and guard.kind in ("loop", "config"):
        guard = guard.parent
    return guard


def words_of(guard: Guard | None) -> str:
    """The innermost condition, and those around it: "`b` where `a`"; "" for none."""
    codes: list[str] = []
    opposites = 0
    while guard is not None and len(codes) + opposites <= _MAX_OUTER:
        if guard.kind in ("if", "else", "case"):
            if as_code(shortened(negated(guard.code))) in codes:
                opposites += 1  # holds no longer: a variable has changed in between
            else:
                codes.append(guard.words)
        guard = guard.parent
    codes = list(dict.fromkeys(codes))
    return " where ".join((codes[0], " and ".join(codes[1:]))) if len(codes) > 1 else "".join(codes)


def phrase(guard: Guard | None) -> str:
    """`` if `x` `` (with a blank before it), for a statement under a guard; "" for none."""
    words = words_of(guard)
    return f" if {words}" if words else ""


def without_likely(text: str) -> str:
    """``unlikely(x)`` -> ``x``; anything else as it is."""
    text = text.strip()
    for _ in range(4):
        if text.startswith("(") and _closing(text, 0) == len(text) - 1:
            text = text[1:-1].strip()
        elif (match := _LIKELY.match(text)) and _closing(text, match.end() - 1) == len(text) - 1:
            text = text[match.end() : -1].strip()
        else:
            break
    return text


def negated(condition: str) -> str:
    """The opposite of a condition, as short as it can be written."""
    condition = without_likely(condition)
    comparison = _COMPARISON.fullmatch(condition) if len(condition) < _MAX_SHOWN_CHARS else None
    if comparison:
        return f"{comparison[1].strip()} {_OPPOSITE[comparison[2]]} {comparison[3].strip()}"
    if condition.startswith("!") and re.fullmatch(r"!\w+(?:(?:->|\.)\w+)+", condition):
        return condition[1:]
    if re.fullmatch(r"\w+(?:(?:->|\.)\w+)+", condition):
        return f"!{condition}"
    if _is_call(condition):
        return f"!{condition}"
    if condition.startswith("!") and _is_call(condition[1:]):
        return condition[1:]
    return negate(condition)


def shortened(text: str) -> str:
    text = without_likely(text)
    return text if len(text) <= _MAX_SHOWN_CHARS else text[: _MAX_SHOWN_CHARS - 1].rstrip() + "…"


def _is_call(text: str) -> bool:
    opening = text.find("(")
    return opening > 0 and text[:opening].isidentifier() and _closing(text, opening) == len(text) - 1


def _closing(text: str, opening: int) -> int:
    depth = 0
    for at in range(opening, len(text)):
        depth += (text[at] == "(") - (text[at] == ")")
        if depth == 0:
            return at
    return -1
