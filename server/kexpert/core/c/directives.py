"""The preprocessor's directives of a file as written: conditions, includes, definitions of macros."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from kexpert.core.c.conditions import in_comment
from kexpert.core.c.lex import blank_comments

_DIRECTIVE = re.compile(rb"#[ \t]*(ifdef|ifndef|if|elif|else|endif|include|define|undef)\b")
_MAX_INDENT_BYTES = 256
_MAX_LINE_BYTES = 4096
#: Longer text of a macro is not kept: conditions do not need it.
_MAX_BODY_BYTES = 120
#: Of a larger file the macros are not kept: it is a list of registers.
_MAX_MACRO_FILE_BYTES = 400_000
_INCLUDE = re.compile(r'\s*(?:<([^>\n]*)>|"([^"\n]*)")')
_DEFINE = re.compile(r"\s*(\w+)(\()?")


class Directive(NamedTuple):
    """``name``: the macro, the included file, or the condition. ``text``: the macro's replacement text, None if it has
    parameters or is long; for an include, "<" or '"'."""

    keyword: str
    start: int  # of the "#"
    name: str
    text: str | None


def directives_of(data: bytes) -> tuple[Directive, ...]:
    """All directives of a file, in order; those in comments are left out."""
    return _kept(hash(data), _Text(data))


class _Text:
    """Bytes that a cache does not keep: two texts are equal if their length is. The hash is the other argument."""

    __slots__ = ("data", "size")

    def __init__(self, data: bytes) -> None:
        self.data: bytes | None = data
        self.size = len(data)

    def __hash__(self) -> int:
        return self.size

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Text) and self.size == other.size


@lru_cache(maxsize=256)
def _kept(digest: int, text: _Text) -> tuple[Directive, ...]:
    data = text.data or b""
    text.data = None
    return _read(data)


def _read(data: bytes) -> tuple[Directive, ...]:
    found: list[Directive] = []
    at = code = 0
    keeps_macros = len(data) <= _MAX_MACRO_FILE_BYTES
    rfind = data.rfind
    while match := _DIRECTIVE.search(data, at):
        start, at = match.span()
        keyword = match[1].decode()
        if not keeps_macros and keyword in ("define", "undef"):
            continue
        floor = max(0, start - _MAX_INDENT_BYTES)
        line = rfind(b"\n", floor, start) + 1 or floor
        before = data[line:start].strip(b" \t\f\v") if line != start else b""
        if (before or (line == floor != start and floor)) and not before.endswith(b"*/"):
            continue
        if rfind(b"/*", code, start) > rfind(b"*/", code, start) and in_comment(data, code, start):
            close = data.find(b"*/", start)
            if close < 0:
                break
            code = at = close + 2
            continue
        code = start
        rest = "" if keyword in ("else", "endif") else _rest(data, at)
        directive = _directive(keyword, start, rest)
        if directive is not None:
            found.append(directive)
    return tuple(found)


def _rest(data: bytes, start: int) -> str:
    """The rest of the line, continuations joined and comments removed."""
    end = data.find(b"\n", start)
    while start < end < start + _MAX_LINE_BYTES and data[end - 2 : end].rstrip(b"\r").endswith(b"\\"):
        end = data.find(b"\n", end + 1)
    line = data[start : min(end if end >= 0 else len(data), start + _MAX_LINE_BYTES)]
    if b"\\" in line:
        line = line.replace(b"\\\r\n", b" ").replace(b"\\\n", b" ")
    if b"/*" in line or b"//" in line:
        line = blank_comments(line, strings=False)
    return line.decode("latin-1").strip()


def _directive(keyword: str, start: int, rest: str) -> Directive | None:
    if keyword == "include":
        match = _INCLUDE.match(rest)
        if match is None:
            return Directive(keyword, start, rest, None)
        return Directive(keyword, start, match[1] or match[2] or "", "<" if match[1] else '"')
    if keyword in ("define", "undef"):
        match = _DEFINE.match(rest)
        if match is None:
            return None
        text = rest[match.end() :].strip() if not match[2] else None
        return Directive(keyword, start, match[1], text if text is None or len(text) <= _MAX_BODY_BYTES else None)
    if keyword in ("ifdef", "ifndef"):
        return Directive(keyword, start, rest.split()[0] if rest.split() else "", None)
    return Directive(keyword, start, rest, None)
