"""How well candidates answer a question: numbers that a ranking is learnt from and applied to. Pure.

Everything is seen through words (stems) and their vectors, so that ``remove`` in a question can
meet ``unlink`` in a name. What a word is worth is its inverse document frequency ("worth" below).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from kexpert.core.retrieval.abbreviations import NameMatcher
from kexpert.core.retrieval.products import DECIMALS, product
from kexpert.core.retrieval.words import stem

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]
    #: Words -> (their unit vectors, zeros for the unknown; what each is worth)
    Lexicon = Callable[[Sequence[str]], tuple[Array, Array]]

#: The words of a function's code that say from where it can be called.
STATIC, INLINE = stem("static"), stem("inline")

FEATURES = (
    "lexical", "cosine", "lexical place", "cosine place",
    "name", "name soft", "name used", "name used soft", "name or path used", "first word in name", "last word in name",
    "body", "body soft", "path", "path soft", "anywhere", "anywhere soft", "weakest", "summary", "bigrams in name",
    "name length", "body length", "exported", "header", "plain name",
    "cosine below best", "name below best", "meaning below best", "lexical share",
    "file's company", "file's cosine", "file's best", "file's meaning",
    "folder's company", "folder's cosine", "folder's best", "folder's meaning",
    "static", "inline", "name cosine", "name used contracted", "name in any way",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CandidateFields:
    """A candidate in words."""

    name: Sequence[str]
    body: Sequence[str]
    path: Sequence[str]
    summary: Sequence[str] = ()
    lexical: float = 0.0  # BM25, larger is better; 0 when not found so
    cosine: float = 0.0
    exported: bool = False
    file: str = ""  # its path, whole
    static: bool = False
    inline: bool = False


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of every candidate in word numbers, one candidate's after the other's."""

    words: NDArray[np.int64]
    lengths: NDArray[np.int64]

    @property
    def owners(self) -> NDArray[np.int64]:
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    def gathered(self, operation: np.ufunc, values: Array) -> Array:
        """``operation`` over each candidate's part of ``values``' last axis; 0 for one without words."""
        out = np.zeros((*values.shape[:-1], len(self.lengths)), np.float32)
        filled = np.flatnonzero(self.lengths)
        if len(filled):
            starts = np.cumsum(self.lengths[filled]) - self.lengths[filled]
            out[..., filled] = operation.reduceat(values, starts, axis=-1)
        return out

    def summed(self, rows: Array) -> Array:
        """The sum of each candidate's rows, one of ``rows`` a word; zeros for one without words."""
        out = np.zeros((len(self.lengths), rows.shape[1]), np.float32)
        filled = np.flatnonzero(self.lengths)
        if len(filled):
            starts = np.cumsum(self.lengths[filled]) - self.lengths[filled]
            out[filled] = np.add.reduceat(rows, starts, axis=0)
        return out


def features(asked: Sequence[str], entries: Sequence[CandidateFields], lexicon: Lexicon) -> Array:
    """(candidates, FEATURES) for one question; every number is about -1 to 1."""
    texts = [[entry.name for entry in entries], [entry.body for entry in entries],
             [entry.path for entry in entries], [entry.summary for entry in entries]]  # fmt: skip
    flat = [list(chain.from_iterable(field)) for field in texts]
    distinct = list(dict.fromkeys(asked))
    count = len(distinct)
    number = {word: at for at, word in enumerate(dict.fromkeys(chain(distinct, *flat)))}
    name, body, path, summary = (
        _Field(
            np.fromiter(map(number.__getitem__, words), np.int64, len(words)),
            np.fromiter(map(len, field), np.int64, len(field)),
        )
        for words, field in zip(flat, texts, strict=True)
    )
    vectors, worth = lexicon(list(number))
    likeness = np.maximum(product(vectors[:count], vectors.T), np.float32(0))
    likeness[np.arange(count), np.arange(count)] = 1.0
    share = worth[:count] / max(float(worth[:count].sum()), 1e-6)

    best = [field.gathered(np.maximum, likeness[:, field.words]).T for field in (name, body, path, summary)]
    anywhere = np.maximum.reduce(best)
    literal = [product((field >= 0.999).astype(np.float32), share) for field in (*best, anywhere)]
    meant = [product(field, share) for field in (*best, anywhere)]
    lexical = np.array([entry.lexical for entry in entries], np.float32)
    cosine = np.array([entry.cosine for entry in entries], np.float32)
    columns = [
        lexical / max(float(lexical.max(initial=0.0)), 1e-6), cosine, _place(lexical), _place(cosine),
        literal[0], meant[0], *_names(name, path, likeness, worth),
        literal[1], meant[1], literal[2], meant[2], literal[4], meant[4],
        anywhere.min(axis=1, initial=1.0), literal[3], _runs(name, count),
        name.lengths / 8, np.log1p(body.lengths) / 5,
        np.array([entry.exported for entry in entries]),
        np.array([entry.file.endswith(".h") for entry in entries]),
        name.lengths <= 1,
        *(values - values.max(initial=-1.0) for values in (cosine, meant[0], meant[4])),
        lexical / max(10 * float(worth[:count].sum()), 1e-6),
        *_company([entry.file for entry in entries], cosine, meant[4]),
        *_company([entry.file.rpartition("/")[0] for entry in entries], cosine, meant[4]),
        np.array([entry.static for entry in entries]), np.array([entry.inline for entry in entries]),
        _whole(name, vectors, worth, count),
        *_spelled(NameMatcher(distinct), texts[0], flat[0], name, worth, share),
    ]  # fmt: skip
    return np.round(np.stack(columns, axis=1).astype(np.float64), DECIMALS).astype(np.float32)


def _place(scores: Array) -> Array:
    """1 for the best, falling with the logarithm of the place; 0 for those without a score."""
    place = np.searchsorted(np.sort(-scores), -scores)  # equal scores share the first of their places
    return np.where(scores > 0, 1.0 / (1.0 + np.log1p(place)), 0.0).astype(np.float32)


def _company(places: list[str], cosine: Array, meaning: Array) -> tuple[NDArray[np.floating[Any]], ...]:
    """How many candidates share a place with each, and how well they do: where much fits, the answer is near."""
    number = {place: at for at, place in enumerate(dict.fromkeys(places))}
    group = np.array([number[place] for place in places], np.int64)
    members = np.bincount(group, minlength=len(number))
    best = np.zeros(len(number), np.float32)
    np.maximum.at(best, group, cosine)
    return (
        np.log1p(members[group]) / 3, (np.bincount(group, cosine) / np.maximum(members, 1))[group], best[group],
        (np.bincount(group, meaning) / np.maximum(members, 1))[group],
    )  # fmt: skip


def _names(name: _Field, path: _Field, likeness: Array, worth: Array) -> tuple[Array, ...]:
    """What of each name the question speaks of, the other direction of looking: the share that it says, that
    it means, that it or the path says; and how near the name comes to its first and last word."""
    count, size = likeness.shape
    said = name.words < count
    located = np.isin(name.owners * size + name.words, path.owners * size + path.words)
    nearest: Array = likeness.max(axis=0, initial=0.0)
    shares: list[Array] = [said.astype(np.float32), nearest[name.words], (said | located).astype(np.float32)]
    return (
        *_used(name, worth, *shares),
        name.gathered(np.maximum, likeness[0, name.words]),
        name.gathered(np.maximum, likeness[count - 1, name.words]),
    )


def _used(name: _Field, worth: Array, *shares: Array) -> list[Array]:
    """How much of each name's worth is used, when of each of its words such a share is."""
    value = worth[name.words]
    total: Array = np.maximum(name.gathered(np.add, value), np.float32(1e-6))
    return [np.divide(name.gathered(np.add, value * share), total, dtype=np.float32) for share in shares]


def _whole(name: _Field, vectors: Array, worth: Array, count: int) -> Array:
    """The cosine of each name to the question, both taken as the sum of their words by what these are worth."""
    sums = name.summed(vectors[name.words] * worth[name.words, None])
    question = product(worth[:count], vectors[:count])
    size = np.linalg.norm(sums, axis=1) * np.linalg.norm(question)
    result: Array = np.divide(product(sums, question), size, out=np.zeros_like(size), where=size > 1e-6)
    return result


def _spelled(
    spelled: NameMatcher, names: Sequence[Sequence[str]], words: Sequence[str], name: _Field, worth: Array, share: Array
) -> tuple[Array, ...]:
    """The share of each name that the question says, contractions of its words too, and the share of the question
    that the name holds in any way."""
    says = np.fromiter(map(spelled.mentions, words), np.float32, len(words))
    covered = [float(share[list(spelled.covered_words(each))].sum()) for each in names]
    return *_used(name, worth, says), np.array(covered, np.float32)


def _runs(name: _Field, count: int) -> Array:
    """How many neighbours in the question are neighbours in the name too, of all that there are."""
    words, owners = name.words, name.owners
    together = (words[1:] == words[:-1] + 1) & (words[1:] < count) & (owners[1:] == owners[:-1])
    found = np.bincount(owners[1:][together], minlength=len(name.lengths))
    return (found / max(count - 1, 1)).astype(np.float32)
