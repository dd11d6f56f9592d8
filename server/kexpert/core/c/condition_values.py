"""The value of an ``#if`` expression where the macros are known in part: true, false or unknown.

Arithmetic follows the C preprocessor, with unknown values: ``0 && x`` is 0, ``1 && x`` is unknown where ``x`` is.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from functools import lru_cache

from kexpert.core.c.lex import blank_comments

_TOKEN = re.compile(
    r"\s*(?:(0[xX][0-9a-fA-F]+|\d+)[uUlL]*|([A-Za-z_]\w*)|(\|\||&&|==|!=|<=|>=|<<|>>|[-+*/%&|^~!<>()?:,])|('[^'\n]*'))"
)
_BINARY = {
    "||": 1, "&&": 2, "|": 3, "^": 4, "&": 5, "==": 6, "!=": 6, "<": 7, ">": 7, "<=": 7, ">=": 7, "<<": 8, ">>": 8,
    "+": 9, "-": 9, "*": 10, "/": 10, "%": 10,
}  # fmt: skip
_MAX_DEPTH = 40
_MAX_EXPANSIONS = 24
_MAX_BITS = 128
#: The kernel's ways to give a number a suffix.
_NUMBERS = frozenset({"_AC", "_UL", "_ULL", "UL", "ULL"})
_OPTION_TESTS = frozenset({"IS_ENABLED", "IS_BUILTIN", "IS_MODULE", "IS_REACHABLE"})


class Macros(ABC):
    """What is known of the macros and options at a place."""

    @abstractmethod
    def is_defined(self, name: str) -> bool | None:
        """Whether ``#ifdef name`` holds; None if that is not known."""

    @abstractmethod
    def text(self, name: str) -> str | None:
        """The replacement text of a macro without parameters; "0" where it is not defined; None if it is not known."""

    @abstractmethod
    def option(self, name: str) -> str | None:
        """The value of ``CONFIG_X``: "y", "m", "n" or its text; None if that is not known."""

    @property
    def is_module(self) -> bool | None:
        """Whether the file is compiled as a module; None if that is not known."""
        return None


def option_is_defined(name: str, option: str | None) -> bool | None:
    """Whether ``CONFIG_X`` or ``CONFIG_X_MODULE`` is a macro when the option ``X`` has this value."""
    if option is None:
        return None
    if name.endswith("_MODULE"):
        return option == "m"
    return option not in ("m", "n", "")


def truth(condition: str, macros: Macros) -> bool | None:
    """Whether the text after ``#if`` holds; None if that is not known or it cannot be read."""
    value = _value(condition, macros, 0)
    return None if value is None else bool(value)


def names_in(condition: str) -> frozenset[str]:
    """The names in the text after ``#if``, ``defined`` and calls of macros among them."""
    return frozenset(token for kind, token in _tokens(condition) if kind == "name")


def _value(text: str, macros: Macros, expansions: int) -> int | None:
    tokens = _tokens(text)
    if not tokens:
        return None
    reader = _Reader(tokens, macros, expansions)
    found = reader.ternary(0)
    return found if reader.at == len(tokens) else None


@lru_cache(maxsize=8192)
def _tokens(text: str) -> tuple[tuple[str, str], ...]:
    if "/*" in text or "//" in text:
        text = blank_comments(text.encode("latin-1", "replace"), strings=False).decode("latin-1")
    found: list[tuple[str, str]] = []
    at, text = 0, text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            return ()
        kind = ("number", "name", "sign", "char")[(match.lastindex or 1) - 1]
        found.append((kind, match[match.lastindex or 0]))
        at = match.end()
    return tuple(found)


class _Reader:
    def __init__(self, tokens: tuple[tuple[str, str], ...], macros: Macros, expansions: int) -> None:
        self.tokens = tokens
        self.macros = macros
        self.expansions = expansions
        self.at = 0

    def _next(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def ternary(self, depth: int) -> int | None:
        condition = self._binary(0, depth)
        if self._next() != "?" or depth > _MAX_DEPTH:
            return condition
        self.at += 1
        yes = self.ternary(depth + 1)
        if self._next() != ":":
            self.at = -1
            return None
        self.at += 1
        no = self.ternary(depth + 1)
        if condition is None:
            return yes if yes == no else None
        return yes if condition else no

    def _binary(self, level: int, depth: int) -> int | None:
        left = self._unary(depth)
        while True:
            sign = self._next()
            power = _BINARY.get(sign, 0)
            if power <= level:
                return left
            self.at += 1
            right = self._binary(power, depth)
            left = _applied(sign, left, right)

    def _unary(self, depth: int) -> int | None:
        if self.at >= len(self.tokens) or depth > _MAX_DEPTH:
            self.at = len(self.tokens) + 1
            return None
        kind, token = self.tokens[self.at]
        self.at += 1
        if kind == "number":
            return _number(token)
        if kind == "char":
            return None
        if kind == "name":
            return self._name(token, depth)
        if token == "(":
            found = self.ternary(depth + 1)
            if self._next() != ")":
                self.at = len(self.tokens) + 1
                return None
            self.at += 1
            return found
        found = self._unary(depth + 1)
        if found is None:
            return None
        return {"!": int(not found), "-": -found, "+": found, "~": ~found}.get(token)

    def _name(self, name: str, depth: int) -> int | None:
        if name == "defined":
            bracketed = self._next() == "("
            self.at += bracketed
            wanted = self._next()
            self.at += 1 + bracketed
            known = self.macros.is_defined(wanted)
            return None if known is None else int(known)
        if self._next() == "(":
            return self._call(name)
        if self.expansions >= _MAX_EXPANSIONS:
            return None
        text = self.macros.text(name)
        return None if text is None else _value(text, self.macros, self.expansions + 1)

    def _call(self, name: str) -> int | None:
        start = self.at + 1
        level = 0
        while self.at < len(self.tokens):
            level += (self._next() == "(") - (self._next() == ")")
            self.at += 1
            if not level:
                break
        arguments = [token for _, token in self.tokens[start : self.at - 1]]
        if name in _NUMBERS and arguments and _tokens(arguments[0])[:1] and _tokens(arguments[0])[0][0] == "number":
            return _number(arguments[0]) if len(arguments) == (3 if name == "_AC" else 1) else None
        if name in _OPTION_TESTS and len(arguments) == 1:
            return self._option_test(name, arguments[0])
        if name == "KERNEL_VERSION" and len(arguments) == 5 and all(each.isdigit() for each in arguments[::2]):
            major, minor, patch = map(int, arguments[::2])
            return (major << 16) + (minor << 8) + min(patch, 255)
        return None

    def _option_test(self, test: str, option: str) -> int | None:
        value = self.macros.option(option)
        if value is None:
            return None
        if value == "m":
            if test == "IS_REACHABLE":
                return None if self.macros.is_module is None else int(self.macros.is_module)
            return int(test != "IS_BUILTIN")
        return int(value not in ("n", "") and test != "IS_MODULE")


def _number(token: str) -> int | None:
    try:
        return int(token, 8) if token[0] == "0" and token.isdigit() and len(token) > 1 else int(token, 0)
    except ValueError:
        return None


def _applied(sign: str, left: int | None, right: int | None) -> int | None:
    if sign == "&&":
        if left == 0 or right == 0:
            return 0
        return None if left is None or right is None else 1
    if sign == "||":
        if left or right:
            return 1
        return None if left is None or right is None else 0
    if left is None or right is None:
        return None
    if sign in ("/", "%"):
        if not right:
            return None
        return int(left / right) if sign == "/" else left - right * int(left / right)
    if sign in ("<<", ">>"):
        if not 0 <= right <= _MAX_BITS or left.bit_length() > _MAX_BITS:
            return None
        return left << right if sign == "<<" else left >> right
    if sign == "*" and left.bit_length() + right.bit_length() > 2 * _MAX_BITS:
        return None
    return int(_SIMPLE[sign](left, right))


_SIMPLE = {
    "|": lambda a, b: a | b, "^": lambda a, b: a ^ b, "&": lambda a, b: a & b, "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b, "<": lambda a, b: a < b, ">": lambda a, b: a > b, "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b, "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b,
}  # fmt: skip
