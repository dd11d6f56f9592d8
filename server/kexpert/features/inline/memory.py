"""Suggestions made a moment ago: typing through one that is shown, or behind one that was taken, costs no call."""

from __future__ import annotations

import zlib
from collections import deque
from dataclasses import dataclass, field

from kexpert.core.c.source import Source

_KEPT = 32


@dataclass(frozen=True, slots=True)
class Made:
    """``text`` was suggested at ``offset`` of a file of ``size`` bytes. Only their checksum is kept: many whole
    copies of a large file are much memory."""

    path: str
    size: int
    checksum: int
    offset: int
    text: bytes
    logprob: float


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of a suggestion to be typed."""

    text: bytes
    logprob: float


@dataclass(slots=True)
class Memory:
    """The last suggestions, newest first."""

    _made: deque[Made] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def keep(self, source: Source, offset: int, text: bytes, logprob: float) -> None:
        data = source.data
        self._made.appendleft(Made(source.path, len(data), zlib.crc32(data), offset, text, logprob))

    def find(self, source: Source, offset: int, least: float) -> Left | None:
        """The suggestion whose beginning was typed since, as what is left of it at ``offset``. One of which the
        model was less sure than ``least`` was shown only to who asked for it: there only who types it sees more."""
        data = source.data
        for made in list(self._made):
            typed = offset - made.offset
            if (
                0 <= typed < len(made.text)
                and (typed or not made.logprob < least)  # NaN, where the engine does not say, is not less
                and made.path == source.path
                and len(data) == made.size + typed
                and data[made.offset : offset] == made.text[:typed]
                and _checksum(data, made.offset, offset) == made.checksum
            ):
                return Left(made.text[typed:], made.logprob)
        return None


def _checksum(data: bytes, start: int, end: int) -> int:
    """Of a text without what stands between two places of it."""
    view = memoryview(data)
    return zlib.crc32(view[end:], zlib.crc32(view[:start]))
