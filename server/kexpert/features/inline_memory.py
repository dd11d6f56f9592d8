"""Suggestions made a moment ago: typing through one that is shown, or behind one that was taken, costs no call."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from kexpert.core.source import Source

_KEPT = 32


@dataclass(frozen=True, slots=True)
class Made:
    """``text`` was suggested at ``offset`` of ``data``."""

    path: str
    data: bytes
    offset: int
    text: bytes
    logprob: float


@dataclass(slots=True)
class Memory:
    """The last suggestions, newest first."""

    _made: deque[Made] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def keep(self, made: Made) -> None:
        self._made.appendleft(made)

    def find(self, source: Source, offset: int) -> Made | None:
        """The suggestion whose beginning was typed since, as what is left of it at ``offset``."""
        data = source.data
        for made in list(self._made):
            typed = offset - made.offset
            if (
                0 <= typed < len(made.text)
                and made.path == source.path
                and len(data) == len(made.data) + typed
                and data[made.offset : offset] == made.text[:typed]
                and data[: made.offset] == made.data[: made.offset]
                and data[offset:] == made.data[made.offset :]
            ):
                return Made(made.path, data, offset, made.text[typed:], made.logprob)
        return None
