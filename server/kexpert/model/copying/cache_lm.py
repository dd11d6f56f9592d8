"""A cache language model: mixes the model's next-token distribution with the tokens that followed similar positions
of neighbouring texts.

A position matches if the token before it is the last token before the cursor. Its weight grows with the length of the
match (infini-gram: Liu et al. 2024), with the similarity of the lines around it to the lines around the cursor, and
with the proximity of its text (unbounded cache model: Grave, Cissé, Joulin 2017). The model has a weight of its own,
which grows with its confidence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kexpert.abilities import Proximity
from kexpert.model.copying.line_features import LineFeatures
from kexpert.model.copying.line_ranker import CopiedLine, HoleFeatures, LineSimilarity, best_line
from kexpert.model.copying.neighbour_index import NeighbourIndex
from kexpert.model.copying.token_index import Floats, Ids, Positions, TokenIndex
from kexpert.prompt.fim import heal

#: Maximum match length in tokens, and lines compared above and below the cursor.
MAX_MATCH = 16
_LINES_ABOVE, _LINES_BELOW = 8, 8
#: Width of the moving average, in lines, that says what the surroundings of a line are about.
_WINDOW_LINES = 17
#: Characters before the cursor that are tokenized for matching.
_HISTORY_CHARACTERS = 1500


@dataclass(frozen=True, slots=True)
class Weights:
    """Log-weights of the mixture."""

    length: tuple[float, ...]  # by match length, 0 to ``MAX_MATCH``
    #: Of the four line similarities (see ``CacheLM.line_similarities``), for short matches and for long ones.
    lines: tuple[tuple[float, float, float, float], tuple[float, float, float, float]]
    proximity: tuple[float, float, float, float]
    #: The model's log-weight is ``model + entropy * H - log(1 + MIN_ERROR - p_max) / 2``, with H in nats.
    model: float
    entropy: float


#: Fitted by ``scripts/fit_cache_lm.py`` to kexpert-2m on 150 functions of Linux 6.1 outside its training data. On the
#: last third, with weights fitted to the others: 1.65 nats a token by the model alone, 1.22 with neighbours.
WEIGHTS = Weights(
    (-0.23, -4.40, -2.07, -0.52, -0.22, 0.49, 0.54, 1.00, 1.00, 0.96, 0.96, 0.96, 0.96, 0.87, 0.87, 0.87, 0.87),
    ((0.27, 0.20, 0.27, -0.29), (0.48, 1.83, 1.88, 0.51)),
    (-0.68, 0.01, -1.77, -1.15),
    3.58,
    -0.59,
)
#: A match of at least this many tokens is long.
LONG_MATCH = 3
#: Lower bound on the probability that the model's most likely token is wrong.
MIN_ERROR = 0.01
#: Log-weight subtracted from a match each time it is used; prevents repetition loops.
_REPEAT_PENALTY = 1.5


class CacheLM:
    """The mixture for one answer, token by token.

    Reads from two indexes: the neighbours, and the cursor's own function (index 0 and 1 of ``indexes``).
    """

    def __init__(self, neighbour_index: NeighbourIndex, prefix: str, weights: Weights = WEIGHTS) -> None:
        self._weights = weights
        self._classes, self._encode = neighbour_index.classes, neighbour_index.encode
        self._neighbours = neighbours = neighbour_index.neighbours
        encode = self._encode
        kept, _ = heal(prefix)
        function_texts = [text for text in (heal(neighbours.before)[0], neighbours.after) if text]
        function_ids = [(np.array(encode(text), np.int32), Proximity.FUNCTION) for text in function_texts]
        index, lines = neighbour_index.joined()
        self._lines = lines, LineFeatures.joined([LineFeatures(text) for text in function_texts])
        self.indexes = [index, TokenIndex(self._classes, function_ids, index.idf if len(index.ids) > 1 else None)]
        self._history = encode(kept[-_HISTORY_CHARACTERS:])[-MAX_MATCH:]
        # A tab before each line, because most lines are indented and a tab can share a token with the first word.
        last = [line.strip() for line in kept[-_HISTORY_CHARACTERS:].split("\n") if line.strip()]
        above = [encode("\t" + line) for line in last[: -_LINES_ABOVE - 2 : -1]]
        self._line = above.pop(0) if above and "\n" not in kept[len(kept.rstrip()) :] else []
        self._above = [*above[:_LINES_ABOVE], [], []]
        below = [line.strip() for line in neighbours.after.split("\n")[1 : 2 * _LINES_BELOW] if line.strip()]
        self._below = [encode("\t" + line) for line in below[:_LINES_BELOW]]
        self._penalties = [np.zeros(len(index.ids), np.float32) for index in self.indexes]
        self._fixed_similarities = [self._similarities_below_and_around(index) for index in self.indexes]
        self._compare_lines()

    def _similarities_below_and_around(self, index: TokenIndex) -> tuple[Floats, Floats]:
        """For each line: the cosine of the next line with the line below the cursor, and the mean cosine of the lines
        around it with the lines around the cursor."""
        below = np.append(index.line_cosines(self._below[0] if self._below else [])[1:], np.float32(0))
        around = index.line_cosines([token for line in (*self._above, *self._below) for token in line])
        half = _WINDOW_LINES // 2
        sums: Any = np.cumsum(np.pad(around, (half + 1, half)))
        means: Floats = (sums[_WINDOW_LINES:] - sums[:-_WINDOW_LINES]) / _WINDOW_LINES
        return below, means

    def _compare_lines(self) -> None:
        """Compare the lines of both indexes with those at the cursor. Repeated after each line that is generated.

        ``line_similarities`` holds, for each index, four arrays with one entry a line: the cosine of the line above
        with the one above the cursor, the same for the second line above, and the two fixed ones.
        """
        self.line_similarities = [
            (np.roll(index.line_cosines(self._above[0]), 1), np.roll(index.line_cosines(self._above[1]), 2), *fixed)
            for index, fixed in zip(self.indexes, self._fixed_similarities, strict=True)
        ]
        self._line_weights = [self._weigh_lines(similarities) for similarities in self.line_similarities]

    def _weigh_lines(self, similarities: tuple[Floats, Floats, Floats, Floats]) -> tuple[Floats, Floats]:
        """Log-weights of lines, for short matches and for long ones."""

        def weigh(weights: Sequence[float]) -> Floats:
            total: Any = np.float32(0)
            for weight, values in zip(weights, similarities, strict=True):
                total = total + weight * values
            return np.asarray(total)

        short, long = self._weights.lines
        return weigh(short), weigh(long)

    def best_line(self) -> CopiedLine | None:
        """The line of all texts that fits the cursor best."""
        return best_line(*self.candidate_lines(), HoleFeatures(self._neighbours))

    def candidate_lines(self) -> tuple[LineFeatures, Positions, LineSimilarity]:
        """(lines of all texts, the proximity of each, its similarity to the cursor's line)."""
        header = next((line for line in self._neighbours.before.partition("{")[0].split("\n") if "(" in line), "")
        header_ids, parts = self._encode(header), []
        for index, lines, similarities in zip(self.indexes, self._lines, self.line_similarities, strict=True):
            above, second_above, below, _ = similarities
            # The index may have one line more than the text: its last separator.
            arrays: list[NDArray[Any]] = [index.line_proximity(), above, second_above, below]
            arrays = [_resized(each, len(lines.lines)) for each in arrays]
            header_cosines = _resized(index.line_cosines(header_ids), len(lines.lines))
            parts.append([*arrays, header_cosines[lines.head]])
        proximity, *similarity = (np.concatenate(each) for each in zip(*parts, strict=True))
        return LineFeatures.joined(self._lines), proximity, LineSimilarity(*similarity)

    def mix(self, probabilities: Floats, allowed: Positions | None) -> Floats:
        """Mix the model's probabilities, of all tokens or of the ``allowed`` ids, with those of the matches."""
        size = self._classes.separator
        copied = np.zeros(size + 1)
        for number in range(len(self.indexes)):
            tokens, weights = self._weighted_matches(number, allowed)
            copied += np.bincount(tokens, weights, size + 1)
        copied = copied[:size] if allowed is None else copied[allowed]
        # The square root lets a confident model decide. With kexpert-2m it fits as well as the best exponent (0.38).
        error = 1 - float(probabilities.max()) + MIN_ERROR
        model = math.exp(self._weights.model + self._weights.entropy * entropy(probabilities)) / math.sqrt(error)
        mixture: Floats = ((copied + model * probabilities) / (copied.sum() + model)).astype(np.float32)
        return mixture

    def matches(self, number: int, allowed: Positions | None) -> tuple[Positions, Positions]:
        """(positions in an index whose token is allowed and whose predecessors match, match lengths).

        If ``allowed`` is given and nothing matches, all positions of allowed tokens, with the lengths they have.
        """
        index = self.indexes[number]
        if not self._history:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        positions = index.after(self._history[-1])
        is_allowed = np.full(self._classes.separator + 1, allowed is None)
        if allowed is not None:
            is_allowed[allowed] = True
        is_allowed[self._classes.separator] = False
        positions = positions[is_allowed[index.ids[positions]]]
        if allowed is not None and not len(positions):
            positions = np.flatnonzero(is_allowed[index.ids])
        return positions, index.match_lengths(positions, self._history)

    def _weighted_matches(self, number: int, allowed: Positions | None) -> tuple[Ids, Floats]:
        """The tokens at matching positions and their weights. Penalises the long matches for the next time."""
        index = self.indexes[number]
        positions, lengths = self.matches(number, allowed)
        line = index.line[positions]
        short, long = self._line_weights[number]
        weights = np.array(self._weights.length)[lengths]
        weights = weights + np.array(self._weights.proximity)[index.proximity[positions]]
        weights += np.where(lengths < LONG_MATCH, short[line], long[line]) - self._penalties[number][positions]
        self._penalties[number][positions[lengths >= LONG_MATCH]] += _REPEAT_PENALTY
        return index.ids[positions], np.exp(weights)

    def accept(self, token: int) -> None:
        """Extend the history by a token of the answer."""
        self._history = [*self._history, token][-MAX_MATCH:]
        self._line.append(token)
        if self._classes.ends_line[token]:
            if self._classes.is_visible[self._line].any():
                self._above.insert(0, self._line)
                self._compare_lines()
            self._line = []


def entropy(probabilities: Floats) -> float:
    """The entropy in nats."""
    return -float((probabilities * np.log(np.maximum(probabilities, 1e-12))).sum())


def _resized(values: NDArray[Any], size: int) -> NDArray[Any]:
    return values[:size] if len(values) >= size else np.pad(values, (0, size - len(values)))
