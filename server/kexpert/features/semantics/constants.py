"""Integer constant expressions of C, evaluated with the types of an LP64 kernel.

Tokens in, an int out; None for anything that is not certainly a constant: an unknown name or cast, floating point, a
division by zero.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_MAX_NESTING = 60
_NUMBER = re.compile(r"(0[xX][0-9a-fA-F]+|0[bB][01]+|\d+)([uUlL]*)\Z")
_ESCAPES = {"n": 10, "t": 9, "r": 13, "0": 0, "a": 7, "b": 8, "f": 12, "v": 11, "\\": 92, "'": 39, '"': 34}
_PRECEDENCE = {
    "||": 1, "&&": 2, "|": 3, "^": 4, "&": 5, "==": 6, "!=": 6, "<": 7, ">": 7, "<=": 7, ">=": 7,
    "<<": 8, ">>": 8, "+": 9, "-": 9, "*": 10, "/": 10, "%": 10,
}  # fmt: skip

#: Bits of the integer types that kernel constants are cast to; negative means signed.
_TYPES = {
    "bool": 8, "_Bool": 8, "char": -8, "short": -16, "int": -32, "long": -64, "unsigned": 32, "signed": -32,
    "u8": 8, "u16": 16, "u32": 32, "u64": 64, "s8": -8, "s16": -16, "s32": -32, "s64": -64,
    "size_t": 64, "ssize_t": -64, "loff_t": -64, "gfp_t": 32, "fmode_t": 32, "umode_t": 16, "slab_flags_t": 32,
    "blk_opf_t": 32, "dma_addr_t": 64, "phys_addr_t": 64, "uintptr_t": 64, "uint8_t": 8, "uint16_t": 16,
    "uint32_t": 32, "uint64_t": 64, "int8_t": -8, "int16_t": -16, "int32_t": -32, "int64_t": -64,
}  # fmt: skip
_TYPES |= {f"__{kind}{bits}": sign * bits for kind, sign in (("u", 1), ("s", -1), ("le", 1), ("be", 1))
           for bits in (8, 16, 32, 64)}  # fmt: skip
_QUALIFIERS = {"const", "volatile", "__force", "__bitwise"}

#: The words that a constant expression may hold after all macros are replaced.
WORDS = frozenset({*_TYPES, *_QUALIFIERS, "sizeof"})


class NotConstant(Exception):
    """The tokens are not certainly an integer constant expression."""


@dataclass(frozen=True, slots=True)
class _Number:
    value: int
    bits: int = 32
    signed: bool = True

    def to(self, bits: int, signed: bool) -> _Number:
        value = self.value & ((1 << bits) - 1)
        if signed and value >> (bits - 1):
            value -= 1 << bits
        return _Number(value, bits, signed)

    def promoted(self) -> _Number:
        return self if self.bits >= 32 else _Number(self.value)


def evaluate_tokens(tokens: list[str]) -> int | None:
    """The value of the expression that the tokens (no blanks, no comments) form."""
    try:
        parser = _Parser(tokens)
        number = parser.ternary()
    except NotConstant:
        return None
    return number.value if parser.at == len(tokens) else None


class _Parser:
    """Precedence climbing; nesting is bounded so that no input exhausts the stack."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.at = 0
        self.nesting = 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def expect(self, token: str) -> None:
        if self.take() != token:
            raise NotConstant

    def ternary(self) -> _Number:
        self.nesting += 1
        if self.nesting > _MAX_NESTING:
            raise NotConstant
        number = self.binary(1)
        if self.peek() == "?":
            self.take()
            yes = number if self.peek() == ":" else self.ternary()  # GNU: a ?: b
            self.expect(":")
            no = self.ternary()
            left, right = _usual(yes, no)
            number = left if number.value else right
        self.nesting -= 1
        return number

    def binary(self, minimum: int) -> _Number:
        left = self.unary()
        while (level := _PRECEDENCE.get(self.peek(), 0)) >= minimum:
            operator = self.take()
            left = _apply(operator, left, self.binary(level + 1))
        return left

    def unary(self) -> _Number:
        signs: list[str] = []
        while True:
            if self.peek() in ("-", "+", "~", "!"):
                signs.append(self.take())
            elif self.peek() == "(" and (cast := self.type_between()) is not None:
                signs.append(str(cast))
            else:
                break
        number = self.primary()
        for sign in reversed(signs):
            number = _unary(sign, number)
        return number

    def primary(self) -> _Number:
        token = self.take()
        if token == "(":
            number = self.ternary()
            self.expect(")")
            return number
        if token == "sizeof" and self.peek() == "(" and (bits := self.type_between()) is not None:
            return _Number(abs(bits) // 8, 64, False)
        if token.startswith("'"):
            return _Number(_character(token))
        return _literal(token)

    def type_between(self) -> int | None:
        """Read ``(type)`` and return the width of the type; None, with nothing read, if there is none here."""
        at = self.at + 1
        words: list[str] = []
        while at < len(self.tokens) and (self.tokens[at] in _TYPES or self.tokens[at] in _QUALIFIERS):
            if self.tokens[at] in _TYPES:
                words.append(self.tokens[at])
            at += 1
        if not words or at >= len(self.tokens) or self.tokens[at] != ")":
            return None
        self.at = at + 1
        return _width(words)


def _width(words: list[str]) -> int:
    base = [word for word in words if word not in ("unsigned", "signed", "int")]
    width = _TYPES[base[0]] if base else -32
    return abs(width) if "unsigned" in words else width


def _character(token: str) -> int:
    body = token[1:-1]
    if len(body) == 1:
        return ord(body) if ord(body) < 128 else _fail()
    if body.startswith("\\x"):
        try:
            return int(body[2:], 16)
        except ValueError:
            return _fail()
    return _ESCAPES[body[1]] if len(body) == 2 and body[0] == "\\" and body[1] in _ESCAPES else _fail()


def _literal(token: str) -> _Number:
    match = _NUMBER.match(token)
    if match is None or len(token) > 40:
        raise NotConstant
    digits, suffix = match[1].lower(), match[2].lower()
    if digits.startswith(("0x", "0b")):
        value = int(digits, 0)
    elif digits.startswith("0") and set(digits) <= set("01234567"):
        value = int(digits, 8)
    elif digits.startswith("0"):
        raise NotConstant
    else:
        value = int(digits)
    unsigned_allowed = "u" in suffix or digits.startswith("0")
    for bits in (32, 64) if "l" not in suffix else (64,):
        if "u" not in suffix and value < 1 << (bits - 1):
            return _Number(value, bits)
        if unsigned_allowed and value < 1 << bits:
            return _Number(value, bits, False)
    raise NotConstant


def _usual(left: _Number, right: _Number) -> tuple[_Number, _Number]:
    """The usual arithmetic conversions."""
    left, right = left.promoted(), right.promoted()
    bits = max(left.bits, right.bits)
    signed = all(side.signed for side in (left, right) if side.bits == bits)
    return left.to(bits, signed), right.to(bits, signed)


def _unary(sign: str, number: _Number) -> _Number:
    if sign == "!":
        return _Number(int(not number.value))
    if sign == "-" or sign == "+" or sign == "~":
        number = number.promoted()
        value = {"-": -number.value, "+": number.value, "~": ~number.value}[sign]
        return _Number(value, number.bits, number.signed).to(number.bits, number.signed)
    width = int(sign)
    return number.to(abs(width), width < 0)


def _apply(operator: str, left: _Number, right: _Number) -> _Number:
    if operator in ("&&", "||"):
        both = (bool(left.value), bool(right.value))
        return _Number(int(all(both) if operator == "&&" else any(both)))
    if operator in ("<<", ">>"):
        left = left.promoted()
        if not 0 <= right.value < left.bits:
            raise NotConstant
        value = left.value << right.value if operator == "<<" else left.value >> right.value
        return _Number(value, left.bits, left.signed).to(left.bits, left.signed)
    left, right = _usual(left, right)
    a, b = left.value, right.value
    if operator in ("==", "!=", "<", ">", "<=", ">="):
        order = (a > b) - (a < b)
        holds = {"==": order == 0, "!=": order != 0, "<": order < 0, ">": order > 0, "<=": order <= 0, ">=": order >= 0}
        return _Number(int(holds[operator]))
    if operator in ("/", "%"):
        if b == 0:
            raise NotConstant
        quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)  # C rounds towards zero
        value = quotient if operator == "/" else a - quotient * b
    else:
        value = {"+": a + b, "-": a - b, "*": a * b, "&": a & b, "|": a | b, "^": a ^ b}[operator]
    return _Number(value, left.bits, left.signed).to(left.bits, left.signed)


def _fail() -> int:
    raise NotConstant
