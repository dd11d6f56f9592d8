"""What a function declares: parameters, locals, labels, and where each of them is meant.

A function is found by the brace in column 0 that kernel style gives it, or by its header's line:
they still stand when a line above the cursor is half typed, and finding them parses nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from kexpert.core.c.declarators import (
    PRIMITIVE,
    QUALIFIERS,
    STORAGE,
    TAGGED,
    TYPEOF,
    CType,
    Declared,
    read_declaration,
    read_declarator,
    read_parameter,
    read_specifiers,
)  # fmt: skip
from kexpert.core.c.macro_types import LOCAL_MACROS
from kexpert.core.c.source import Source
from kexpert.core.c.tokens import Tokens
from kexpert.core.text import identifier_at

LocalKind = Literal["parameter", "local", "static", "label"]

#: A longer function (generated tables of code) is read as far as this.
_MAX_FUNCTION_BYTES = 400_000
_MAX_HEADER_BYTES = 4096

_PARAMETER_PAIRS = re.compile(r"(?:COMPAT_)?SYSCALL(?:32|_COMPAT)?_DEFINE\d|BPF_CALL_\d", re.A)
_NOT_TYPES = frozenset(
    {"return", "goto", "else", "case", "do", "sizeof", "if", "while", "for", "switch", "break", "continue", "default",
     "asm", "__asm__", "__label__", "extern", "typedef"}
)  # fmt: skip
#: Words that a type may follow in the same statement.
_NO_STATEMENT = _NOT_TYPES | PRIMITIVE | QUALIFIERS | STORAGE
_TYPE_WORDS = PRIMITIVE | TAGGED | {"const", "static"}
_MARGIN_BRACE = re.compile(rb"^[{}]", re.M)
_BEGINS_DECLARATION = re.compile(rb"(?!\w+:(?!:))[A-Za-z_]")
_LINE_COMMENT_END = re.compile(rb"\s*(?:/?\*.*)?\*/\s*|\s*//.*", re.S)


@dataclass(frozen=True, slots=True)
class Local:
    """A name that a function declares. Offsets are bytes; it is meant from ``name_start`` to ``scope_end``."""

    name: str
    type: CType
    name_start: int
    kind: LocalKind
    decl_start: int
    decl_end: int
    scope_start: int
    scope_end: int

    @property
    def type_text(self) -> str:
        return self.type.text


@dataclass(frozen=True, slots=True)
class Function:
    """The extent of a function: its header from ``start``, its body from ``{`` at ``body_start`` to past ``}``."""

    start: int
    body_start: int
    end: int


def enclosing_function(source: Source, offset: int) -> Function | None:
    """The function whose header or body holds ``offset``."""
    return _function_by_margin(source.data, offset) or _function_by_line(source.data, offset)


def _function_by_margin(data: bytes, offset: int) -> Function | None:
    line = data.rfind(b"\n", 0, offset) + 1
    before = max(data.rfind(b"\n{", 0, offset), data.rfind(b"\n}", 0, offset))
    if before >= 0 and data[before + 1] == 0x7B:
        function = _from_brace(data, before + 1)
        if function and offset < function.end:
            return function
    if data[line : line + 1] == b"}":
        return None
    after = _MARGIN_BRACE.search(data, line, offset + _MAX_HEADER_BYTES)
    if after is None or after[0] != b"{":
        return None
    function = _from_brace(data, after.start())
    return function if function and function.start <= offset < function.end else None


def _from_brace(data: bytes, brace: int) -> Function | None:
    start = _header_start(data, brace)
    header = data[start:brace].rstrip()
    if b"(" not in header or header.endswith((b"=", b"\\", b";")) or b"=" in header.partition(b"(")[0]:
        return None
    following = _MARGIN_BRACE.search(data, brace + 1)
    if following is None:
        end = len(data)
    elif following[0] == b"}":
        end = following.end()
    else:
        end = _header_start(data, following.start())
    return Function(start, brace, max(end, brace + 1))


def _header_start(data: bytes, brace: int) -> int:
    """Up from a brace in column 0 over the lines of the declaration before it."""
    start = brace
    while start > 0 and brace - start < _MAX_HEADER_BYTES:
        above = data.rfind(b"\n", 0, start - 1) + 1
        line = data[above : start - 1].rstrip()
        if line[:1] in (b"", b"}", b"#", b"{") or line.endswith((b";", b"}", b"\\")):
            break
        if _LINE_COMMENT_END.fullmatch(line):
            break
        start = above
    return start


def _function_by_line(data: bytes, offset: int) -> Function | None:
    """A function whose ``{`` does not begin a line: ``static inline int f(void) { return 0; }``."""
    start = data.rfind(b"\n", max(offset - _MAX_FUNCTION_BYTES, 0), offset) + 1
    first = True
    while not _BEGINS_DECLARATION.match(data, start):
        if start == 0 or offset - start > _MAX_FUNCTION_BYTES or (data[start : start + 1] == b"}" and not first):
            return None
        start, first = data.rfind(b"\n", 0, start - 1) + 1, False
    tokens = Tokens(data, start, start + _MAX_HEADER_BYTES)
    brace = _body_brace(tokens)
    if brace is None:
        return None
    closing = tokens.partner(brace)
    if closing < 0:
        margin = data.find(b"\n}", tokens.start(brace))
        end = margin + 2 if margin >= 0 else len(data)
    else:
        end = tokens.stop(closing)
    return Function(start, tokens.start(brace), end) if offset < end else None


def _body_brace(tokens: Tokens) -> int | None:
    """The ``{`` behind a parameter list at the beginning of the tokens."""
    at, parameters = 0, False
    while at < len(tokens) and tokens[0] not in ("typedef", "enum"):
        text = tokens[at]
        if text == "{":
            return at if parameters else None
        if text in (";", "=", "}"):
            return None
        parameters |= text == "("
        at = tokens.past(at) if text == "(" else at + 1
    return None


@lru_cache(maxsize=16)
def _tokens_of(source: Source, start: int, end: int) -> Tokens:
    return Tokens(source.data, start, end)


def function_tokens(source: Source, function: Function) -> Tokens:
    """The tokens of a function, header included."""
    return _tokens_of(source, function.start, min(function.end, function.start + _MAX_FUNCTION_BYTES))


@lru_cache(maxsize=16)
def _locals_of(source: Source, function: Function) -> tuple[Local, ...]:
    tokens = function_tokens(source, function)
    brace = tokens.at_offset(function.body_start)
    return (*_parameters(tokens, brace, function), *block_locals(tokens, brace, source.path))


def _parameters(tokens: Tokens, brace: int, function: Function) -> list[Local]:
    found: list[Declared] = []
    if _PARAMETER_PAIRS.fullmatch(tokens[0]):
        parts = tokens.commas(2, tokens.past(1) - 1)[1:]
        for (start, stop), (name, _) in zip(parts[::2], parts[1::2], strict=False):
            typed = read_parameter(tokens, start, stop)
            if typed and tokens.is_word(name):
                found.append(Declared(tokens[name], typed.type, tokens.start(name), tokens.start(start),
                                      tokens.stop(name), frozenset()))  # fmt: skip
    else:
        for start, stop in tokens.commas(*_parameter_range(tokens, brace)):
            declared = read_parameter(tokens, start, stop)
            if declared and declared.name:
                found.append(declared)
    return [
        Local(d.name, _decayed(d.type), d.name_start, "parameter", d.start, d.end, function.start, function.end)
        for d in found
    ]


def _decayed(of: CType) -> CType:
    """A parameter's array is a pointer."""
    return CType(of.base, ("*", *of.derived[1:]), of.body) if of.derived[:1] == ("[]",) else of


def _parameter_range(tokens: Tokens, brace: int) -> tuple[int, int]:
    declaration = read_declaration(tokens, 0)
    for declared in declaration.declared if declaration else ():
        if declared.parameters and declared.parameters[1] < brace:
            return declared.parameters[0] + 1, declared.parameters[1]
    closing = brace - 1
    while closing > 0 and tokens[closing] != ")":
        closing -= 1
    opening = tokens.partner(closing)
    return (opening + 1, closing) if opening >= 0 else (0, 0)


def block_locals(tokens: Tokens, brace: int, path: str = "") -> list[Local]:
    """Everything declared inside the block that opens at token ``brace``, labels included."""
    found: list[Local] = []
    ends: list[tuple[int, int]] = []  # (token that closes a block, offset where its scope ends)
    starts: list[int] = []
    statement = for_header = False
    at, last = brace, tokens.partner(brace) if tokens.partner(brace) >= 0 else len(tokens)
    while at < last or at == brace:
        text = tokens[at]
        while ends and at >= ends[-1][0]:
            ends.pop()
            starts.pop()
        if text == "{":
            close = tokens.partner(at)
            ends.append((close, tokens.start(close)) if close >= 0 else (last + 1, tokens.end))
            starts.append(tokens.start(at))
            statement = True
        elif text in (";", "}"):
            statement = True
        elif text == "(" and tokens[at - 1] == "for":
            statement = for_header = True
        elif (statement or tokens[at - 1] == "goto") and _is_label(tokens, at):
            name, end = tokens.start(at), tokens.stop(at + 1)
            found.append(Local(text, CType("label"), name, "label", name, end, tokens.start(brace), tokens.end))
            at += 1
        elif text in ("case", "default"):
            at = _past_case(tokens, at)
            statement = True
            continue
        elif tokens.is_word(at) and (statement or _resumes(tokens, at)) and _declares(tokens, at):
            end = _statement_end(tokens, at) if for_header else ends[-1][1]
            at = _declare(tokens, at, path, (starts[-1], end), found)
            statement = for_header = False
            continue
        else:
            statement = for_header = False
        at += 1
    return found


def _is_label(tokens: Tokens, at: int) -> bool:
    return tokens.is_word(at) and tokens[at + 1] == ":" and tokens[at] != "default"


def _resumes(tokens: Tokens, at: int) -> bool:
    """A declaration below a line that lacks its ``;``."""
    return tokens[at] in _TYPE_WORDS and (
        tokens[at - 1] in ("->", ".", "=", ")") or (tokens.is_word(at - 1) and tokens[at - 1] not in _NO_STATEMENT)
    )


def _past_case(tokens: Tokens, at: int) -> int:
    stop = min(at + 40, len(tokens))
    while at < stop and tokens[at] not in (":", ";", "{", "}"):
        at += 1
    return at + 1 if tokens[at] == ":" else at


def _declares(tokens: Tokens, at: int) -> bool:
    """Whether a statement that begins at ``at`` is a declaration."""
    text = tokens[at]
    if text in _NOT_TYPES:
        return False
    if text in LOCAL_MACROS:
        return tokens[at + 1] == "("
    if text in PRIMITIVE or text in TAGGED or text in QUALIFIERS or text == "static":
        return True
    if text in TYPEOF or text == "__auto_type":
        return True
    specifiers = read_specifiers(tokens, at)
    if specifiers is None or specifiers.next == at:
        return False
    declarator = read_declarator(tokens, specifiers.next)
    if not declarator.name or tokens[declarator.next] not in (";", "=", ",", ":", ")", ""):
        return False
    # ``foo(bar);`` and ``foo(*bar);`` are calls: only a pointer to a function or an array is declared so
    return tokens[specifiers.next] != "(" or declarator.derived[:1] == ("*",) != declarator.derived


def _declare(tokens: Tokens, at: int, path: str, scope: tuple[int, int], found: list[Local]) -> int:
    """Add what a declaration declares; returns the token from which to read on."""
    if tokens[at] in LOCAL_MACROS or (tokens[at] == "static" and tokens[at + 1] in LOCAL_MACROS):
        return _declare_by_macro(tokens, at, scope, found)
    declaration = read_declaration(tokens, at, path)
    if declaration is None:
        return at + 1
    kind: LocalKind = "static" if "static" in declaration.storage else "local"
    found += [
        Local(d.name, d.type, d.name_start, kind, d.start, d.end, *scope)
        for d in declaration.declared
        if not (d.type.derived and d.type.derived[0].startswith("("))  # a prototype
    ]
    # initialisers are read again: statement expressions in them have locals of their own
    return max(declaration.declarators, at + 1)


def _declare_by_macro(tokens: Tokens, at: int, scope: tuple[int, int], found: list[Local]) -> int:
    first = at
    kind: LocalKind = "local"
    if tokens[at] == "static":
        at, kind = at + 1, "static"
    base, argument = LOCAL_MACROS[tokens[at]]
    stop = tokens.past(at + 1)
    names = tokens.commas(at + 2, stop - 1)
    if argument < len(names) and tokens.is_word(names[argument][0]):
        name = names[argument][0]
        of = CType(base.removesuffix(" []"), ("[]",) if base.endswith("[]") else ())
        span = tokens.start(first), tokens.stop(stop - 1)
        found.append(Local(tokens[name], of, tokens.start(name), kind, *span, *scope))
    return stop


def _statement_end(tokens: Tokens, at: int) -> int:
    """Offset where the ``for`` statement whose header holds token ``at`` ends."""
    while at > 0 and not (tokens[at] == "(" and tokens[at - 1] == "for"):
        at -= 1
    at = tokens.past(at)
    while at < len(tokens):
        text = tokens[at]
        if text == "{":
            at = tokens.past(at)
            if tokens[at] != "else":
                return tokens.stop(at - 1)
        elif text in (";", "}"):
            if text == "}" or tokens[at + 1] != "else":
                return tokens.stop(at)
            at += 1
        elif text == "(":
            at = tokens.past(at)
        else:
            at += 1
    return tokens.end


def locals_at(source: Source, offset: int) -> list[Local]:
    """What can be named at ``offset``: innermost first, shadowed ones left out, then the labels."""
    function = enclosing_function(source, offset)
    if function is None:
        return []
    visible: dict[str, Local] = {}
    labels: list[Local] = []
    for local in sorted(_locals_of(source, function), key=_innermost_first):
        if local.kind == "label":
            labels.append(local)
        elif local.name_start < offset <= local.scope_end or local.kind == "parameter":
            visible.setdefault(local.name, local)
    return [*visible.values(), *labels]


def _innermost_first(local: Local) -> tuple[int, int]:
    return -local.scope_start, -local.name_start


def _bound(scope: tuple[Local, ...], name: str, offset: int, label: bool) -> Local | None:
    best: Local | None = None
    for local in scope:
        if local.name != name or (local.kind == "label") != label:
            continue
        if not (label or local.kind == "parameter" or local.name_start <= offset < local.scope_end):
            continue
        if best is None or _innermost_first(local) < _innermost_first(best):
            best = local
    return best


def _is_label_use(tokens: Tokens, at: int) -> bool:
    return tokens[at - 1] == "goto" or (
        tokens[at + 1] == ":" and tokens[at - 1] in (";", "{", "}", ":", ")")
    ) or (tokens[at - 1] == "&&" and tokens[at - 2] in ("=", "(", ",", "]", "{"))  # fmt: skip


def local_binding(source: Source, offset: int) -> Local | None:
    """The local, parameter or label that the identifier at ``offset`` means; None if it is none of these."""
    span = identifier_at(source.data, offset)
    function = enclosing_function(source, offset) if span else None
    if span is None or function is None:
        return None
    tokens = function_tokens(source, function)
    return _binding(tokens, tokens.at_offset(span[0]), _locals_of(source, function), span[0])


def _binding(tokens: Tokens, at: int, scope: tuple[Local, ...], start: int) -> Local | None:
    if tokens.start(at) != start or tokens[at - 1] in TAGGED:
        return None
    if tokens[at - 1] in (".", "->") and not tokens.begins_line(at):
        return None
    return _bound(scope, tokens[at], start, _is_label_use(tokens, at))


def occurrences(source: Source, local: Local) -> list[tuple[int, int]]:
    """(start, end) of every place in its function that means ``local``, the declaration included, in order."""
    function = enclosing_function(source, local.name_start)
    if function is None:
        return []
    tokens = function_tokens(source, function)
    scope = _locals_of(source, function)
    return [
        (token.start, token.end)
        for at, token in enumerate(tokens.items)
        if token.text == local.name and _binding(tokens, at, scope, token.start) == local
    ]
