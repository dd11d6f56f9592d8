"""The occurrences of a name in the code of one file."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kexpert.core.c.lex import blank_comments, is_member_use
from kexpert.core.c.scope import local_binding
from kexpert.core.c.source import Source


def words(code: bytes, name: str) -> Iterator[tuple[int, int]]:
    """Every occurrence of an identifier in text whose comments and strings are blanked."""
    pattern = re.compile(rb"(?<![\w])" + re.escape(name.encode("utf-8", "surrogateescape")) + rb"(?![\w])")
    return (match.span() for match in pattern.finditer(code))


def in_file(source: Source, name: str) -> list[tuple[int, int]]:
    """The occurrences in a file that can mean a name at file scope: no members, no locals of that name."""
    return [
        span
        for span in words(blank_comments(source.data), name)
        if not is_member_use(source.data, span[0]) and local_binding(source, span[0]) is None
    ]
