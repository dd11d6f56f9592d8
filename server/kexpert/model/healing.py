"""Tokens chosen so that what stood before the cursor is written first (token healing), and read as text."""

from __future__ import annotations

import codecs
import math
from bisect import bisect_left
from collections.abc import Callable, Generator, Sequence

import numpy as np
from numpy.typing import NDArray

from kexpert.model.engine import Cancelled, Token

Logits = NDArray[np.float32]

#: No text begins with it, so it sorts behind whatever begins with a text.
_PAST = b"\xff\xff\xff\xff"


class Vocabulary:
    """What each token stands for, in bytes; empty for those that are no text."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.pieces = list(pieces)
        order = sorted(range(len(pieces)), key=self.pieces.__getitem__)
        self._ids = np.array(order, dtype=np.int64)
        self._sorted = [self.pieces[at] for at in order]

    def beginning(self, text: bytes) -> NDArray[np.int64]:
        """Tokens with which ``text`` can go on: those that begin it, and those that it begins."""
        longer = self._ids[bisect_left(self._sorted, text) : bisect_left(self._sorted, text + _PAST)]
        shorter = []
        for size in range(1, len(text)):
            at = bisect_left(self._sorted, text[:size])
            if at < len(self._sorted) and self._sorted[at] == text[:size]:
                shorter.append(self._ids[at])
        return np.concatenate([longer, np.array(shorter, dtype=np.int64)])


class Reader:
    """One answer: which token comes next, and what of it is new text."""

    def __init__(self, vocabulary: Vocabulary, tail: bytes) -> None:
        self._vocabulary = vocabulary
        self._left = tail
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def healing(self) -> bool:
        """Whether the tail is not all written yet."""
        return bool(self._left)

    def choose(self, logits: Logits) -> tuple[int | None, float]:
        """The most probable token that may come, None for the end; and the logarithm of its probability
        among those that may come."""
        if self._left:
            allowed = self._vocabulary.beginning(self._left)
            if not len(allowed):
                return None, 0.0
            logits = logits[allowed]
            best = int(logits.argmax())
            return int(allowed[best]), float(logits[best]) - log_sum(logits)
        best = int(logits.argmax())
        logprob = float(logits[best]) - log_sum(logits)
        return (best if self._vocabulary.pieces[best] else None), logprob

    def read(self, token: int) -> str:
        """The new text that a token brings: what repeats the tail is none."""
        piece = self._vocabulary.pieces[token]
        repeated = min(len(self._left), len(piece))
        self._left = self._left[repeated:]
        return self._decoder.decode(piece[repeated:])

    def rest(self) -> str:
        """What is left of a character that was begun."""
        return self._decoder.decode(b"", final=True)


def answer(
    vocabulary: Vocabulary,
    tail: str,
    logits: Logits,
    advance: Callable[[int], Logits],
    most: int,
    cancelled: Callable[[], bool],
) -> Generator[Token, None, None]:
    """The most probable token each time, since what is shown must not change by chance.

    ``logits`` are those behind the prompt; ``advance`` takes a token and gives those behind it.
    """
    reader = Reader(vocabulary, tail.encode("utf-8", "replace"))
    for _ in range(most):
        if cancelled():
            raise Cancelled
        token, logprob = reader.choose(logits)
        if token is None:
            yield Token(reader.rest(), logprob, last=True)
            return
        if text := reader.read(token):
            yield Token(text, logprob)
        logits = advance(token)


def bits_of(
    vocabulary: Vocabulary,
    ids: Sequence[int],
    logits: Logits,
    advance: Callable[[int], Logits],
    cancelled: Callable[[], bool],
) -> tuple[float, int]:
    """(bits, bytes) of tokens that are known to come behind a prompt."""
    bits = 0.0
    for token in ids:
        if cancelled():
            raise Cancelled
        bits += (log_sum(logits) - float(logits[token])) / math.log(2)
        logits = advance(token)
    return bits, sum(len(vocabulary.pieces[token]) for token in ids)


def shared(one: Sequence[int], other: Sequence[int]) -> int:
    """How many ids two lists have in common at their beginnings."""
    size = min(len(one), len(other))
    return next((at for at in range(size) if one[at] != other[at]), size)


def log_sum(logits: Logits) -> float:
    """log(sum(exp(logits)))"""
    most = logits.max()
    return float(most) + float(np.log(np.exp(logits - most).sum()))
