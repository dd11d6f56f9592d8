"""The extent of the function that holds an offset, found without a parse.

Kernel style puts a function's braces in column 0. Functions in other styles are found by the line of their header.
Both ways still work while a line above the cursor is incomplete.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from kexpert.core.c.source import Source
from kexpert.core.c.tokens import Tokens

_MAX_FUNCTION_BYTES = 400_000  # of a longer function (generated tables of code) only the beginning is read
_MAX_HEADER_BYTES = 4096

_MARGIN_BRACE = re.compile(rb"^[{}]", re.M)
_BEGINS_DECLARATION = re.compile(rb"(?!\w+:(?!:))[A-Za-z_]")
_LINE_COMMENT_END = re.compile(rb"\s*(?:/?\*.*)?\*/\s*|\s*//.*", re.S)


@dataclass(frozen=True, slots=True)
class Function:
    """The byte range of a function: the header begins at ``start``, the body with the ``{`` at ``body_start``.

    ``end`` is the offset after ``}``.
    """

    start: int
    body_start: int
    end: int


def enclosing_function(source: Source, offset: int) -> Function | None:
    """Find the function whose header or body holds ``offset``."""
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
    """Start of the declaration whose body opens with the brace in column 0."""
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
    """Find a function whose ``{`` does not begin a line: ``static inline int f(void) { return 0; }``."""
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
    """Index of the ``{`` that follows the parameter list of the declaration at token 0."""
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
