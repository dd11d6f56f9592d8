"""Macros that expand to members of a struct, or to a whole type, and the text that they expand to."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from kexpert.core.c.lex import blank_comments
from kexpert.core.c.macro_text import Macro, arguments_of, is_blank, skip_blanks, substitute, tokenize
from kexpert.core.c.tokens import Tokens
from kexpert.core.text import decode, encode
from kexpert.features.semantics.records import Member, read_members

#: A word in capitals, perhaps with arguments, where a declaration begins, without a semicolon after it.
_BARE = re.compile(
    rb"(?<=[;{}])(\s*)([A-Z][A-Z0-9_]{2,}(?:\s*\((?:[^()]|\([^()]*+\))*+\))?)(?=\s+[A-Za-z_]|\s*\})", re.A
)  # fmt: skip
_CAPITALS = re.compile(rb"(?:^|[;{}])[ \t]*[A-Z][A-Z0-9_]{2,}\b(?![ \t]*;)", re.M | re.A)
_TWO_CALLS = re.compile(r"\)\s*[A-Za-z_]\w*\s*\(")
_WORD = re.compile(r"[A-Za-z_]\w*\Z")
_MAX_ROUNDS = 4
_MAX_MADE_CHARS = 16_000
_MAX_DEPTH = 8
_MAX_TOKENS = 20_000

Lookup = Callable[[str], Macro | None]


def members_made(call: str, lookup: Lookup) -> str | None:
    """The members that ``NAME`` or ``NAME(arguments)`` expands to; None if they are not known."""
    made = expand_call(call, lookup)
    return None if made is None or _TWO_CALLS.search(made) else made


def expand_call(call: str, lookup: Lookup) -> str | None:
    """The text that ``NAME`` or ``NAME(arguments)`` expands to; None if no macro of that name is known."""
    tokens = [token for token in tokenize(call) if not is_blank(token)]
    macro = lookup(tokens[0]) if tokens and _WORD.match(tokens[0]) else None
    if macro is None or (macro.parameters is not None and tokens[1:2] != ["("]):
        return None
    found = None if macro.parameters is None else arguments_of(tokens, 1)
    made = substitute(macro, None if found is None else [" ".join(argument) for argument in found[0]])
    return None if made is None else _Expansion(lookup).text(made, frozenset({macro.name}))


def expand_calls(text: str, lookup: Lookup) -> str | None:
    """A text with all calls of known macros replaced; None if it grows too long."""
    return _Expansion(lookup).text(text, frozenset())


class _Expansion:
    """Replaces all calls of known macros. Steps are counted: macros that name the next twice double at every level."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._steps = _MAX_TOKENS

    def text(self, text: str, active: frozenset[str]) -> str | None:
        """The text without calls; None if it grows too long."""
        tokens, out, at = tokenize(text), [], 0
        self._steps -= len(tokens)
        if self._steps < 0:
            return None
        while at < len(tokens):
            token = tokens[at]
            at += 1
            opening = skip_blanks(tokens, at)
            is_call = opening < len(tokens) and tokens[opening] == "(" and _WORD.match(token) and token not in active
            macro = self._lookup(token) if is_call and len(active) < _MAX_DEPTH else None
            found = arguments_of(tokens, opening) if macro is not None and macro.parameters is not None else None
            if macro is None or found is None:
                out.append(token)
                continue
            made = substitute(macro, ["".join(argument).strip() for argument in found[0]])
            inner = None if made is None else self.text(made, active | {token})
            if inner is None:
                return None
            out.append(inner)
            at = found[1]
        return "".join(out)


def with_members(text: bytes, lookup: Lookup) -> bytes:
    """The text of a struct, with bare words replaced by the members that they expand to."""
    if _CAPITALS.search(text) is None:
        return text
    for _ in range(_MAX_ROUNDS):
        code = blank_comments(text)

        def made(match: re.Match[bytes]) -> bytes:
            found = members_made(decode(match[2]), lookup)
            return match[0] if found is None else match[1] + encode(found)

        replaced = _BARE.sub(made, code)
        if replaced == code or len(replaced) > len(text) + _MAX_MADE_CHARS:
            break
        text = replaced
    return text


def made_members(text: bytes, path: str, start: int, struct: str, lookup: Lookup) -> list[Member]:
    """The members that words of a struct expand to, placed at these words; ``start``: of the text in its file."""
    found: list[Member] = []
    if _CAPITALS.search(text) is None:
        return found
    for match in _BARE.finditer(blank_comments(text)):
        tokens = Tokens(encode(members_made(decode(match[2]), lookup) or ""))
        at, end = start + match.start(2), start + match.end(2)
        found += [
            replace(member, name_start=at, start=at, end=end)
            for member in read_members(tokens, 0, len(tokens), path, struct, 0)
        ]
    return found


def type_in(made: str, keyword: str, name: str) -> str:
    """The definition of a type in the text that a macro makes; "" if it is not there. ``keyword``: "struct", "union";
    "" for a typedef."""
    if not keyword:
        end = re.search(rf"\b{re.escape(name)}\s*;", made)
        start = made.rfind("typedef", 0, end.start()) if end else -1
        return made[start : end.end() - 1] if end and start >= 0 else ""
    head = re.search(rf"\b{keyword}\s+{re.escape(name)}\s*\{{", made)
    if head is None:
        return ""
    tokens = tokenize(made[head.start() :])
    depth, text = 0, ""
    for token in tokens:
        if token == ";" and not depth:
            break
        depth += (token == "{") - (token == "}")
        text += token
    return text


def sole_word(text: str) -> str:
    """The text if it is one word; else ""."""
    tokens = tokenize(text.strip())
    return tokens[0] if len(tokens) == 1 and _WORD.match(tokens[0]) and skip_blanks(tokens, 0) == 0 else ""
