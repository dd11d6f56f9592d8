"""The value of an ``#if`` condition in one configuration, in three values: True, False, or None for unknown.

``!``, ``&&``, ``||`` and brackets follow Kleene: unknown is false only beside a false, true only beside a true.
"""

from __future__ import annotations

import re
from collections.abc import Callable

#: The value of an option, without CONFIG_: "y", "m", "n", a number or a text in quotes; None if it is not known.
OptionValue = Callable[[str], str | None]

_TOKEN = re.compile(r"\s+|(\w+|&&|\|\||[=!<>]=|[!()<>?:+*/%&|^~-]|.)", re.S)
_NUMBER = re.compile(r"(0[xX][0-9a-fA-F]+|\d+)[uUlL]*")
_MAX_TOKENS = 400
_MAX_NESTING = 40
_COMPARISONS = ("==", "!=", "<", ">", "<=", ">=")
#: What the kernel's C code defines, whatever the configuration.
_ALWAYS = {
    "__KERNEL__": True, "__ASSEMBLY__": False, "__ASSEMBLER__": False, "__cplusplus": False, "LINKER_SCRIPT": False,
}  # fmt: skip


def condition_value(keyword: str, text: str, option: OptionValue) -> bool | None:
    """The value of ``#KEYWORD TEXT``; TEXT has no comments and no joined lines."""
    words = text.split()
    if keyword in ("ifdef", "elifdef"):
        return _defined(words[0], option) if words else None
    if keyword in ("ifndef", "elifndef"):
        return _not(_defined(words[0], option)) if words else None
    tokens = [match[1] for match in _TOKEN.finditer(text) if match[1]]
    if len(tokens) > _MAX_TOKENS:
        return None
    parser = _Parser(tokens, option)
    value = parser.either()
    return value if parser.at == len(tokens) else None


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _defined(name: str, option: OptionValue) -> bool | None:
    """``defined(NAME)``: a module option defines CONFIG_X_MODULE instead of CONFIG_X."""
    if name.startswith("CONFIG_"):
        value = option(name.removeprefix("CONFIG_"))
        if value is not None:
            return value not in ("n", "m")
        if name.endswith("_MODULE"):
            module = option(name.removeprefix("CONFIG_").removesuffix("_MODULE"))
            return None if module is None else module == "m"
        return None
    return _ALWAYS.get(name)


class _Parser:
    """Recursive descent; nesting is bounded."""

    def __init__(self, tokens: list[str], option: OptionValue) -> None:
        self.tokens = tokens
        self.at = 0
        self._option = option
        self._nesting = 0

    def _peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def either(self) -> bool | None:
        value = self._both()
        while self._peek() == "||":
            self.at += 1
            other = self._both()
            value = True if value or other else None if value is None or other is None else False
        return value

    def _both(self) -> bool | None:
        value = self._single()
        while self._peek() == "&&":
            self.at += 1
            other = self._single()
            value = False if value is False or other is False else None if value is None or other is None else True
        return value

    def _single(self) -> bool | None:
        if self._peek() == "!" and self._nesting < _MAX_NESTING:
            self.at += 1
            self._nesting += 1
            value = _not(self._single())
            self._nesting -= 1
            return value
        if self._peek() == "(" and self._nesting < _MAX_NESTING:
            opening = self.at
            self.at += 1
            self._nesting += 1
            value = self.either()
            self._nesting -= 1
            if self._peek() == ")":
                self.at += 1
                if self._peek() in ("", "&&", "||", ")"):
                    return value
            self.at = opening
            self._unknown()
            return None
        word = self._peek()
        if word in ("defined", "IS_ENABLED", "IS_BUILTIN", "IS_MODULE", "IS_REACHABLE"):
            return self._predicate(word)
        left = self._number()
        comparison = self._peek()
        if comparison in _COMPARISONS:
            self.at += 1
            right = self._number()
            if self._peek() not in ("", "&&", "||", ")"):
                self._unknown()
                return None
            return None if left is None or right is None else _compare(left, comparison, right)
        if comparison not in ("", "&&", "||", ")"):
            self._unknown()
            return None
        return None if left is None else left != 0

    def _predicate(self, word: str) -> bool | None:
        after = self.tokens[self.at + 1 : self.at + 4]
        if len(after) == 3 and after[0] == "(" and after[2] == ")":
            name, self.at = after[1], self.at + 4
        elif word == "defined" and after:
            name, self.at = after[0], self.at + 2
        else:
            self._unknown()
            return None
        if word == "defined":
            return _defined(name, self._option)
        value = self._option(name.removeprefix("CONFIG_")) if name.startswith("CONFIG_") else None
        if value is None or (word == "IS_REACHABLE" and value == "m"):  # it depends on what the file itself becomes
            return None
        return value in {"IS_ENABLED": ("y", "m"), "IS_BUILTIN": ("y",), "IS_MODULE": ("m",)}.get(word, ("y",))

    def _number(self) -> int | None:
        word = self._peek()
        self.at += 1
        if match := _NUMBER.fullmatch(word):
            return _integer(match[1])
        if word in _ALWAYS:
            return int(_ALWAYS[word])
        if self._peek() == "(":  # a macro with arguments
            self.at -= 1
            self._unknown()
            return None
        if not word.startswith("CONFIG_"):
            return None
        value = self._option(word.removeprefix("CONFIG_"))
        if value in ("y", "n", "m"):
            return int(value == "y")
        match = _NUMBER.fullmatch(value or "")
        return _integer(match[1]) if match else None

    def _unknown(self) -> None:
        """Pass over what is not understood, to the next ``&&``, ``||`` or closing bracket."""
        depth = 0
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            if depth == 0 and token in ("&&", "||", ")"):
                break
            depth += (token == "(") - (token == ")")
            self.at += 1


def _integer(text: str) -> int:
    if text[:2].lower() == "0x":
        return int(text, 16)
    return int(text, 8) if text.startswith("0") and set(text) <= set("01234567") else int(text)


def _compare(left: int, comparison: str, right: int) -> bool:
    order = (left > right) - (left < right)
    return {"==": order == 0, "!=": order != 0, "<": order < 0, ">": order > 0, "<=": order <= 0, ">=": order >= 0}[
        comparison
    ]
