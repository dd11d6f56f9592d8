"""Texts as one sequence of token ids: where each token occurs, and how similar each line is to a given line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kexpert.abilities import Proximity

Ids = NDArray[np.int32]
Floats = NDArray[np.float32]
Positions = NDArray[np.int64]

#: Added to vector lengths, so that a line without weighted tokens has a cosine of 0 with every line.
_EPSILON = 1e-3


class TokenClasses:
    """Per-token flags of a vocabulary. Adds one sentinel id, ``separator``, that divides two texts."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.separator = len(pieces)
        self.ends_line = np.array([b"\n" in piece for piece in pieces] + [True])
        self.is_visible = np.array([not piece.isspace() and piece != b"" for piece in pieces] + [False])


class TokenIndex:
    """Texts joined by separators; a separator comes first and last.

    ``ids`` (int32), ``proximity`` and ``line`` (the line's number) have one entry a token; ``idf`` (float32) has one
    entry a token of the vocabulary. ``idf``, if given, is that of another index, for comparisons on the same scale.
    """

    def __init__(
        self, classes: TokenClasses, texts: Sequence[tuple[Ids, Proximity]], idf: Floats | None = None
    ) -> None:
        separator = np.array([classes.separator], np.int32)
        self.ids: Ids = np.concatenate([separator, *(part for ids, _ in texts for part in (ids, separator))])
        self.proximity = np.repeat(
            [Proximity.FUNCTION, *(proximity for _, proximity in texts)], [1, *(len(ids) + 1 for ids, _ in texts)]
        )
        self.line = self._line_numbers(classes)
        self._line_starts = np.flatnonzero(np.diff(self.line, prepend=-1))
        self.idf: Floats = self._squared_idf(classes) if idf is None else idf
        self._line_norms = np.sqrt(self._line_sums(self.idf)) + _EPSILON
        size = classes.separator + 1
        self._order = np.argsort(self.ids.astype(np.uint16 if size < 1 << 16 else np.int32), kind="stable")
        self._first = np.searchsorted(self.ids[self._order], np.arange(size + 1))

    def _line_numbers(self, classes: TokenClasses) -> Positions:
        """The line of each token; a blank line belongs to the line after it."""
        ends = classes.ends_line[self.ids]
        visible = np.cumsum(classes.is_visible[self.ids])
        before = np.where(ends, visible, 0)  # visible tokens up to the last end of a line
        before = np.concatenate([[0], np.maximum.accumulate(before)[:-1]])
        lines: Positions = np.cumsum(np.diff(before, prepend=0) > 0)
        return lines

    def _squared_idf(self, classes: TokenClasses) -> Floats:
        """The squared inverse frequency of each token in these texts; 0 for white space."""
        counts = np.bincount(self.ids, minlength=classes.separator + 1)
        squared: NDArray[np.float64] = np.log(len(self.ids) / np.maximum(counts, 1)) ** 2 * classes.is_visible
        return squared.astype(np.float32)

    def _line_sums(self, values: Floats) -> Floats:
        sums: Floats = np.add.reduceat(values[self.ids], self._line_starts)
        return sums

    def line_proximity(self) -> Positions:
        """The proximity of each line. Its last token decides: a separator belongs to the line after it."""
        proximity: Positions = self.proximity[np.append(self._line_starts[1:], len(self.ids)) - 1]
        return proximity

    def after(self, token: int) -> Positions:
        """The positions directly after each occurrence of ``token``."""
        positions = self._order[self._first[token] : self._first[token + 1]] + 1
        return positions[positions < len(self.ids)]

    def match_lengths(self, positions: Positions, history: Sequence[int]) -> Positions:
        """For each position, how many of the tokens before it equal the last tokens of ``history``."""
        lengths = np.zeros(len(positions), np.int64)
        matching = np.arange(len(positions))
        for back in range(1, len(history) + 1):
            at = positions[matching] - back
            matching = matching[(at >= 0) & (self.ids[at] == history[-back])]
            if not len(matching):
                break
            lengths[matching] = back
        return lengths

    def line_cosines(self, ids: Sequence[int]) -> Floats:
        """The cosine of each line with the set of tokens ``ids`` (of one line, or of several)."""
        query = np.zeros(len(self.idf), np.float32)
        query[list(ids)] = self.idf[list(ids)]
        norm = math.sqrt(float(query.sum())) + _EPSILON
        norms: Any = self._line_norms * norm  # float32; numpy's stubs say float64
        cosines: Floats = self._line_sums(query) / norms
        return cosines
