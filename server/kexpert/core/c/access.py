"""What code does with a variable or member at one place: reads it, writes it, or takes its address."""

from __future__ import annotations

import re
from enum import StrEnum

from kexpert.core.c.expression_tokens import cast_end
from kexpert.core.c.postfix import chain_start
from kexpert.core.c.tokens import Tokens

_ASSIGNS = frozenset({"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="})
_STEPS = frozenset({"++", "--"})
#: Macros that assign to this argument (0-based); -1 for every argument.
_ASSIGNED_ARGUMENT = {
    "WRITE_ONCE": 0, "rcu_assign_pointer": 0, "RCU_INIT_POINTER": 0, "swap": -1, "get_user": 0, "__get_user": 0,
    "unsafe_get_user": 0, "this_cpu_write": 0, "this_cpu_add": 0, "this_cpu_inc": 0, "this_cpu_dec": 0,
    "this_cpu_sub": 0, "__this_cpu_write": 0, "__this_cpu_add": 0, "__this_cpu_inc": 0, "__this_cpu_dec": 0,
    "__this_cpu_sub": 0, "rcu_replace_pointer": 0,
}  # fmt: skip
#: Calls that write what one of their arguments points to.
_WRITES_TARGET = re.compile(
    r"smp_store_(?:release|mb)|(?:try_)?(?:cmp)?xchg\w*"
    r"|(?:raw_)?atomic(?:64|_long)?_(?:try_)?(?:fetch_)?(?:set|add|sub|inc|dec|and|or|xor|andnot|xchg|cmpxchg)\w*"
    r"|refcount_(?:set|add|sub|inc|dec)\w*|_*(?:test_and_)?(?:set|clear|change)_bit\w*|put_unaligned\w*",
    re.A,
)
#: Operators that only name their operand.
_NAMES_MEMBER = frozenset({"offsetof", "__builtin_offsetof", "offsetofend", "container_of", "container_of_const"})
_SIZES = frozenset({"sizeof", "typeof", "__typeof__", "__typeof", "sizeof_field", "ARRAY_SIZE", "__alignof__"})
#: How the constraint of an operand that inline assembly writes begins: ``"=r" (p->x)``.
_OUTPUTS = ('"=', '"+')
_NOT_OPERANDS = frozenset({"return", "if", "while", "switch", "case", "else", "sizeof", "do", "goto"})


class Access(StrEnum):
    """The values are what ``--json`` shows."""

    READ = "read"
    WRITE = "write"
    ADDRESS = "address"
    #: A declaration or definition, which does nothing.
    DECLARATION = "declaration"


def access_at(tokens: Tokens, at: int, is_array: bool | None = None) -> Access:
    """What is done with the name at token ``at``, which is no declaration.

    A part of a struct or an array belongs to it: ``a.b.c = 1`` writes ``b``. ``is_array`` says if the name is an array;
    if that is not known, ``a.b[1] = 1`` counts as a write of ``b``. An array that is passed on has its address taken.
    """
    start = chain_start(tokens, at)
    if tokens[start] in (".", "[") and tokens[start - 1] in ("{", ","):  # a designator: .a.b[1] = value
        return Access.WRITE
    stop, decays = _lvalue_end(tokens, at, is_array)
    if stop < 0:
        return Access.READ
    while tokens[start - 1] == "(" and tokens[stop] == ")" and not _is_called(tokens, start - 1):
        start, stop = start - 1, stop + 1
    before, after = tokens[start - 1], tokens[stop]
    is_target = before == "*" and not _ends_operand(tokens, start - 2)
    if not is_target and (after in _ASSIGNS or after in _STEPS or before in _STEPS):
        return Access.WRITE
    if before.startswith(_OUTPUTS):
        return Access.WRITE
    is_address = before == "&" and not _ends_operand(tokens, start - 2)
    opening, argument = _argument(tokens, start)
    called = tokens[opening - 1] if opening > 0 else ""
    if is_address or (decays and called not in _SIZES):
        return Access.WRITE if called and _WRITES_TARGET.fullmatch(called) else Access.ADDRESS
    if called in _ASSIGNED_ARGUMENT and _ASSIGNED_ARGUMENT[called] in (argument, -1) and tokens[stop] in (",", ")"):
        return Access.WRITE
    if called in _NAMES_MEMBER or "for_each" in called:
        return Access.ADDRESS if argument > 0 else Access.READ
    return Access.READ


def _lvalue_end(tokens: Tokens, at: int, is_array: bool | None) -> tuple[int, bool]:
    """(the token after the part of the name at ``at`` that is used, whether an array decays there).

    (-1, False) if the value is only read, to get to something else.
    """
    stop, is_whole = at + 1, is_array is True
    while True:
        text = tokens[stop]
        if text == ".":
            stop, is_whole = stop + 2, False
        elif text == "[" and (is_array is not False or stop > at + 1):
            stop, is_whole = tokens.past(stop), False
        elif text in ("->", "[", "("):
            return -1, False
        else:
            return stop, is_whole


def _argument(tokens: Tokens, at: int) -> tuple[int, int]:
    """(the ``(`` of the call around token ``at``, the number of the argument that holds it); (-1, 0) outside calls."""
    opening = tokens.enclosing(at, "(")
    if opening < 1 or not _is_called(tokens, opening):
        return -1, 0
    return opening, len(tokens.commas(opening + 1, at + 1)) - 1


def _is_called(tokens: Tokens, opening: int) -> bool:
    return tokens.is_word(opening - 1) and (tokens[opening - 1] not in _NOT_OPERANDS or tokens[opening - 1] == "sizeof")


def _ends_operand(tokens: Tokens, at: int) -> bool:
    text = tokens[at]
    if text == ")":
        opening = tokens.partner(at)
        return opening < 0 or _is_called(tokens, opening) or not cast_end(tokens, opening, len(tokens))
    return text == "]" or (tokens.is_word(at) and text not in _NOT_OPERANDS) or text[:1].isdigit()
