"""The parameters, locals and labels of a function, their scopes, and what refers to them.

Everything is read from tokens, so it works while the line at the cursor is incomplete.
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
from kexpert.core.c.function_extent import Function, enclosing_function, function_tokens
from kexpert.core.c.macro_locals import is_loop, name_declared, type_declared
from kexpert.core.c.macro_types import LOCAL_MACROS
from kexpert.core.c.source import Source
from kexpert.core.c.tokens import Tokens
from kexpert.core.text import identifier_at

LocalKind = Literal["parameter", "local", "static", "label"]

#: Macros whose parameters are pairs: type, name, type, name, …
_PARAMETER_PAIRS = re.compile(r"(?:COMPAT_)?SYSCALL(?:32|_COMPAT)?_DEFINE\d|BPF_CALL_\d", re.A)
_NOT_TYPES = frozenset(
    {"return", "goto", "else", "case", "do", "sizeof", "if", "while", "for", "switch", "break", "continue", "default",
     "asm", "__asm__", "__label__", "extern", "typedef"}
)  # fmt: skip
#: Words that may precede a type within one statement.
_NO_STATEMENT = _NOT_TYPES | PRIMITIVE | QUALIFIERS | STORAGE
_TYPE_WORDS = PRIMITIVE | TAGGED | {"const", "static"}
#: No declaration has one of these after its first word, unless that is a keyword.
_NEVER_AFTER_TYPE = frozenset(
    {"->", ".", "=", "[", "++", "--", "+=", "-=", "|=", "&=", "^=", "*=", "/=", "%=", "<<=", ">>=", ";", ",", ")"}
)
#: Within a statement, all other tokens neither end it nor begin a declaration.
_MAY_BEGIN = _TYPE_WORDS | {"{", "}", ";", "(", "case", "default"}


@dataclass(frozen=True, slots=True)
class Local:
    """A name that a function declares. Offsets are bytes; the name is visible from ``name_start`` to ``scope_end``."""

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


@lru_cache(maxsize=16)
def locals_of(source: Source, function: Function) -> tuple[Local, ...]:
    """Every parameter, local and label of a function, parameters first."""
    tokens = function_tokens(source, function)
    brace = tokens.at_offset(function.body_start)
    return (*_parameters(tokens, brace, function), *block_locals(tokens, brace, source.path, source.data))


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
    """The type of a parameter, in which an array becomes a pointer."""
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


def block_locals(tokens: Tokens, brace: int, path: str = "", data: bytes = b"") -> list[Local]:
    """All names declared inside the block that opens at token ``brace``, labels included; ``data`` is the file."""
    found: list[Local] = []
    ends: list[tuple[int, int]] = []  # (token that closes a block, offset where its scope ends)
    starts: list[int] = []
    statement = for_header = False
    at, last = brace, tokens.partner(brace) if tokens.partner(brace) >= 0 else len(tokens)
    texts = [token.text for token in tokens.items]
    while at < last or at == brace:
        text = texts[at] if at < len(texts) else ""
        if not statement and text not in _MAY_BEGIN and tokens[at - 1] != "goto":
            at += 1
            continue
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
        elif statement and _may_declare(text) and (name_at := name_declared(tokens, at)) >= 0:
            declared, stop = tokens[name_at], tokens.past(at + 1)
            of = type_declared(tokens, at, declared, data, _types_in)
            end = _following_end(tokens, stop) if is_loop(text) else ends[-1][1]
            found.append(Local(declared, of, tokens.start(name_at), "local", tokens.start(at), tokens.stop(stop - 1),
                               starts[-1], end))  # fmt: skip
            statement, at = is_loop(text), stop
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


def _may_declare(word: str) -> bool:
    return (word.isupper() or word.endswith("_scoped")) and word not in LOCAL_MACROS


def _types_in(tokens: Tokens) -> dict[str, CType]:
    return {local.name: local.type for local in block_locals(tokens, 0)}


def _following_end(tokens: Tokens, at: int) -> int:
    """End offset of the statement or block that begins at token ``at``."""
    if tokens[at] == "{":
        return tokens.stop(tokens.past(at) - 1)
    while at < len(tokens) and tokens[at] not in (";", "}"):
        at = tokens.past(at) if tokens[at] in ("(", "{") else at + 1
    return tokens.stop(at)


def _is_label(tokens: Tokens, at: int) -> bool:
    return tokens.is_word(at) and tokens[at + 1] == ":" and tokens[at] != "default"


def _resumes(tokens: Tokens, at: int) -> bool:
    """Return True if a declaration begins at ``at`` although the line above lacks its ``;``."""
    return tokens[at] in _TYPE_WORDS and (
        tokens[at - 1] in ("->", ".", "=", ")") or (tokens.is_word(at - 1) and tokens[at - 1] not in _NO_STATEMENT)
    )


def _past_case(tokens: Tokens, at: int) -> int:
    stop = min(at + 40, len(tokens))
    while at < stop and tokens[at] not in (":", ";", "{", "}"):
        at += 1
    return at + 1 if tokens[at] == ":" else at


def _declares(tokens: Tokens, at: int) -> bool:
    """Return True if the statement that begins at ``at`` is a declaration."""
    text = tokens[at]
    if text in _NOT_TYPES:
        return False
    if text in LOCAL_MACROS:
        return tokens[at + 1] == "("
    if text in PRIMITIVE or text in TAGGED or text in QUALIFIERS or text == "static":
        return True
    if text in TYPEOF or text == "__auto_type":
        return True
    after = tokens[at + 1]
    if after in _NEVER_AFTER_TYPE or (after == "(" and text[:1] != "_" and tokens[at + 2][:1].isalpha()):
        return False  # an expression; what follows would find that out more slowly
    specifiers = read_specifiers(tokens, at)
    if specifiers is None or specifiers.next == at:
        return False
    declarator = read_declarator(tokens, specifiers.next)
    if not declarator.name or tokens[declarator.next] not in (";", "=", ",", ":", ")", ""):
        return False
    # ``foo(bar);`` and ``foo(*bar);`` are calls; only pointers to functions or arrays are declared this way
    return tokens[specifiers.next] != "(" or declarator.derived[:1] == ("*",) != declarator.derived


def _declare(tokens: Tokens, at: int, path: str, scope: tuple[int, int], found: list[Local]) -> int:
    """Append the names of a declaration to ``found``. Returns the token from which to continue."""
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
    # continue inside the initialisers: statement expressions there have locals of their own
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
    """End offset of the ``for`` statement whose header holds token ``at``."""
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
    """The names visible at ``offset``: innermost first, without shadowed ones, then the labels."""
    function = enclosing_function(source, offset)
    if function is None:
        return []
    visible: dict[str, Local] = {}
    labels: list[Local] = []
    for local in sorted(locals_of(source, function), key=_innermost_first):
        if local.kind == "label":
            labels.append(local)
        elif local.name_start < offset <= local.scope_end or local.kind == "parameter":
            visible.setdefault(local.name, local)
    return [*visible.values(), *labels]


def _innermost_first(local: Local) -> tuple[int, int]:
    return -local.scope_start, -local.name_start


def _bound(scope: tuple[Local, ...], name: str, offset: int, label: bool) -> Local | None:
    innermost: Local | None = None
    for local in scope:
        if local.name != name or (local.kind == "label") != label:
            continue
        if not (label or local.kind == "parameter" or local.name_start <= offset < local.scope_end):
            continue
        if innermost is None or _innermost_first(local) < _innermost_first(innermost):
            innermost = local
    return innermost


def _is_label_use(tokens: Tokens, at: int) -> bool:
    return tokens[at - 1] == "goto" or (
        tokens[at + 1] == ":" and tokens[at - 1] in (";", "{", "}", ":", ")")
    ) or (tokens[at - 1] == "&&" and tokens[at - 2] in ("=", "(", ",", "]", "{"))  # fmt: skip


def local_binding(source: Source, offset: int) -> Local | None:
    """The local, parameter or label that the identifier at ``offset`` refers to; None if there is none."""
    span = identifier_at(source.data, offset)
    function = enclosing_function(source, offset) if span else None
    if span is None or function is None:
        return None
    tokens = function_tokens(source, function)
    return _binding(tokens, tokens.at_offset(span[0]), locals_of(source, function), span[0])


def _binding(tokens: Tokens, at: int, scope: tuple[Local, ...], start: int) -> Local | None:
    if tokens.start(at) != start or tokens[at - 1] in TAGGED:
        return None
    if tokens[at - 1] in (".", "->") and not tokens.begins_line(at):
        return None
    return _bound(scope, tokens[at], start, _is_label_use(tokens, at))


def occurrences(source: Source, local: Local) -> list[tuple[int, int]]:
    """(start, end) of every reference to ``local`` in its function, the declaration included, in order."""
    function = enclosing_function(source, local.name_start)
    if function is None:
        return []
    tokens = function_tokens(source, function)
    scope = locals_of(source, function)
    return [
        (token.start, token.end)
        for at, token in enumerate(tokens.items)
        if token.text == local.name and _binding(tokens, at, scope, token.start) == local
    ]
