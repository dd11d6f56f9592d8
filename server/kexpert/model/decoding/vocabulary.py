"""The bytes of each token of a vocabulary."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from kexpert.model.decoding.brackets import BracketFilter

#: Sorts after every text that starts with the text before it: UTF-8 holds no 0xFF.
_AFTER_ALL = b"\xff\xff\xff\xff"
#: A character that merges with no character after it. CodeLlama's infilling tokenizes suffixes with the same trick.
_SENTINEL = "☺"


class Vocabulary:
    """``pieces``: the bytes of each token, empty for special tokens. ``first_byte``: uint8, 0 for special tokens."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.pieces = list(pieces)
        order = sorted(range(len(pieces)), key=self.pieces.__getitem__)
        self._ids = np.array(order, dtype=np.int64)
        self._sorted = [self.pieces[token] for token in order]
        self.brackets = BracketFilter(self.pieces)
        self.first_byte = np.array([piece[0] if piece else 0 for piece in self.pieces], np.uint8)

    def compatible(self, text: bytes) -> NDArray[np.int64]:
        """The ids of tokens that start with ``text``, and of those that ``text`` starts with."""
        longer = self._ids[bisect_left(self._sorted, text) : bisect_left(self._sorted, text + _AFTER_ALL)]
        shorter = []
        for size in range(1, len(text)):
            at = bisect_left(self._sorted, text[:size])
            if at < len(self._sorted) and self._sorted[at] == text[:size]:
                shorter.append(self._ids[at])
        return np.concatenate([longer, np.array(shorter, dtype=np.int64)])


def without_leading_space(encode: Callable[[str], list[int]], vocabulary: Vocabulary) -> Callable[[str], list[int]]:
    """Wrap an encoder that puts a space before every text, as SentencePiece does, so that it does not.

    The wrapper encodes the text after a sentinel and drops the sentinel's tokens. Other encoders return unchanged.
    """
    if b"".join(vocabulary.pieces[token] for token in encode("a")) != b" a":
        return encode
    sentinel = encode(_SENTINEL)

    def encode_bare(text: str) -> list[int]:
        ids = encode(_SENTINEL + text)
        return ids[len(sentinel) :] if ids[: len(sentinel)] == sentinel else encode(text)

    return encode_bare
