"""The operators and casts of an expression, from its tokens."""

from __future__ import annotations

import re

from kexpert.core.c.declarators import PRIMITIVE, QUALIFIERS, TAGGED, TYPEOF
from kexpert.core.c.tokens import Tokens

_SURELY_TYPE = re.compile(r"\w+_t|(?:__)?[us](?:8|16|32|64)|__[bl]e(?:16|32|64)|bool|u?int|ulong|ushort|uchar", re.A)

PREFIX = frozenset({"*", "&", "!", "~", "-", "+", "++", "--", "&&"})


def starts_type(tokens: Tokens, at: int) -> bool:
    """True if a keyword says that a type begins here."""
    text = tokens[at]
    return text in PRIMITIVE or text in TAGGED or text in QUALIFIERS or text in TYPEOF


def operators_of(tokens: Tokens, start: int, stop: int) -> list[int]:
    """The tokens that are operators between operands, outside brackets; without postfix operators."""
    found: list[int] = []
    operand = False  # True after an operand
    at = start
    while at < stop:
        text = tokens[at]
        if not operand:
            if text in PREFIX or text == "sizeof":
                at += 1
                continue
            cast = cast_end(tokens, at, stop)
            if cast and tokens[cast] != "{":
                at = cast
                continue
            operand = text not in ("?", ":", ",")
            if not operand:
                found.append(at)
            at = tokens.past(at) if text in ("(", "{", "[") else at + 1
        elif text in ("(", "[", "{"):
            at = tokens.past(at)
        elif text in (".", "->"):
            at += 2
        elif text in ("++", "--") or tokens.is_word(at) or text[0] in "\"'":
            at += 1
        else:
            found.append(at)
            operand = False
            at += 1
    return found


def cast_end(tokens: Tokens, at: int, stop: int) -> int:
    """The index after ``(type)`` if a cast or a compound literal begins at ``at``, else 0."""
    if tokens[at] != "(":
        return 0
    past = tokens.past(at)
    if past >= stop or past == at + 1:
        return 0
    following = tokens[past]
    if starts_type(tokens, at + 1):
        return past if following not in (")", ",", ";", "->", ".") else 0
    if not tokens.is_word(at + 1):
        return 0
    inner = at + 2
    while inner < past - 1 and (tokens[inner] == "*" or tokens[inner].startswith("__")):
        inner += 1
    if inner != past - 1:
        return 0
    if tokens[inner - 1] == "*" or _SURELY_TYPE.fullmatch(tokens[at + 1]) or following == "{":
        return past
    return past if tokens.is_word(past) or following[:1].isdigit() or following in ("~", "!") else 0
