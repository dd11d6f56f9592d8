"""Blanking of comments and strings at the same length, so that a regex over the rest matches only code."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Possessive repeats keep the matching linear. An unterminated string ends with its line, so the apostrophe in
# ``#error don't`` does not swallow the file. ``\`` continues a string or a ``//`` comment on the next line.
_TOKEN = re.compile(
    rb"""/(?:/[^\n\\]*+(?:\\\r?+[^\r][^\n\\]*+)*+|\*)"""
    rb"""|"[^"\\\n]*+(?:\\\r?+[^\r][^"\\\n]*+)*+"?"""
    rb"""|'[^'\\\n]*+(?:\\\r?+[^\r][^'\\\n]*+)*+'?""",
)
_BLANKS = bytes(c if c in b"\n\r" else 0x20 for c in range(256))
_NOT_A_JOIN = re.compile(rb"[^\n\r\\]|\\(?!\r?\n)")

#: Bytes searched before a name for the operator that precedes it.
MAX_LOOK_BEHIND_BYTES = 200


def blank_comments(data: bytes, strings: bool = True) -> bytes:
    """Replace comments by spaces, and with ``strings`` also the text between quotes.

    The length, newlines, backslash-newlines and quotes stay, so offsets, lines and the extent of macros stay valid.
    An unterminated comment runs to the end.
    """
    pieces: list[bytes] = []
    append, search, find = pieces.append, _TOKEN.search, data.find
    done = at = 0
    while match := search(data, at):
        start, at = match.span()
        if data[start] == 0x2F:
            if data[start + 1] == 0x2A:
                close = find(b"*/", at)
                at = close + 2 if close >= 0 else len(data)
            append(data[done:start])
            append(_blank(data[start:at]))
            done = at
        elif strings and at - start > 1:
            close = at - 1 if data[at - 1] == data[start] else at
            append(data[done : start + 1])
            append(_blank(data[start + 1 : close]))
            done = close
    if not done:
        return data
    append(data[done:])
    return b"".join(pieces)


def comment_spans(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of each comment, in order. An unterminated one runs to the end."""
    at = 0
    while match := _TOKEN.search(data, at):
        start, at = match.span()
        if data[start] == 0x2F:
            if data[start + 1] == 0x2A:
                close = data.find(b"*/", at)
                at = close + 2 if close >= 0 else len(data)
            yield start, at


def _blank(text: bytes) -> bytes:
    if b"\\" in text and (b"\\\n" in text or b"\\\r" in text):
        return _NOT_A_JOIN.sub(b" ", text)
    return text.translate(_BLANKS)


def is_member_use(data: bytes, start: int) -> bool:
    """Return True if the name at ``start`` follows ``.`` or ``->`` (a member or a designator)."""
    first = max(0, start - MAX_LOOK_BEHIND_BYTES)
    before = data[first:start].rstrip()
    end = first + len(before)
    if before.endswith(b">"):
        return data.endswith(b"->", 0, end)
    return before.endswith(b".") and not data.endswith(b"...", 0, end)
