"""Tokens chosen so that what stood before the cursor is written first (token healing), and read as text."""

from __future__ import annotations

import codecs
import math
from bisect import bisect_left
from collections.abc import Callable, Generator, Sequence

import numpy as np
from numpy.typing import NDArray

from kexpert.abilities import Cancelled, Token
from kexpert.model.copying.cache_lm import Echo
from kexpert.model.decoding.brackets import Brackets

Logits = NDArray[np.float32]

#: No probability is less, so that each has a logarithm.
_TINY = 1e-12
#: The odds of a letter of code.
_LETTER = 1 / 8
_BLANKS = np.frombuffer(b" \t\n\r", np.uint8)
#: No text begins with it, so it sorts behind whatever begins with a text.
_PAST = b"\xff\xff\xff\xff"
#: Merges with nothing behind it; the makers of CodeLlama use it for the same end.
_SENTINEL = "☺"


class Vocabulary:
    """What each token stands for, in bytes; empty for those that are no text."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.pieces = list(pieces)
        order = sorted(range(len(pieces)), key=self.pieces.__getitem__)
        self._ids = np.array(order, dtype=np.int64)
        self._sorted = [self.pieces[at] for at in order]
        self.brackets = Brackets(self.pieces)
        self.first = np.array([piece[0] if piece else 0 for piece in self.pieces], np.uint8)

    def beginning(self, text: bytes) -> NDArray[np.int64]:
        """Tokens with which ``text`` can go on: those that begin it, and those that it begins."""
        longer = self._ids[bisect_left(self._sorted, text) : bisect_left(self._sorted, text + _PAST)]
        shorter = []
        for size in range(1, len(text)):
            at = bisect_left(self._sorted, text[:size])
            if at < len(self._sorted) and self._sorted[at] == text[:size]:
                shorter.append(self._ids[at])
        return np.concatenate([longer, np.array(shorter, dtype=np.int64)])


def bare(encode: Callable[[str], list[int]], vocabulary: Vocabulary) -> Callable[[str], list[int]]:
    """``encode`` for the text alone: SentencePiece sets a blank before every text, and here before a sentinel."""
    if b"".join(vocabulary.pieces[token] for token in encode("a")) != b" a":
        return encode
    lead = encode(_SENTINEL)

    def without_blank(text: str) -> list[int]:
        ids = encode(_SENTINEL + text)
        return ids[len(lead) :] if ids[: len(lead)] == lead else encode(text)

    return without_blank


class Reader:
    """One answer: which token comes next, and what of it is new text."""

    def __init__(self, vocabulary: Vocabulary, tail: bytes, echo: Echo | None = None, before: bytes = b"") -> None:
        self._vocabulary = vocabulary
        self._echo = echo
        self._text = before  # what stands before the tail, and what was written
        self._left = tail
        self._indented = tail[-1:] in (b" ", b"\t")
        self._begun = False  # whether anything but blanks is written
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def healing(self) -> bool:
        """Whether the tail is not all written yet."""
        return bool(self._left)

    def choose(self, logits: Logits) -> tuple[int | None, float]:
        """The most probable token that may come, None for the end; and the logarithm of its probability
        among those that may come."""
        allowed = self._vocabulary.beginning(self._left) if self._left else None
        if allowed is not None:
            if not len(allowed):
                return None, 0.0
            logits = logits[allowed]
        probabilities = np.exp(logits - log_sum(logits))
        if self._echo:
            probabilities = self._echo.mixed(probabilities, allowed)
        probabilities = probabilities * self._fitness(allowed)
        at = int(probabilities.argmax())
        best = at if allowed is None else int(allowed[at])
        return (best if self._vocabulary.pieces[best] else None), math.log(max(float(probabilities[at]), _TINY))

    def _fitness(self, allowed: NDArray[np.int64] | None) -> NDArray[np.float64]:
        """How fit each token is here; all alike where none is."""
        odds = np.ones(len(self._vocabulary.pieces) if allowed is None else len(allowed))
        fit = self._vocabulary.brackets.fit(self._text)
        if fit is not None:
            odds *= fit if allowed is None else fit[allowed]
        if not self._begun:
            odds *= self._beginning(allowed)
        return odds if odds.any() else np.ones(len(odds))

    def _beginning(self, allowed: NDArray[np.int64] | None) -> NDArray[np.float64]:
        """How fit each token is to begin with: no hole is filled with nothing, with the end of a block, or with blanks
        behind blanks; and a token that leaves typed letters to others is less likely than the model thinks, which
        does not know of them."""
        pieces, left = self._vocabulary.pieces, self._left
        if allowed is None:
            first, odds = self._vocabulary.first, np.ones(len(pieces))
        else:
            first = np.array([(pieces[token][len(left) :] or b"a")[0] for token in allowed], np.uint8)
            odds = np.array([_LETTER ** len(left[len(pieces[token]) :].strip()) for token in allowed])
        odds[first == 0] = odds[first == ord("}")] = 0
        if self._indented:
            odds[np.isin(first, _BLANKS)] = 0
        return odds

    def read(self, token: int) -> str:
        """The new text that a token brings, which was chosen: what repeats the tail is none."""
        if self._echo:
            self._echo.take(token)
        piece = self._vocabulary.pieces[token]
        self._text += piece
        repeated = min(len(self._left), len(piece))
        self._left = self._left[repeated:]
        self._begun = self._begun or bool(piece[repeated:].strip())
        return self._decoder.decode(piece[repeated:])

    def rest(self) -> str:
        """What is left of a character that was begun."""
        return self._decoder.decode(b"", final=True)


def answer(
    vocabulary: Vocabulary,
    before: str,
    tail: str,
    logits: Logits,
    advance: Callable[[int], Logits],
    echo: Echo,
    most: int,
    cancelled: Callable[[], bool],
) -> Generator[Token, None, None]:
    """The most probable token each time, since what is shown must not change by chance.

    ``before`` is the text that the prompt ends with; ``logits`` are those behind it; ``advance`` takes a token and
    gives those behind it.
    """
    reader = Reader(vocabulary, tail.encode("utf-8", "replace"), echo, before.encode("utf-8", "replace"))
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
    echo: Echo,
    cancelled: Callable[[], bool],
) -> tuple[float, int]:
    """(bits, bytes) of tokens that are known to come behind a prompt."""
    bits = 0.0
    for token in ids:
        if cancelled():
            raise Cancelled
        bits -= math.log2(max(float(echo.mixed(np.exp(logits - log_sum(logits)), None)[token]), _TINY))
        echo.take(token)
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
