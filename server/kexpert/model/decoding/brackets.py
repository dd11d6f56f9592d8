"""Tokens that would close what is not open, or end a statement whose brackets are: no C goes on so."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

#: Bytes of a statement that are looked at.
_REACH = 2000
_QUOTES = b"\"'"
_FOR = re.compile(rb"\bfor\s*\(")


class Brackets:
    """Of each token, what it does to the ``(`` and ``[`` of a statement; nothing is said of tokens with quotes."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._needs = np.array([_needed(piece) for piece in pieces], np.int16)  # must be open before it
        self._ends = np.array([_open_at_end(piece) for piece in pieces], np.int16)  # and at most so many

    def fit(self, before: bytes) -> NDArray[np.bool_] | None:
        """Which tokens may come behind a text; None where any may (in a string, in a ``for``)."""
        statement = _statement(before[-_REACH:])
        depth = _depth(statement)
        if depth is None:
            return None
        fit: NDArray[np.bool_] = self._needs <= depth
        if not _FOR.search(statement):
            fit &= self._ends >= depth
        return fit


def _statement(text: bytes) -> bytes:
    """What stands behind the last line that ends a statement or a block."""
    at = max(text.rfind(end) for end in (b";\n", b"{\n", b"}\n", b"*/"))
    return text[at + 2 :] if at >= 0 else text


def _depth(text: bytes) -> int | None:
    """How many brackets are open at the end; None in a string."""
    depth, quote, at = 0, 0, 0
    while at < len(text):
        byte = text[at]
        if quote:
            at += byte == ord("\\")
            quote = 0 if byte == quote else quote
        elif byte in _QUOTES:
            quote = byte
        elif byte in b"([":
            depth += 1
        elif byte in b")]":
            depth = max(depth - 1, 0)
        at += 1
    return None if quote else depth


def _needed(piece: bytes) -> int:
    depth = low = 0
    for byte in b"" if any(quote in piece for quote in _QUOTES) else piece:
        depth += (byte in b"([") - (byte in b")]")
        low = min(low, depth)
    return -low


def _open_at_end(piece: bytes) -> int:
    """How many brackets may be open before a token that holds a ``;``."""
    head, ends, _ = piece.partition(b";")
    if not ends or any(quote in piece for quote in _QUOTES):
        return np.iinfo(np.int16).max
    return sum((byte in b")]") - (byte in b"([") for byte in head)
