"""Copying from what stands near: the model's next token is mixed with what followed at places like the cursor's.

A place is a token of a neighbouring text whose predecessors are those before the cursor. It speaks for its token
with a weight that grows with the number of predecessors that agree, with how like the lines around it are to those
around the cursor, and with how near its text is (an unbounded cache model: Grave, Cissé, Joulin 2017, with the
match lengths of infini-gram, Liu et al. 2024). The model is one speaker more: the surer it is, the louder.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kexpert.abilities import Neighbours, Proximity
from kexpert.model.copying.line_features import Notes
from kexpert.model.copying.line_ranker import Copied, Here, Likeness, choose
from kexpert.prompt.fim import heal

Ids = NDArray[np.int32]
Floats = NDArray[np.float32]

#: Predecessors that are compared, and lines above and below the cursor.
LONGEST = 16
_ABOVE, _BELOW = 8, 8
#: How many lines around a place say what it is about.
_AROUND = 17
#: Characters before the cursor from which its predecessors are read.
_REACH = 1500


@dataclass(frozen=True, slots=True)
class Weights:
    """Logarithms of weights; the four of a line are for short and for longer matches."""

    length: tuple[float, ...]  # by the number of predecessors that agree, 0 to ``LONGEST``
    lines: tuple[tuple[float, float, float, float], tuple[float, float, float, float]]
    proximity: tuple[float, float, float, float]
    #: The model's own, and what is added to it for each nat of its entropy; it is over the root of the chance
    #: that the model errs.
    model: float
    entropy: float


#: By ``scripts/fit_echo.py`` beside kexpert-2m, with 150 functions of 6.1 that it had not learnt from: for the last
#: third, fitted to the others, 1.65 nats a token by the model alone are 1.22 with neighbours.
WEIGHTS = Weights(
    (-0.23, -4.40, -2.07, -0.52, -0.22, 0.49, 0.54, 1.00, 1.00, 0.96, 0.96, 0.96, 0.96, 0.87, 0.87, 0.87, 0.87),
    ((0.27, 0.20, 0.27, -0.29), (0.48, 1.83, 1.88, 0.51)),
    (-0.68, 0.01, -1.77, -1.15),
    3.58,
    -0.59,
)
#: Matches of fewer tokens are short.
SHORT = 3
#: No model is surer than this of its most likely token.
SUREST = 0.01
#: What a place loses each time it has spoken, so that no answer goes round in circles.
_TIRED = 1.5


class Alphabet:
    """What of the tokens of a vocabulary matters to a text's lines. One more token stands between two texts."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.border = len(pieces)
        self.ends_line = np.array([b"\n" in piece for piece in pieces] + [True])
        self.is_ink = np.array([not piece.isspace() and piece != b"" for piece in pieces] + [False])


class Shelf:
    """Texts as one row of tokens, by what stands where and what each line is about."""

    def __init__(self, alphabet: Alphabet, texts: Sequence[tuple[Ids, Proximity]], worth: Floats | None = None) -> None:
        border = np.array([alphabet.border], np.int32)
        self.ids: Ids = np.concatenate([border, *(part for ids, _ in texts for part in (ids, border))])
        self.proximity = np.repeat(
            [Proximity.FUNCTION, *(kin for _, kin in texts)], [1, *(len(ids) + 1 for ids, _ in texts)]
        )
        self.line = self._lines(alphabet)
        self._starts = np.flatnonzero(np.diff(self.line, prepend=-1))
        self.worth: Floats = self._rarity(alphabet) if worth is None else worth
        self._length = np.sqrt(self._sums(self.worth)) + 1e-3
        size = alphabet.border + 1
        self._order = np.argsort(self.ids.astype(np.uint16 if size < 1 << 16 else np.int32), kind="stable")
        self._first = np.searchsorted(self.ids[self._order], np.arange(size + 1))

    def _lines(self, alphabet: Alphabet) -> NDArray[np.int64]:
        """The line of each token; blank lines belong to the one behind them."""
        ends = alphabet.ends_line[self.ids]
        inked = np.cumsum(alphabet.is_ink[self.ids])
        before = np.where(ends, inked, 0)  # ink up to the last end of a line
        before = np.concatenate([[0], np.maximum.accumulate(before)[:-1]])
        lines: NDArray[np.int64] = np.cumsum(np.diff(before, prepend=0) > 0)
        return lines

    def _rarity(self, alphabet: Alphabet) -> Floats:
        """How much it says that two lines have a token in common: its squared inverse document frequency."""
        counts = np.bincount(self.ids, minlength=alphabet.border + 1)
        rarity = np.log(len(self.ids) / np.maximum(counts, 1)) ** 2 * alphabet.is_ink
        return rarity.astype(np.float32)

    def _sums(self, values: Floats) -> Floats:
        sums: Floats = np.add.reduceat(values[self.ids], self._starts)
        return sums

    def kin_of_lines(self) -> NDArray[np.int64]:
        """A border belongs to the line behind it, so the last token of each line tells."""
        kin: NDArray[np.int64] = self.proximity[np.append(self._starts[1:], len(self.ids)) - 1]
        return kin

    def behind(self, token: int) -> NDArray[np.int64]:
        """The places whose predecessor is ``token``."""
        places = self._order[self._first[token] : self._first[token + 1]] + 1
        return places[places < len(self.ids)]

    def agreement(self, places: NDArray[np.int64], past: Sequence[int]) -> NDArray[np.int64]:
        """How many predecessors of each place are those of ``past``."""
        found = np.zeros(len(places), np.int64)
        alive = np.arange(len(places))
        for back in range(1, len(past) + 1):
            at = places[alive] - back
            alive = alive[(at >= 0) & (self.ids[at] == past[-back])]
            if not len(alive):
                break
            found[alive] = back
        return found

    def likeness(self, ids: Sequence[int]) -> Floats:
        """The cosine of each line with a line, or with several at once."""
        asked = np.zeros(len(self.worth), np.float32)
        asked[list(ids)] = self.worth[list(ids)]
        length = math.sqrt(float(asked.sum())) + 1e-3
        return self._sums(asked) / (self._length * length)


class Library:
    """The neighbours that were read, by their keys. Reading takes nearly a second a megabyte, so it is done once, and
    ``read`` as far as time allows: what is not read yet is not copied from."""

    def __init__(self, pieces: Sequence[bytes], encode: Callable[[str], list[int]]) -> None:
        self.alphabet = Alphabet(pieces)
        self.encode = encode
        self._held: dict[str, tuple[Ids, Notes]] = {}
        self._wanted: Neighbours = Neighbours()
        self._shelf: tuple[tuple[str, ...], Shelf, Notes] | None = None

    def want(self, near: Neighbours) -> None:
        """Others than these are forgotten."""
        self._wanted = near
        keys = {text.key for text in near.texts}
        self._held = {key: held for key, held in self._held.items() if key in keys}

    def read(self, enough: Callable[[], bool]) -> bool:
        """Read what is wanted, the nearest first, until it is ``enough``; whether all is read."""
        for text in self._wanted.texts:
            if text.key not in self._held:
                if enough():
                    return False
                self._held[text.key] = np.array(self.encode(text.text), np.int32), Notes(text.text)
        return True

    def shelf(self) -> tuple[Shelf, Notes]:
        """All that was read of what is wanted, as tokens and as lines."""
        texts = [text for text in self._wanted.texts if text.key in self._held]
        keys = tuple(text.key for text in texts)
        if self._shelf is None or self._shelf[0] != keys:
            held = [self._held[text.key] for text in texts]
            shelf = Shelf(self.alphabet, [(ids, text.proximity) for (ids, _), text in zip(held, texts, strict=True)])
            self._shelf = keys, shelf, Notes.joined([notes for _, notes in held])
        return self._shelf[1:]

    def echo(self, prefix: str) -> Echo:
        """What speaks for an answer behind ``prefix``."""
        return Echo(self, self._wanted, prefix)


class Echo:
    """One answer's places, token by token."""

    def __init__(self, library: Library, near: Neighbours, prefix: str, weights: Weights = WEIGHTS) -> None:
        self._weights = weights
        self._alphabet, self._encode = library.alphabet, library.encode
        encode = library.encode
        kept, _ = heal(prefix)
        own = [text for text in (heal(near.before)[0], near.after) if text]
        read = [(np.array(encode(text), np.int32), Proximity.FUNCTION) for text in own]
        shelf, notes = library.shelf()
        self._near, self._notes = near, (notes, Notes.joined([Notes(text) for text in own]))
        self.shelves = [shelf, Shelf(self._alphabet, read, shelf.worth if len(shelf.ids) > 1 else None)]
        self._past = encode(kept[-_REACH:])[-LONGEST:]
        # Lines as they stand behind some indentation, which is how most of them stand.
        last = [line.strip() for line in kept[-_REACH:].split("\n") if line.strip()][: -_ABOVE - 2 : -1]
        above = [encode("\t" + line) for line in last]
        self._line = above.pop(0) if above and "\n" not in kept[len(kept.rstrip()) :] else []
        self._above = [*above[:_ABOVE], [], []]
        below = [line.strip() for line in near.after.split("\n")[1 : 2 * _BELOW] if line.strip()]
        self._below = [encode("\t" + line) for line in below[:_BELOW]]
        self._spoken = [np.zeros(len(shelf.ids), np.float32) for shelf in self.shelves]
        self._around = [self._stable(shelf) for shelf in self.shelves]
        self._compare()

    def _stable(self, shelf: Shelf) -> tuple[Floats, Floats]:
        """How like the line behind each line is to the one below, and those around it to those around."""
        following = np.append(shelf.likeness(self._below[0] if self._below else [])[1:], np.float32(0))
        about = shelf.likeness([token for line in (*self._above, *self._below) for token in line])
        half = _AROUND // 2
        sums = np.cumsum(np.pad(about, (half + 1, half)))
        return following, (sums[_AROUND:] - sums[:-_AROUND]) / _AROUND

    def _compare(self) -> None:
        """What each line of each shelf has in common with the cursor's: the line above, the one above that, the one
        below, and those around; and what that makes of its weight. Done again behind each line that is written."""
        self.features = [
            (np.roll(shelf.likeness(self._above[0]), 1), np.roll(shelf.likeness(self._above[1]), 2), *around)
            for shelf, around in zip(self.shelves, self._around, strict=True)
        ]
        self._like = [self._weighed(features) for features in self.features]

    def _weighed(self, features: tuple[Floats, Floats, Floats, Floats]) -> tuple[Floats, Floats]:
        """The logarithms of weights of lines, for short matches and for longer ones."""
        short, longer = (
            sum((weight * feature for weight, feature in zip(given, features, strict=True)), np.float32(0))
            for given in self._weights.lines
        )
        return short, longer

    def line(self) -> Copied | None:
        """The whole line of all texts that would stand best at the cursor."""
        return choose(*self.lines(), Here(self._near))

    def lines(self) -> tuple[Notes, NDArray[np.int64], Likeness]:
        """The lines of all texts, how near each is, and how like its surroundings are to the cursor's."""
        header = next((line for line in self._near.before.partition("{")[0].split("\n") if "(" in line), "")
        head, parts = self._encode(header), []
        for shelf, notes, features in zip(self.shelves, self._notes, self.features, strict=True):
            above, above_that, below, _ = features
            like = [above, above_that, below, shelf.likeness(head)]
            # Behind the last line the border may stand as one more.
            like = [_sized(each, len(notes.lines)) for each in like]
            parts.append([_sized(shelf.kin_of_lines(), len(notes.lines)), *like[:-1], like[-1][notes.head]])
        kin, *likeness = (np.concatenate(each) for each in zip(*parts, strict=True))
        return Notes.joined(self._notes), kin, Likeness(*likeness)

    def mixed(self, probabilities: Floats, allowed: NDArray[np.int64] | None) -> Floats:
        """The model's probabilities of all tokens, or of those allowed, with what the places say."""
        size = self._alphabet.border
        said = np.zeros(size + 1)
        for at in range(len(self.shelves)):
            tokens, weights = self._speak(at, allowed)
            said += np.bincount(tokens, weights, size + 1)
        said = said[:size] if allowed is None else said[allowed]
        # The square root leaves a model that is sure of itself the last word; the fit to one of 2.8 million
        # parameters is as good with it as with the exponent that fits best (0.38).
        errs = 1 - float(probabilities.max()) + SUREST
        model = math.exp(self._weights.model + self._weights.entropy * entropy(probabilities)) / math.sqrt(errs)
        mixture: Floats = ((said + model * probabilities) / (said.sum() + model)).astype(np.float32)
        return mixture

    def places(self, at: int, allowed: NDArray[np.int64] | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where on a shelf some of the cursor's past is followed by a token that may come, and how much of it."""
        shelf = self.shelves[at]
        if not self._past:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        places = shelf.behind(self._past[-1])
        may = np.full(self._alphabet.border + 1, allowed is None)
        if allowed is not None:
            may[allowed] = True
        may[self._alphabet.border] = False
        places = places[may[shelf.ids[places]]]
        if allowed is not None and not len(places):
            places = np.flatnonzero(may[shelf.ids])
        return places, shelf.agreement(places, self._past)

    def _speak(self, at: int, allowed: NDArray[np.int64] | None) -> tuple[Ids, Floats]:
        """The tokens at places like the cursor's, each with its weight."""
        shelf = self.shelves[at]
        places, length = self.places(at, allowed)
        line = shelf.line[places]
        short, longer = self._like[at]
        weights = np.array(self._weights.length)[length] + np.array(self._weights.proximity)[shelf.proximity[places]]
        weights += np.where(length < SHORT, short[line], longer[line]) - self._spoken[at][places]
        self._spoken[at][places[length >= SHORT]] += _TIRED
        return shelf.ids[places], np.exp(weights)

    def take(self, token: int) -> None:
        """``token`` was chosen."""
        self._past = [*self._past, token][-LONGEST:]
        self._line.append(token)
        if self._alphabet.ends_line[token]:
            if self._alphabet.is_ink[self._line].any():
                self._above.insert(0, self._line)
                self._compare()
            self._line = []


def entropy(probabilities: Floats) -> float:
    """In nats."""
    return -float((probabilities * np.log(np.maximum(probabilities, 1e-12))).sum())


def _sized(values: NDArray[Any], size: int) -> NDArray[Any]:
    return values[:size] if len(values) >= size else np.pad(values, (0, size - len(values)))
