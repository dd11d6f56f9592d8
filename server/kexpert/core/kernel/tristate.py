"""Kconfig's expressions: ``A && !B``, ``X = y``, ``"$(ARCH)" = "x86"``, with the values n, m and y.

What Kconfig asks of the tool chain by ``$(cc-option,…)`` and its kin is assumed to be there: no program is run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

NO, MODULE, YES = 0, 1, 2
LEVELS = {"n": NO, "m": MODULE, "y": YES}
LETTERS = "nmy"

#: ("or" | "and", two or more parts), ("not", inner), ("symbol", name), ("text", literal), (comparison, left, right)
Expression = tuple[Any, ...]
#: The value of a symbol as text: "y", "m", "n", a number, a string; "" for one that has none.
ValueOf = Callable[[str], str]

_TOKEN = re.compile(r'\s*(\|\||&&|!=|<=|>=|[()!=<>]|"(?:[^"\\]|\\.)*"?|\'(?:[^\'\\]|\\.)*\'?|[\w./-]+)')
_COMPARISONS = frozenset({"=", "!=", "<", ">", "<=", ">="})
_MAX_DEPTH = 60  # brackets and negations in each other
_MAX_CHARS = 1 << 16
_NOTHING: Expression = ("text", "n")

#: Questions to the tool chain that gcc, gas and ld of binutils answer with no.
_NOT_GCC = re.compile(
    r"= Clang|= LLVM|= LLD|rust_is_available|-fsanitize=(?:kcfi|array|local)|-Wunreachable-code-fallthrough"
    r"|-fcf-protection=none|--pack-dyn-relocs|tools-support-relr|-D__SIZEOF_INT128__=0|-frandomize-layout-seed-file"
    r"|-print-file-name=plugin|plugin-version"
)
_VERSIONS = {"cc-version": "120200", "as-version": "24000", "ld-version": "24000"}


def expand(text: str, variables: dict[str, str]) -> str:
    """Put the values of ``$(ARCH)`` and the like in; y or n for a question to the tool chain."""
    if "$" not in text:
        return text
    pieces: list[str] = []
    at = 0
    while (start := text.find("$(", at)) >= 0:
        end = _closing(text, start + 1)
        if end < 0:
            break
        pieces += [text[at:start], _macro(text[start + 2 : end], variables)]
        at = end + 1
    return "".join([*pieces, text[at:]])


def _macro(call: str, variables: dict[str, str]) -> str:
    name, comma, argument = call.partition(",")
    if not comma:
        return variables.get(name) or _VERSIONS.get(name, "")
    if name in ("shell", "info", "warning-if", "error-if"):
        return ""
    answer = "n" if _NOT_GCC.search(argument) else "y"
    if name == "failure":
        return "n" if answer == "y" else "y"
    return answer


def _closing(text: str, opening: int) -> int:
    depth = 0
    for at in range(opening, len(text)):
        depth += (text[at] == "(") - (text[at] == ")")
        if not depth:
            return at
    return -1


@lru_cache(maxsize=32768)
def parse(text: str) -> Expression:
    """An expression without macros; n for one that cannot be read."""
    if len(text) > _MAX_CHARS:
        return _NOTHING
    tokens = [match[1] for match in _TOKEN.finditer(text)]
    parser = _Parser(tokens)
    found = parser.either(0)
    return found if found is not None and parser.at == len(tokens) else _NOTHING


class _Parser:
    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.at = 0

    def _next(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def either(self, depth: int) -> Expression | None:
        return self._joined("or", "||", self._both, depth)

    def _both(self, depth: int) -> Expression | None:
        return self._joined("and", "&&", self._single, depth)

    def _joined(
        self, kind: str, sign: str, part: Callable[[int], Expression | None], depth: int
    ) -> Expression | None:
        parts = [part(depth)]
        while parts[-1] is not None and self._next() == sign:
            self.at += 1
            parts.append(part(depth))
        if parts[-1] is None:
            return None
        return (kind, *parts) if len(parts) > 1 else parts[0]

    def _single(self, depth: int) -> Expression | None:
        token = self._next()
        if not token or depth > _MAX_DEPTH:
            return None
        self.at += 1
        if token == "!":
            inner = self._single(depth + 1)
            return ("not", inner) if inner is not None else None
        if token == "(":
            inner = self.either(depth + 1)
            if self._next() != ")":
                return None
            self.at += 1
            return inner
        left = _operand(token)
        if self._next() in _COMPARISONS:
            sign = self._next()
            self.at += 1
            token = self._next()
            self.at += 1
            return (sign, left, _operand(token))
        return left


def _operand(token: str) -> Expression:
    if token[:1] in "\"'":
        return ("text", token[1:].removesuffix(token[0]))
    if token in LEVELS or token.isdigit() or token[:2].lower() == "0x":
        return ("text", token)
    return ("symbol", token)


def symbols_of(expression: Expression) -> Iterator[str]:
    """The names of the symbols that an expression reads."""
    pending = [expression]
    while pending:
        each = pending.pop()
        if each[0] == "symbol":
            yield each[1]
        elif each[0] != "text":
            pending.extend(each[1:])


def evaluate(expression: Expression, value_of: ValueOf) -> int:
    """NO, MODULE or YES."""
    kind = expression[0]
    if kind in ("or", "and"):
        level, last = (NO, YES) if kind == "or" else (YES, NO)
        for part in expression[1:]:
            level = max(level, evaluate(part, value_of)) if kind == "or" else min(level, evaluate(part, value_of))
            if level == last:
                break
        return level
    if kind == "not":
        return YES - evaluate(expression[1], value_of)
    if kind == "symbol":
        return LEVELS.get(value_of(expression[1]), NO)
    if kind == "text":
        if expression[1] == "m" and value_of("MODULES") == "n":
            return NO
        return LEVELS.get(expression[1], NO)
    return YES if _compare(kind, _text(expression[1], value_of), _text(expression[2], value_of)) else NO


def requirements(expression: Expression) -> Iterator[tuple[str, bool]]:
    """(symbol, True where it must be on, False where it must be off) for all that an expression needs to hold."""
    pending = [expression]
    while pending:
        each = pending.pop()
        if each[0] == "and":
            pending.extend(each[1:])
        elif each[0] == "symbol":
            yield each[1], True
        elif each[0] == "not" and each[1][0] == "symbol":
            yield each[1][1], False


def _text(operand: Expression, value_of: ValueOf) -> str:
    return value_of(operand[1]) if operand[0] == "symbol" else operand[1]


def _compare(sign: str, left: str, right: str) -> bool:
    if sign in ("=", "!="):
        return (left == right) == (sign == "=")
    low, high = _number(left), _number(right)
    if low is None or high is None:
        first, second = (LEVELS.get(left, left), LEVELS.get(right, right))
        if type(first) is not type(second):
            return False
        order = (first > second) - (first < second)  # type: ignore[operator]
    else:
        order = (low > high) - (low < high)
    return {"<": order < 0, ">": order > 0, "<=": order <= 0, ">=": order >= 0}[sign]


def _number(text: str) -> int | None:
    try:
        return int(text, 0) if text[:2].lower() == "0x" else int(text)
    except ValueError:
        return None
