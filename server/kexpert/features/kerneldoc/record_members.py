"""The members of a struct, union or enum that its kernel-doc must describe."""

from __future__ import annotations

import re

from kexpert.core.c.declarators import PRIMITIVE, RECORDS, TAGGED, CType, read_declaration
from kexpert.core.c.lex import blank_comments
from kexpert.core.c.tokens import Tokens
from kexpert.core.docs.kerneldoc import comment_above, comment_beside, comment_text
from kexpert.core.symbols import Kind, Symbol
from kexpert.features.kerneldoc.declaration import Parameter, Undocumentable
from kexpert.features.semantics.records import read_members

_MAX_BYTES = 1 << 16
_MAX_DEPTH = 4
_MAX_COMMENT_CHARS = 120
_TEXT = re.compile(r"[A-Za-z]{3}")
_NO_TEXT = re.compile(r"[-=*#]{3}|@\w+:|\*/|/\*|\b(?:private|public):|TODO|FIXME|XXX")
_PRIVATE = re.compile(rb"/\*[ \t\n*]*private:.*?(?:/\*[ \t\n*]*public:.*?\*/|\Z)", re.S | re.I)
#: Macros that declare members and that ``scripts/kernel-doc`` knows.
_KNOWN_MACROS = frozenset({"DECLARE_BITMAP", "DECLARE_HASHTABLE", "DECLARE_FLEX_ARRAY"})
#: Groups of members, with the number of arguments before them. A comment describes the members, not the group.
_GROUPS = {"struct_group": 1, "struct_group_attr": 2, "struct_group_tagged": 2}
#: Annotations after a member's name that it removes.
_KNOWN_TAILS = frozenset({"__packed", "____cacheline_aligned", "____cacheline_aligned_in_smp", "__aligned"})


def record_members(data: bytes, symbol: Symbol) -> tuple[Parameter, ...]:
    """Members by their names, those of anonymous records among them, without what ``private:`` hides.

    Raises Undocumentable.
    """
    if symbol.end - symbol.start > _MAX_BYTES:
        raise Undocumentable("it is too long")
    text = _without_private(data[symbol.start : symbol.end])
    tokens = Tokens(text)
    brace = next((at for at in range(len(tokens)) if tokens[at] == "{"), -1)
    if brace < 0 or tokens.partner(brace) < 0:
        raise Undocumentable("its members cannot be read")
    stop = tokens.partner(brace)
    if tokens[brace - 1] != symbol.name or tokens[brace - 2] not in TAGGED:
        raise Undocumentable(f"{tokens[brace - 1]!r} before its members")
    if text[tokens.stop(brace - 1) : tokens.start(brace)].strip():
        raise Undocumentable("a comment between its name and its members")
    if _declares_variable(data, symbol.start + tokens.stop(stop)):
        raise Undocumentable("it declares a variable too")
    if symbol.kind is Kind.ENUM:
        parts = [part for part in tokens.commas(brace + 1, stop) if part[1] > part[0]]
        found = [_enumerator(text, tokens, *part) for part in parts]
    else:
        found = _members(text, tokens, brace + 1, stop, 0)
    if not found:
        raise Undocumentable("it has no members")
    return tuple({each.name: each for each in reversed(found)}.values())[::-1]


def _without_private(text: bytes) -> bytes:
    """Blank what lies between ``/* private: */`` and ``/* public: */``; the closing brace stays."""
    close = blank_comments(text).rfind(b"}")
    body = text[: max(close, 0)]
    for match in _PRIVATE.finditer(body):
        body = body[: match.start()] + b" " * len(match[0]) + body[match.end() :]
    return body + text[max(close, 0) :]


def _enumerator(text: bytes, tokens: Tokens, first: int, stop: int) -> Parameter:
    if not tokens.is_word(first) or tokens[first + 1] == "(":
        raise Undocumentable("a macro makes its values")
    if stop - first > 1 and tokens[first + 1] != "=":
        raise Undocumentable("a macro makes its values")
    for at in range(first, stop):
        if tokens[at] == "(" and any(tokens[inner] == "," for inner in range(at, tokens.past(at))):
            raise Undocumentable(f"the value of {tokens[first]!r} holds a comma")
    value = tokens.join(first + 2, stop) if tokens[first + 1] == "=" else ""
    end = tokens.stop(stop) if tokens[stop] == "," else tokens.stop(stop - 1)
    return Parameter(tokens[first], comment=_comment(text, tokens.start(first), end), value=value)


def _declares_variable(data: bytes, end: int) -> bool:
    """Whether a name follows the closing brace."""
    tail = blank_comments(data[end : end + 200]).partition(b";")[0]
    return re.search(rb"(?<![\w(])(?!__)[A-Za-z]\w*", re.sub(rb"__\w+\s*\([^;]*\)", b"", tail)) is not None


def _comment(text: bytes, start: int, end: int) -> str:
    """A short plain comment on the line of a member, else the one directly above."""
    line_end = text.find(b"\n", end)
    span = comment_beside(text, end)
    if span is None or (line_end >= 0 and span[0] > line_end):
        span = comment_above(text, start)
        if span is None or text[span[1] : start].count(b"\n") > 1:
            return ""
        before = text[: span[0]].rstrip(b" \t")
        if before[-1:] not in (b"\n", b""):
            return ""  # it belongs to the line above
    words = " ".join(comment_text(text[span[0] : span[1]]).removeprefix("<").split()).rstrip(" .;,")
    is_text = 3 <= len(words) <= _MAX_COMMENT_CHARS and _TEXT.search(words) and not _NO_TEXT.search(words)
    return words if is_text else ""


def _members(text: bytes, tokens: Tokens, at: int, stop: int, depth: int) -> list[Parameter]:
    found: list[Parameter] = []
    while at < stop:
        if tokens.is_word(at) and tokens[at + 1] == "(" and tokens[at + 2] != "*":
            if tokens[at] not in _KNOWN_MACROS and tokens[at] not in _GROUPS:
                raise Undocumentable(f"{tokens[at]}(…) among its members")
            past = tokens.past(at + 1)
            skipped = _GROUPS.get(tokens[at])
            if skipped is None:
                inner = read_members(tokens, at, past, "", "struct", 0)
                found += [Parameter(each.name, each.type) for each in inner]
            elif len(arguments := tokens.commas(at + 2, past - 1)) > skipped and depth < _MAX_DEPTH:
                found += _members(text, tokens, arguments[skipped][0], past - 1, depth + 1)
            at = past + 1 if tokens[past] == ";" else past
            continue
        declaration = read_declaration(tokens, at)
        if declaration is None:
            if tokens[at] not in (";", "}"):
                raise Undocumentable(f"{tokens[at]!r} among its members")
            at += 1
            continue
        body, keyword = declaration.type.body, declaration.type.keyword
        if body is not None and keyword in RECORDS and not declaration.declared:
            if depth >= _MAX_DEPTH:
                raise Undocumentable("its records are nested too deeply")
            brace = tokens.at_offset(body.start)
            if tokens[tokens.past(brace)] != ";":
                raise Undocumentable("a member has no name")
            found += _members(text, tokens, brace + 1, tokens.past(brace) - 1, depth + 1)
        elif not declaration.declared:
            raise Undocumentable("a member has no name")
        for declared in declaration.declared:
            _check_tail(tokens, tokens.at_offset(declared.name_start), declaration.next - 1)
            comment = _comment(text, declared.start, declared.end) if len(declaration.declared) == 1 else ""
            found.append(Parameter(declared.name, _plain(declared.type), comment))
        if declaration.next <= at:
            break
        at = declaration.next
    return found


def _plain(of: CType) -> CType:
    return CType(of.base, of.derived)


def _check_tail(tokens: Tokens, name_at: int, stop: int) -> None:
    """``scripts/kernel-doc`` takes words after a member's name, and widths that are no number, for the name."""
    at = name_at + 1
    if name_at < 0 or not tokens.is_word(name_at) or tokens[name_at] in PRIMITIVE:
        raise Undocumentable("a member has no name")
    if tokens[at] == ":" and not tokens[at + 1].isdecimal():
        raise Undocumentable(f"the width of the member {tokens[name_at]!r} is no number")
    while at < stop and tokens[at] not in (",", ";"):
        if tokens.is_word(at) and tokens[at] not in _KNOWN_TAILS:
            raise Undocumentable(f"{tokens[at]!r} after the member {tokens[name_at]!r}")
        at = tokens.past(at) if tokens[at] in ("[", "(") else at + 1
