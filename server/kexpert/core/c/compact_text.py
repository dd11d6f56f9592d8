"""A text without its long runs of blanks, and the way back to its offsets and lines.

Indexing parses files in which bodies and directives are blank. What works through that text, and the parser above all,
takes half the time if the runs are not there.
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_right

_GAP = re.compile(rb"\n[ \t\r\n]{32,}+")  # a literal first byte makes the search fast


class CompactText:
    """A text in which a run of blank lines is one line break."""

    __slots__ = ("_lines", "_moved", "_starts", "text")

    def __init__(self, full: bytes) -> None:
        pieces: list[bytes] = []
        self._starts = [0]  # of the pieces, in ``text``
        self._moved = [0]  # what to add to an offset in each piece
        self._lines = [0]  # what to add to a line
        done = size = lines = 0
        for gap in _GAP.finditer(full):
            start, end = gap.span()
            resume = full.rfind(b"\n", start, end)
            if resume == start:  # one line, far to the right
                continue
            pieces.append(full[done:start])
            size += start - done
            lines += full.count(b"\n", start, resume)
            done = resume
            self._starts.append(size)
            self._moved.append(resume - size)
            self._lines.append(lines)
        pieces.append(full[done:])
        self.text = b"".join(pieces)
        self._starts.append(sys.maxsize)  # of no piece

    def place(self, at: int, line: int) -> tuple[int, int]:
        """The offset and the line in the full text, given those in ``text``."""
        piece = bisect_right(self._starts, at) - 1
        return at + self._moved[piece], line + self._lines[piece]

    def extent(self, name: int, line: int, start: int, end: int) -> tuple[int, int, int, int]:
        """The offset and the line of a name in the full text, and the range of what holds it."""
        starts = self._starts
        piece = bisect_right(starts, name) - 1
        moved, line = self._moved[piece], line + self._lines[piece]
        if starts[piece] <= start and end <= starts[piece + 1]:
            return name + moved, line, start + moved, end + moved
        return name + moved, line, self.start(start), self.end(end)

    def start(self, at: int) -> int:
        """The offset in the full text of the byte at ``at``."""
        return at + self._moved[bisect_right(self._starts, at) - 1]

    def end(self, at: int) -> int:
        """The offset in the full text after the byte before ``at``."""
        return at + self._moved[bisect_right(self._starts, at - 1) - 1]
