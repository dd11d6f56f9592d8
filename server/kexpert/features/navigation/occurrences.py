"""The occurrences of a name in the code of one file, and their roles."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kexpert.core.c.lex import blank_comments, is_member_use
from kexpert.core.c.scope import local_binding
from kexpert.core.c.source import Source

_WRITTEN = re.compile(rb"\s*(?:=(?!=)|\+\+|--|(?:[-+*/%&|^]|<<|>>)=)")
_MAX_GAP_BYTES = 200  # of blanks between a name and its operator


def words(code: bytes, name: str) -> Iterator[tuple[int, int]]:
    """Every occurrence of an identifier in text whose comments and strings are blanked."""
    pattern = re.compile(rb"(?<![\w])" + re.escape(name.encode("utf-8", "surrogateescape")) + rb"(?![\w])")
    return (match.span() for match in pattern.finditer(code))


def is_write(data: bytes, start: int, end: int) -> bool:
    """True if the variable at ``start:end`` is assigned, incremented, decremented or initialised."""
    if _WRITTEN.match(data, end, end + _MAX_GAP_BYTES):
        return True
    return data[max(0, start - _MAX_GAP_BYTES) : start].rstrip().endswith((b"++", b"--"))


def in_file(source: Source, name: str) -> list[tuple[int, int]]:
    """The occurrences in a file that can mean a name at file scope: no members, no locals of that name."""
    return [
        span
        for span in words(blank_comments(source.data), name)
        if not is_member_use(source.data, span[0]) and local_binding(source, span[0]) is None
    ]


def member_in_file(data: bytes, name: str) -> list[tuple[int, int]]:
    """The occurrences of ``name`` in a file after ``.`` or ``->``."""
    return [span for span in words(blank_comments(data), name) if is_member_use(data, span[0])]
