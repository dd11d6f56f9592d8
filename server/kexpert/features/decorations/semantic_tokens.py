"""Semantic tokens: the names of a text with what they are, which a grammar of C cannot tell.

Names are read from tokens, so a file with a half-typed line keeps its colours. Locals and members come from the text,
function by function, so that an edit costs one function; every other name from one question to the view about all of
them. Keywords, comments and literals are left to the editor.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Literal, NamedTuple

from kexpert.core.c.declarators import PRIMITIVE
from kexpert.core.c.function_extent import enclosing_function
from kexpert.core.c.keywords import KEYWORDS
from kexpert.core.c.lex import blank_comments
from kexpert.core.c.scope import Local, locals_of
from kexpert.core.c.source import Source
from kexpert.core.c.tokens import Tokens
from kexpert.core.symbols import Flag, Kind, Symbol
from kexpert.view import View

TokenType = Literal[
    "macro", "function", "method", "parameter", "variable", "property", "enumMember", "type", "struct", "enum", "label"
]
Modifier = Literal["definition", "static", "perCpu", "config"]

#: Of a larger text nothing is coloured as a whole; a range of it still is.
MAX_BYTES = 1 << 20
_MAX_CACHED_PIECES = 2048
_PIECE_END = re.compile(rb"^\}[^\n\\]*(?:\n|\Z)", re.M)
_TAGS: dict[str, TokenType] = {"struct": "struct", "union": "struct", "enum": "enum"}
_CALLED: tuple[Kind, ...] = (Kind.FUNCTION, Kind.PROTOTYPE, Kind.SYSCALL, Kind.TRACEPOINT, Kind.ASM_LABEL)
_TYPE_OF: dict[Kind, TokenType] = {
    **dict.fromkeys(_CALLED, "function"), Kind.MACRO: "macro", Kind.ENUMERATOR: "enumMember", Kind.TYPEDEF: "type",
    Kind.VARIABLE: "variable", Kind.DECLARATION: "variable", Kind.MODULE_PARAM: "variable", Kind.STRUCT: "struct",
    Kind.UNION: "struct", Kind.ENUM: "enum", Kind.MEMBER: "property", Kind.CONFIG: "macro",
}  # fmt: skip
#: Which kind a name means, best first: where it is called, and elsewhere.
_WHERE_CALLED = (*_CALLED, Kind.MACRO, Kind.VARIABLE, Kind.DECLARATION, Kind.TYPEDEF)
_ELSEWHERE = (Kind.TYPEDEF, Kind.ENUMERATOR, Kind.VARIABLE, Kind.DECLARATION, *_CALLED, Kind.MACRO, Kind.MODULE_PARAM)
_DIRECTIVE = re.compile(rb"^[ \t]*#[ \t]*(define|undef|ifn?def|if|elif)\b((?:[^\n\\]|\\\r?\n|\\)*)", re.M)
_WORD = re.compile(rb"[A-Za-z_]\w*")


class SemanticToken(NamedTuple):
    """A name of a text, by byte offsets."""

    start: int
    end: int
    type: TokenType
    modifiers: frozenset[Modifier]


class _Name(NamedTuple):
    """A name of a piece of text, by offsets in the piece. ``type`` is "" where only the tree can tell."""

    text: str
    start: int
    end: int
    type: TokenType | Literal[""]
    is_definition: bool
    is_static: bool
    is_called: bool
    tag: str  # "struct" where that word precedes
    assigned_at: int  # of ``.open = foo_open``: where the function is named; else -1


def semantic_tokens(
    view: View, source: Source, start: int, end: int, cancelled: Callable[[], bool]
) -> list[SemanticToken]:
    """The names between two offsets, in order. Empty as soon as ``cancelled()``."""
    own: dict[str, list[Symbol]] = {}
    for symbol in source.facts.symbols:
        own.setdefault(symbol.name, []).append(symbol)
    assigned = {assignment.start for assignment in source.facts.assignments}
    functions = sorted(s.name_start for s in source.facts.symbols if s.kind in (Kind.FUNCTION, Kind.SYSCALL))
    found: list[SemanticToken] = []
    unknown: list[_Name] = []
    code = blank_comments(source.data)
    for first, last in _pieces(code, start, end):
        if cancelled():
            return []
        inside = functions[bisect_left(functions, first) : bisect_left(functions, last)]
        for name in _names_of(source.data[first:last], tuple(at - first for at in inside)):
            from_, to = first + name.start, first + name.end
            if to <= start or from_ >= end:
                continue
            if not name.type:
                unknown.append(name._replace(start=from_, end=to))
                continue
            modifiers: set[Modifier] = {"definition"} if name.is_definition else set()
            if name.is_static:
                modifiers.add("static")
            is_operation = name.assigned_at >= 0 and first + name.assigned_at in assigned
            found.append(SemanticToken(from_, to, "method" if is_operation else name.type, frozenset(modifiers)))
    found += _directive_names(code, start, end)
    kinds = view.kinds_of({name.text for name in unknown})
    found += (token for name in unknown if (token := _of_name(name, own.get(name.text, ()), kinds.get(name.text, {}))))
    return [] if cancelled() else sorted(found)


def _pieces(code: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The text between two offsets in pieces that end after a ``}`` in column 0, so that an edit changes one piece."""
    first = 0
    for brace in _PIECE_END.finditer(code):
        if brace.end() > start and first < end:
            yield first, brace.end()
        first = brace.end()
    if first < min(end, len(code)):
        yield first, len(code)


@lru_cache(maxsize=_MAX_CACHED_PIECES)
def _names_of(piece: bytes, functions: tuple[int, ...]) -> tuple[_Name, ...]:
    """The names of a piece; ``functions`` are the offsets of the names of functions in it."""
    tokens = Tokens(piece)
    scope = _Scope(Source("", piece), functions)
    found: list[_Name] = []
    for at, (text, start, end) in enumerate(tokens.items):
        if not (text[0].isalpha() or text[0] == "_") or text in KEYWORDS:
            continue
        before, after = tokens[at - 1], tokens[at + 1]
        kind: TokenType | Literal[""] = ""
        is_definition = is_static = False
        assigned_at = -1
        if before in (".", "->"):
            kind = "method" if after == "(" else "property"
            if before == "." and after == "=":
                assigned_at = tokens.start(at + 2)
        elif before not in _TAGS and (local := scope.binding(text, start)) is not None:
            kind = local.kind if local.kind in ("parameter", "label") else "variable"
            is_definition, is_static = start == local.name_start, local.kind == "static"
        elif before not in _TAGS and not scope.is_inside(start) and _is_parameter(tokens, at):
            kind, is_definition = "parameter", True
        tag = before if before in _TAGS else ""
        found.append(_Name(text, start, end, kind, is_definition, is_static, after == "(", tag, assigned_at))
    return tuple(found)


def _is_parameter(tokens: Tokens, at: int) -> bool:
    """True for ``inode`` in the prototype ``int open(struct inode *inode, int flags);``."""
    if tokens[at + 1] not in (",", ")", "[") or tokens.enclosing(at, "(") < 1:
        return False
    before = tokens[at - 1]
    return before == "*" or (tokens.is_word(at - 1) and (before not in KEYWORDS or before in PRIMITIVE))


class _Scope:
    """What the locals of the functions of a piece mean."""

    def __init__(self, source: Source, names: tuple[int, ...]) -> None:
        self._locals: dict[str, list[Local]] = {}
        self._spans: list[tuple[int, int]] = []
        for name in names:
            function = enclosing_function(source, name)
            if function is None:
                continue
            self._spans.append((function.start, function.end))
            for local in locals_of(source, function):
                self._locals.setdefault(local.name, []).append(local)

    def is_inside(self, offset: int) -> bool:
        """True in the head or the body of a function."""
        return any(start <= offset < end for start, end in self._spans)

    def binding(self, name: str, offset: int) -> Local | None:
        """The local that a name at an offset refers to."""
        visible = [
            local for local in self._locals.get(name, ())
            if (local.scope_start if local.kind in ("parameter", "label") else local.name_start)
            <= offset < local.scope_end
        ]  # fmt: skip
        return max(visible, key=lambda local: (local.scope_start, local.name_start), default=None)


def _of_name(name: _Name, own: Iterable[Symbol], elsewhere: dict[Kind, Flag]) -> SemanticToken | None:
    """A name of the file itself, else of the tree; None for one that nobody defines."""
    here = next((row for row in own if row.name_start == name.start and row.kind in _TYPE_OF), None)
    if here is not None:
        return SemanticToken(name.start, name.end, _TYPE_OF[here.kind], _modifiers(here.flags, is_definition=True))
    if name.text.startswith("CONFIG_"):
        return SemanticToken(name.start, name.end, "macro", frozenset({"config"}))
    if name.tag:
        return SemanticToken(name.start, name.end, _TAGS[name.tag], frozenset())
    kinds = dict(elsewhere)
    for row in own:
        kinds[row.kind] = kinds.get(row.kind, Flag(0)) | row.flags
    order = _WHERE_CALLED if name.is_called else _ELSEWHERE
    if not name.is_called and name.text.isupper():  # a constant, even if some driver has a variable of that name
        order = (Kind.ENUMERATOR, Kind.MACRO, *_ELSEWHERE)
    kind = next((each for each in order if each in kinds), None)
    if kind is None:
        return None
    flags = kinds[kind] if any(row.kind is kind for row in own) else kinds[kind] & Flag.PER_CPU
    return SemanticToken(name.start, name.end, _TYPE_OF[kind], _modifiers(flags, is_definition=False))


def _modifiers(flags: Flag, *, is_definition: bool) -> frozenset[Modifier]:
    found: set[Modifier] = {"definition"} if is_definition else set()
    if flags & Flag.STATIC:
        found.add("static")
    if flags & Flag.PER_CPU:
        found.add("perCpu")
    return frozenset(found)


def _directive_names(code: bytes, start: int, end: int) -> Iterator[SemanticToken]:
    """Options and macros in ``#if`` and ``#define`` lines of a text without comments."""
    for directive in _DIRECTIVE.finditer(code, code.rfind(b"\n", 0, start) + 1):
        if directive.start() >= end:
            break
        is_definition = directive[1] in (b"define", b"undef")
        for order, word in enumerate(_WORD.finditer(code, directive.start(2), directive.end(2))):
            at, stop = word.span()
            if stop <= start or at >= end:
                continue
            if word[0].startswith(b"CONFIG_"):
                yield SemanticToken(at, stop, "macro", frozenset({"config"}))
            elif is_definition and order == 0:
                yield SemanticToken(at, stop, "macro", frozenset({"definition"}))
            elif directive[1] in (b"ifdef", b"ifndef") and order == 0:
                yield SemanticToken(at, stop, "macro", frozenset())
