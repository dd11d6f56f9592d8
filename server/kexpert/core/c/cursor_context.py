"""The context of an offset: comment, string or code, its directive, and the tokens of its function."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from kexpert.core.c.function_extent import enclosing_function, function_tokens
from kexpert.core.c.source import Source
from kexpert.core.c.tokens import Tokens

_MAX_LOOKBACK_BYTES = 64 * 1024  # for the start of a comment or a directive
#: Bytes read of a declaration outside functions, before and after the offset. Tables can be megabytes long.
_MAX_BYTES_ABOVE, _MAX_BYTES_BELOW = 32 * 1024, 4 * 1024

_LINE_PART = re.compile(
    rb"""(?P<comment>/\*.*?(?:\*/|\Z)|//.*)|(?P<string>"(?:[^"\\]|\\.)*+(?:"|\Z)|'(?:[^'\\]|\\.)*+(?:'|\Z))"""
)
_DEFINE = re.compile(rb"[ \t]*#[ \t]*define[ \t]+\w+(?:\([^)\n]*\))?|[ \t]*#[ \t]*\w+")

LexicalClass = Literal["code", "comment", "string"]


def lexical_class(data: bytes, offset: int) -> LexicalClass:
    """Tell if a character typed at ``offset`` would be in code, in a comment or in a string."""
    begin = comment_start(data, offset)
    if begin is not None:
        return "comment"
    line = data.rfind(b"\n", max(offset - _MAX_LOOKBACK_BYTES, 0), offset) + 1
    line = max(line, data.rfind(b"*/", line, offset) + 2 if comment_start(data, line) is not None else line)
    part: re.Match[bytes] | None
    for part in _LINE_PART.finditer(data, line, offset):
        closed = part.end() < offset or (
            part.lastgroup == "string" and part.end() - part.start() > 1 and part[0][-1:] == part[0][:1]
        )
        if not closed or (part[0].startswith(b"//")):
            return "comment" if part.lastgroup == "comment" and not part[0].endswith(b"*/") else "string"
    return "code"


def comment_start(data: bytes, offset: int) -> int | None:
    """Start of the ``/* … */`` comment that holds ``offset``; None outside such a comment."""
    begin = data.rfind(b"/*", max(offset - _MAX_LOOKBACK_BYTES, 0), offset)
    if begin < 0 or data.find(b"*/", begin + 2, offset) >= 0 or begin + 2 > offset:
        return None
    line = data.rfind(b"\n", max(begin - _MAX_LOOKBACK_BYTES, 0), begin) + 1
    for part in _LINE_PART.finditer(data, line, begin + 2):
        if part.start() < begin < part.end() + 1 and (part.lastgroup == "string" or part[0].startswith(b"//")):
            return None
    return begin


def directive_at(data: bytes, offset: int) -> tuple[int, int] | None:
    """(start, end) of the preprocessor directive that holds ``offset``, continuation lines included."""
    floor = max(offset - _MAX_LOOKBACK_BYTES, 0)
    start = data.rfind(b"\n", floor, offset) + 1
    while start > floor and data[start - 2 : start - 1] == b"\\":
        start = data.rfind(b"\n", floor, start - 1) + 1
    if not data[start : start + 200].lstrip(b" \t").startswith(b"#"):
        return None
    end = data.find(b"\n", offset)
    while end > 0 and data[end - 1 : end] == b"\\" and end - offset < _MAX_LOOKBACK_BYTES:
        end = data.find(b"\n", end + 1)
    return start, end if end >= 0 else len(data)


def enclosing_tokens(source: Source, offset: int) -> Tokens:
    """The tokens of the function, macro or file-level declaration that holds ``offset``."""
    data = source.data
    directive = directive_at(data, offset)
    if directive:
        head = _DEFINE.match(data, directive[0])
        return _slice(source, head.end() if head else directive[0], directive[1])
    function = enclosing_function(source, offset)
    if function:
        return function_tokens(source, function)
    return _slice(source, _declaration_start(data, offset), _declaration_end(data, offset))


@lru_cache(maxsize=16)
def _slice(source: Source, start: int, end: int) -> Tokens:
    return Tokens(source.data, start, end)


def _declaration_start(data: bytes, offset: int) -> int:
    """Start of the nearest line above that has a word in column 0, where kernel style begins a declaration."""
    floor = max(offset - _MAX_BYTES_ABOVE, 0)
    start = data.rfind(b"\n", floor, offset) + 1
    while start > floor:
        first = data[start : start + 1]
        if first.isalpha() or first == b"_":
            break
        start = data.rfind(b"\n", floor, start - 1) + 1
    return start


def _declaration_end(data: bytes, offset: int) -> int:
    limit = min(offset + _MAX_BYTES_BELOW, len(data))
    closing = data.find(b"\n}", offset, limit)
    blank = data.find(b"\n\n", offset, limit)
    if closing < 0:
        return blank if blank >= 0 else limit
    line = data.find(b"\n", closing + 1, limit)
    return line if line >= 0 else limit
