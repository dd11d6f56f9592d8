"""The last suggestions. Typing through a suggestion, or going on after it is accepted, runs no model."""

from __future__ import annotations

import zlib
from collections import deque
from dataclasses import dataclass, field

from kexpert.core.c.source import Source

_MAX_SUGGESTIONS = 32


@dataclass(frozen=True, slots=True)
class _Remembered:
    """``text`` was suggested at ``offset`` of a file of ``size`` bytes. Only a checksum of the file is kept: copies
    of large files take much memory."""

    path: str
    size: int
    checksum: int
    offset: int
    text: bytes
    logprob: float


@dataclass(frozen=True, slots=True)
class Remainder:
    """The part of a suggestion that is not typed yet."""

    text: bytes
    logprob: float


@dataclass(slots=True)
class SuggestionMemory:
    """The last suggestions, newest first."""

    _suggestions: deque[_Remembered] = field(default_factory=lambda: deque(maxlen=_MAX_SUGGESTIONS))

    def keep(self, source: Source, offset: int, text: bytes, logprob: float) -> None:
        data = source.data
        self._suggestions.appendleft(_Remembered(source.path, len(data), zlib.crc32(data), offset, text, logprob))

    def keep_behind(self, source: Source, offset: int, text: bytes, logprob: float) -> None:
        """Keep a second suggestion for a place: the one that is kept already is found first."""
        self.keep(source, offset, text, logprob)
        second = self._suggestions.popleft()
        place = (second.path, second.size, second.checksum, second.offset)
        kept = [(made.path, made.size, made.checksum, made.offset) for made in self._suggestions]
        self._suggestions.insert(kept.index(place) + 1 if place in kept else 0, second)

    def clear(self) -> None:
        self._suggestions.clear()

    def find(self, source: Source, offset: int, min_logprob: float) -> Remainder | None:
        """The suggestion whose beginning is what was typed since; its remainder goes at ``offset``.

        A suggestion below ``min_logprob`` was shown only to a user who asked for it by a key; it is found again only
        once some of it is typed.
        """
        data = source.data
        for made in list(self._suggestions):
            typed = offset - made.offset
            if (
                0 <= typed < len(made.text)
                and (typed or not made.logprob < min_logprob)  # NaN, from an engine without probabilities, is not less
                and made.path == source.path
                and len(data) == made.size + typed
                and data[made.offset : offset] == made.text[:typed]
                and _checksum_without(data, made.offset, offset) == made.checksum
            ):
                return Remainder(made.text[typed:], made.logprob)
        return None


def _checksum_without(data: bytes, start: int, end: int) -> int:
    """CRC-32 of ``data`` without ``data[start:end]``."""
    view = memoryview(data)
    return zlib.crc32(view[end:], zlib.crc32(view[:start]))
