"""Positions in text and their conversion.

A language server uses five kinds of position:

- byte offset      what tree-sitter, the index and every feature use; an int into ``bytes``
- line             0-based; lines end at ``\\n``, ``\\r\\n`` or ``\\r`` and nowhere else (the protocol's
                   rule: a form feed or U+2028 does not end a line)
- byte column      offset from the start of the line
- code points      the protocol's ``utf-32`` characters
- UTF-16 units     the protocol's default characters

Only this module converts between them. A byte that is not UTF-8 counts as one character in every encoding.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from typing import Literal

from kexpert.core.text import decode, encode

Encoding = Literal["utf-8", "utf-16", "utf-32"]

_NEWLINE = re.compile(rb"\r\n|\n|\r")


class LineIndex:
    """The line starts of one immutable ``bytes``, and conversions between kinds of position.

    Positions that do not exist raise no error: lines and characters past the end are clamped, as the protocol requires.
    """

    __slots__ = ("data", "starts")

    def __init__(self, data: bytes) -> None:
        self.data = data
        if b"\r" in data:
            self.starts = [0, *(m.end() for m in _NEWLINE.finditer(data))]
        else:
            starts = [0]
            append, find = starts.append, data.find
            at = find(b"\n")
            while at >= 0:
                append(at + 1)
                at = find(b"\n", at + 1)
            self.starts = starts

    def line_of(self, offset: int) -> int:
        """The line of a byte offset, 0-based."""
        return bisect_right(self.starts, max(offset, 0)) - 1

    def line_bytes(self, line: int) -> bytes:
        """A line without its terminator; empty past the end."""
        if not 0 <= line < len(self.starts):
            return b""
        end = self.starts[line + 1] if line + 1 < len(self.starts) else len(self.data)
        return self.data[self.starts[line] : end].rstrip(b"\r\n")

    def to_position(self, offset: int, encoding: Encoding = "utf-8") -> tuple[int, int]:
        """Byte offset -> (line, character), both 0-based, in the units of ``encoding``."""
        offset = min(max(offset, 0), len(self.data))
        line = self.line_of(offset)
        return line, _width(self.data[self.starts[line] : offset], encoding)

    def to_offset(self, line: int, character: int, encoding: Encoding = "utf-8") -> int:
        """(line, character) -> byte offset, clamped to the line and to the file."""
        if line < 0:
            return 0
        if line >= len(self.starts):
            return len(self.data)
        start, content = self.starts[line], self.line_bytes(line)
        character = max(character, 0)
        if encoding == "utf-8" or content.isascii():
            return start + min(character, len(content))
        text = decode(content)
        if encoding == "utf-32":
            return start + len(encode(text[:character]))
        units = 0
        for count, char in enumerate(text):
            width = 2 if ord(char) > 0xFFFF else 1
            if units + width > character:
                return start + len(encode(text[:count]))
            units += width
        return start + len(content)


class EditedText(LineIndex):
    """A text to which edits are applied in sequence. The positions of an edit refer to the text after the edits before.

    Line starts before the last edit stay known; later ones are found on demand. So a thousand edits at once (a rename)
    do not index the text a thousand times.
    """

    __slots__ = ()

    def __init__(self, before: LineIndex) -> None:
        self.data = before.data
        self.starts = before.starts[:]

    def replace(self, start: tuple[int, int], end: tuple[int, int], text: bytes, encoding: Encoding) -> None:
        """Replace the range from ``start`` to ``end``, both (line, character), by ``text``."""
        self._reach(max(start[0], end[0]))
        at = self.to_offset(*start, encoding)
        until = max(at, self.to_offset(*end, encoding))
        line = self.line_of(at)
        self.data = self.data[:at] + text + self.data[until:]
        # Forget the start of this line too: a ``\n`` inserted after a ``\r`` moves it.
        del self.starts[max(line, 1) :]

    def _reach(self, line: int) -> None:
        """Find line starts until the start and the end of ``line`` are known."""
        while len(self.starts) < line + 2:
            newline = _NEWLINE.search(self.data, self.starts[-1])
            if newline is None:
                return
            self.starts.append(newline.end())


def positions(data: bytes, offsets: Iterable[int], encoding: Encoding = "utf-8") -> list[tuple[int, int]]:
    """``LineIndex(data).to_position`` of each offset. ``offsets`` must be in ascending order.

    For a few offsets in each of many files, this is far cheaper than a ``LineIndex``.
    """
    if b"\r" in data:
        index = LineIndex(data)
        return [index.to_position(offset, encoding) for offset in offsets]
    found: list[tuple[int, int]] = []
    at = line = column = 0
    for offset in offsets:
        offset = min(max(offset, at), len(data))
        if newlines := data.count(b"\n", at, offset):
            line += newlines
            column, at = 0, data.rindex(b"\n", at, offset) + 1
        column += _width(data[at:offset], encoding)
        at = offset
        found.append((line, column))
    return found


def span_positions(
    data: bytes, spans: Iterable[tuple[int, int]], encoding: Encoding = "utf-8"
) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Convert (start, end) byte offsets, in any order, to pairs of positions in the same order."""
    spans = list(spans)
    wanted = {start for start, _ in spans}
    # The end of a span that is one word follows from its start.
    words = {span for span in spans if _is_word(data[span[0] : span[1]])}
    wanted.update(end for start, end in spans if (start, end) not in words)
    ordered = sorted(wanted)
    at = dict(zip(ordered, positions(data, ordered, encoding), strict=True))
    return [
        (at[start], (at[start][0], at[start][1] + end - start) if (start, end) in words else at[end])
        for start, end in spans
    ]


def _is_word(text: bytes) -> bool:
    return text.replace(b"_", b"a").isalnum()


def _width(text: bytes, encoding: Encoding) -> int:
    """The number of characters in ``encoding`` of a part of one line."""
    if encoding == "utf-8" or text.isascii():
        return len(text)
    decoded = decode(text)
    if encoding == "utf-32":
        return len(decoded)
    return sum(2 if ord(char) > 0xFFFF else 1 for char in decoded)
