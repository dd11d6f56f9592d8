"""Forbid tokens that unbalance the brackets of a C statement."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

#: Bytes before the cursor in which the statement's beginning is searched.
_MAX_STATEMENT_BYTES = 2000
_QUOTES = b"\"'"
_FOR = re.compile(rb"\bfor\s*\(")


class BracketFilter:
    """The effect of each token on the open ``(`` and ``[`` of a statement. Tokens with quotes are never forbidden."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._min_depth = np.array([_min_depth(piece) for piece in pieces], np.int16)
        self._max_depth = np.array([_max_depth(piece) for piece in pieces], np.int16)

    def allowed_after(self, before: bytes) -> NDArray[np.bool_] | None:
        """A mask of the tokens that may follow a text; None if all may, as in a string.

        A token may not close a bracket that is not open, nor end the statement while one is open (but in a ``for``).
        """
        statement = _last_statement(before[-_MAX_STATEMENT_BYTES:])
        depth = _depth(statement)
        if depth is None:
            return None
        allowed: NDArray[np.bool_] = self._min_depth <= depth
        if not _FOR.search(statement):
            allowed &= self._max_depth >= depth
        return allowed


def _last_statement(text: bytes) -> bytes:
    """The text after the last end of a line that ends a statement, a block or a comment."""
    at = max(text.rfind(end) for end in (b";\n", b"{\n", b"}\n", b"*/"))
    return text[at + 2 :] if at >= 0 else text


def _depth(text: bytes) -> int | None:
    """How many brackets are open at the end; None inside a string."""
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


def _min_depth(piece: bytes) -> int:
    """How many brackets must be open before a token."""
    depth = low = 0
    for byte in b"" if any(quote in piece for quote in _QUOTES) else piece:
        depth += (byte in b"([") - (byte in b")]")
        low = min(low, depth)
    return -low


def _max_depth(piece: bytes) -> int:
    """How many brackets may be open before a token; bounded only for tokens that hold a ``;``."""
    head, semicolon, _ = piece.partition(b";")
    if not semicolon or any(quote in piece for quote in _QUOTES):
        return np.iinfo(np.int16).max
    return sum((byte in b")]") - (byte in b"([") for byte in head)
