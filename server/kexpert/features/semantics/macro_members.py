"""Members that are named in the argument of a macro: ``list`` of ``list_for_each_entry(p, head, list)``.

The macro is expanded with a mark in place of the member's name, and the mark looked for after ``.`` or ``->`` or as the
member of ``offsetof``, in macros within macros too.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

from kexpert.core.c.declarators import CType, read_parameter
from kexpert.core.c.expression_tokens import starts_type
from kexpert.core.c.macro_text import parse_macro, substitute
from kexpert.core.c.postfix import chain_start
from kexpert.core.c.tokens import Tokens
from kexpert.core.symbols import Flag, Kind
from kexpert.features.semantics.lookups import Argument
from kexpert.features.semantics.records import Member
from kexpert.features.semantics.type_inference import Scope, Types

#: Macros and operators that take a type, and a member of it: the arguments (0-based) that hold them.
_TYPE_AND_MEMBER = {
    "offsetof": (0, 1), "__builtin_offsetof": (0, 1), "offsetofend": (0, 1), "sizeof_field": (0, 1),
    "FIELD_SIZEOF": (0, 1), "typeof_member": (0, 1), "container_of": (1, 2), "container_of_const": (1, 2),
    "list_entry": (1, 2), "hlist_entry": (1, 2), "rb_entry": (1, 2),
}  # fmt: skip
#: Not in the path of a member, ``a.b[1].c``.
_OPERATORS = frozenset({"->", "(", "&", "*", "+", "-", "=", "?", "{"})
_TAGS = frozenset({"struct", "union", "enum"})
_MARK = "kexpert_member_mark"
_OTHER = "kexpert_other_argument"
_MAX_NESTING = 6
#: A macro with more definitions is not looked through.
_MAX_DEFINITIONS = 60
_MAX_MARKS = 4
_MAX_ARGUMENT_CHARS = 400
_MEMBER_PATH = re.compile(r"\w+(?:(?:\.|->)\w+|\[[^\]]*\])*", re.A)


def macro_member(types: Types, tokens: Tokens, at: int, scope: Scope) -> Member | None:
    """The member that the plain name at token ``at``, in the argument of a macro, means; None if it is none."""
    opening = tokens.enclosing(at, "(")
    while opening > 0:
        if tokens.is_word(opening - 1):
            found = _in_call(types, tokens, opening, at, tokens[at], scope, 0)
            if found:
                return found
        opening = tokens.enclosing(opening, "(")
    return None


def _in_call(
    types: Types, tokens: Tokens, opening: int, at: int, name: str, scope: Scope, depth: int
) -> Member | None:
    """The member ``name``, written at token ``at`` in the arguments of a call."""
    if depth >= _MAX_NESTING:
        return None
    called = tokens[opening - 1]
    arguments = tokens.commas(opening + 1, tokens.past(opening) - 1)
    number = next((i for i, (start, stop) in enumerate(arguments) if start <= at < stop), -1)
    if number < 0:
        return None
    places = _TYPE_AND_MEMBER.get(called)
    if places is not None:
        if number != places[1]:
            return None
        owner = _type(types, tokens, *arguments[places[0]], scope)
        return _along(types, tokens, arguments[number][0], at, owner, name)
    if not _MEMBER_PATH.fullmatch(tokens.join(*arguments[number])):
        return None
    texts = [tokens.join(*each) for each in arguments]
    texts[number] = tokens.join(arguments[number][0], at) + _MARK + tokens.join(at + 1, arguments[number][1])
    if any(len(text) > _MAX_ARGUMENT_CHARS for text in texts):
        return None
    if arguments[number][0] == at and not _takes_member(types, called, number, len(texts)):
        return None
    for symbol in types.lookup(called, (Kind.MACRO,))[:2]:
        macro = parse_macro(types.view.text(symbol)) if symbol.flags & Flag.FUNCTION_LIKE else None
        text = substitute(macro, texts) if macro else None
        if text and _MARK in text:
            return _marked(types, Tokens(text.encode("latin-1", "replace")), name, scope, depth)
    return None


def _takes_member(types: Types, called: str, number: int, count: int) -> bool:
    """False if no macro of a name can use argument ``number`` of ``count`` as a member's name, whichever is meant.

    Most macros cannot, and to tell which of several is meant costs a walk through headers.
    """
    key = called, number, count
    return types.known.can_take_member(key, lambda: _can_take_member(types, key))


def _can_take_member(types: Types, key: Argument) -> bool:
    """Macros within macros are looked through level by level, each argument of each once."""
    level, seen = [key], {key}
    for _ in range(_MAX_NESTING):
        following: list[Argument] = []
        for each in level:
            passed = types.known.passed_on(each, partial(_passed_on, types, each))
            if passed is None:
                return True
            following += [inner for inner in passed if inner not in seen]
            seen.update(following)
        level = following
    return False


def _passed_on(types: Types, key: Argument) -> tuple[Argument, ...] | None:
    """The arguments of other macros as which a macro passes its argument on; None if it may be a member itself."""
    called = key[0]
    if called in _TYPE_AND_MEMBER or _OTHER in called:
        return None
    if len(types.known.rows(called, (Kind.MACRO,))) > _MAX_DEFINITIONS:
        return None
    found: dict[Argument, None] = {}
    for text in _with_mark(types, key):
        passed = _uses_of_mark(text)
        if passed is None:
            return None
        found.update(dict.fromkeys(passed))
    return tuple(found)


def _uses_of_mark(text: str) -> list[Argument] | None:
    """The arguments in which a mark is; None if one comes after an operator that takes a member."""
    tokens = Tokens(text.encode("latin-1", "replace"))
    found: list[Argument] = []
    for at in range(len(tokens)):
        if tokens[at] != _MARK:
            continue
        if tokens[at - 1] in (".", "->"):
            return None
        opening = tokens.enclosing(at, "(")
        while opening > 0 and not tokens.is_word(opening - 1):
            opening = tokens.enclosing(opening, "(")
        if opening > 0:
            found.append(_argument(tokens, opening, at)[0])
    return found


def names_member(types: Types, tokens: Tokens, at: int) -> bool:
    """True if the name at token ``at`` is an argument that every definition of its macro uses as a member's name."""
    opening = tokens.enclosing(at, "(")
    if opening <= 0 or not tokens.is_word(opening - 1):
        return False
    key, start = _argument(tokens, opening, at)
    return start == at and _takes_member(types, *key) and _always_takes_member(types, key, frozenset())


def _always_takes_member(types: Types, key: Argument, around: frozenset[str]) -> bool:
    called, number, _ = key
    if called in _TYPE_AND_MEMBER:
        return number == _TYPE_AND_MEMBER[called][1]
    if called in around or len(around) >= _MAX_NESTING:
        return False
    texts = _with_mark(types, key)
    return bool(texts) and all(_is_member_in(types, text, around | {called}) for text in texts)


def _is_member_in(types: Types, text: str, around: frozenset[str]) -> bool:
    tokens = Tokens(text.encode("latin-1", "replace"))
    for at in range(len(tokens)):
        if tokens[at] != _MARK:
            continue
        if tokens[at - 1] in (".", "->"):
            return True
        opening = tokens.enclosing(at, "(")
        if opening > 0 and tokens.is_word(opening - 1):
            key, start = _argument(tokens, opening, at)
            if start == at and _always_takes_member(types, key, around):
                return True
    return False


def _argument(tokens: Tokens, opening: int, at: int) -> tuple[Argument, int]:
    """((the macro, the number of the argument that holds token ``at``, of how many), the argument's first token)."""
    arguments = tokens.commas(opening + 1, tokens.past(opening) - 1)
    number = next((i for i, (start, stop) in enumerate(arguments) if start <= at < stop), 0)
    return (tokens[opening - 1], number, len(arguments)), arguments[number][0] if arguments else -1


def _with_mark(types: Types, key: Argument) -> list[str]:
    """What the definitions of a macro make of a mark as argument ``number`` of ``count``, where they use it."""
    called, number, count = key
    arguments = [_MARK if each == number else f"{_OTHER}{each}" for each in range(count)]
    texts = []
    for symbol in types.known.rows(called, (Kind.MACRO,))[:_MAX_DEFINITIONS]:
        macro = parse_macro(types.view.text(symbol)) if symbol.flags & Flag.FUNCTION_LIKE else None
        text = substitute(macro, arguments) if macro else None
        if text and _MARK in text:
            texts.append(text)
    return texts


def _marked(types: Types, tokens: Tokens, name: str, scope: Scope, depth: int) -> Member | None:
    marks = [at for at in range(len(tokens)) if tokens[at] == _MARK]
    for at in marks[:_MAX_MARKS]:
        if tokens[at - 1] in (".", "->"):
            owner = types.expression(tokens, chain_start(tokens, at), at - 1, scope)
            found = types.member(owner, name) if owner else None
            if found:
                return found
        opening = tokens.enclosing(at, "(")
        while opening > 0 and not tokens.is_word(opening - 1):
            opening = tokens.enclosing(opening, "(")
        found = _in_call(types, tokens, opening, at, name, scope, depth + 1) if opening > 0 else None
        if found:
            return found
    return None


def _type(types: Types, tokens: Tokens, start: int, stop: int, scope: Scope) -> CType | None:
    """The type that an argument names; for an expression its type, as ``typeof`` gives it."""
    if not starts_type(tokens, start) and tokens.is_word(start) and (found := scope(tokens[start])):
        return types.plain(found, scope)
    declared = read_parameter(tokens, start, stop)
    return types.plain(declared.type, scope) if declared else None


def _along(types: Types, tokens: Tokens, start: int, at: int, owner: CType | None, name: str) -> Member | None:
    """The member at token ``at`` of the path that begins at ``start``: ``c`` of ``a.b[1].c`` in a type ``owner``."""
    while owner is not None:
        word = name if start == at else tokens[start]
        member = types.member(owner, word)
        if member is None or start >= at:
            return member if start == at else None
        owner, start = member.type, start + 1
        while tokens[start] == "[" and start < at:
            owner, start = owner.target() or owner, tokens.past(start)
        if tokens[start] not in (".", "->"):
            return None
        start += 1
    return None


def argument_member(types: Types, tokens: Tokens, at: int, offset: int) -> Member | None:
    """The member at token ``at`` in the argument of a macro whose definition is not known.

    By the habits of such macros: a type comes before it, or the macro is named as a loop.
    """
    opening = tokens.enclosing(at, "(")
    if opening < 1 or not tokens.is_word(opening - 1):
        return None
    arguments = tokens.commas(opening + 1, tokens.past(opening) - 1)
    position = next((i for i, (start, stop) in enumerate(arguments) if start <= at < stop), 0)
    if position == 0:  # the first argument is an object; an open bracket has none
        return None
    begin, end = arguments[position]
    if not tokens.is_word(begin) or any(tokens[each] in _OPERATORS for each in range(begin, end)):
        return None
    owner: CType | None = None
    if "for_each_entry" in tokens[opening - 1]:
        owner = types.at(tokens, *arguments[0], offset)
    for start, stop in arguments[:position]:
        if tokens[start] in _TAGS and stop - start == 2:
            owner = CType(tokens.join(start, stop))
    member = types.member(owner, tokens[begin]) if owner else None
    while member and begin < at:  # ``a.b[1].c``
        begin += 1
        while tokens[begin] == "[" and begin < at:
            begin = tokens.past(begin)
            member = replace(member, type=member.type.target() or member.type)
        if tokens[begin] != ".":
            return None
        begin += 1
        member = types.member(member.type, tokens[begin])
    return member
