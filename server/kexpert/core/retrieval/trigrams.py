"""Which trigrams a text holds: a regular expression is run only on files that can match it.

ASCII letters are folded, so one set serves searches that ignore case. A file is cut into pieces: a long text holds
every frequent trigram somewhere. Trigrams are hashed to numbers: a set may claim a trigram that the text lacks, never
the reverse.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

#: Numbers of trigrams. In Linux 6.1 there are some 200,000 trigrams, of which 8,000 are in at least one piece in 30.
NUMBERS = 1 << 16
#: Bytes of one piece. In Linux 6.1 a piece holds 1,500 trigrams on average.
PIECE_BYTES = 1 << 15
#: A piece also has the first bytes of the next one, so that a literal of this size lies in one piece.
MAX_LITERAL_BYTES = 64

_FACTORS = tuple(np.uint16(factor) for factor in (40503, 30011, 50833))  # odd, so that every byte counts

Numbers = npt.NDArray[np.uint16]


def numbers_of(literal: bytes) -> list[int]:
    """The numbers that every piece with this literal has; none for a literal of fewer than three bytes."""
    text = literal[:MAX_LITERAL_BYTES].lower()
    return sorted({int(number) for number in _hashes(np.frombuffer(text, np.uint8))}) if len(text) > 2 else []


def piece_numbers(data: bytes) -> list[Numbers]:
    """For each piece of a file, at least one, the numbers of its trigrams in ascending order."""
    text = data.lower()
    found = []
    for start in range(0, max(len(text), 1), PIECE_BYTES):
        piece = np.frombuffer(text[start : start + PIECE_BYTES + MAX_LITERAL_BYTES], np.uint8)
        held = np.zeros(NUMBERS, np.bool_)
        if len(piece) > 2:
            held[_hashes(piece)] = True
        found.append(np.flatnonzero(held).astype(np.uint16))
    return found


def _hashes(text: npt.NDArray[np.uint8]) -> Numbers:
    wide = text.astype(np.uint16)
    hashes: Numbers = wide[:-2] * _FACTORS[0] + wide[1:-1] * _FACTORS[1] + wide[2:] * _FACTORS[2]
    return hashes
