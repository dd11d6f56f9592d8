"""One field of several candidates as arrays of word numbers, with reductions by candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from kexpert.core.retrieval.products import product

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class WordField:
    """One field of all candidates as word numbers, concatenated in the order of the candidates."""

    words: NDArray[np.int64]  # (total words,)
    lengths: NDArray[np.int64]  # (candidates,)

    @property
    def owners(self) -> NDArray[np.int64]:
        """The candidate of each word, (total words,)."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    def gathered(self, operation: np.ufunc, values: Array) -> Array:
        """Reduce the last axis of ``values`` (total words) by candidate: (..., candidates), 0 without words."""
        out = np.zeros((*values.shape[:-1], len(self.lengths)), np.float32)
        filled = np.flatnonzero(self.lengths)
        if len(filled):
            starts = np.cumsum(self.lengths[filled]) - self.lengths[filled]
            out[..., filled] = operation.reduceat(values, starts, axis=-1)
        return out

    def summed(self, rows: Array) -> Array:
        """Sum ``rows``, (total words, dimensions), by candidate: (candidates, dimensions), 0 without words."""
        out = np.zeros((len(self.lengths), rows.shape[1]), np.float32)
        filled = np.flatnonzero(self.lengths)
        if len(filled):
            starts = np.cumsum(self.lengths[filled]) - self.lengths[filled]
            out[filled] = np.add.reduceat(rows, starts, axis=0)
        return out

    def beginning(self, count: int) -> WordField:
        """The first ``count`` words of each candidate."""
        starts = np.cumsum(self.lengths) - self.lengths
        place = np.arange(len(self.words)) - np.repeat(starts, self.lengths)
        return WordField(self.words[place < count], np.minimum(self.lengths, count))

    @staticmethod
    def of(texts: Sequence[Sequence[str]], number: Mapping[str, int]) -> WordField:
        """The field whose words are ``texts`` by candidate; ``number`` has all of them."""
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        words = map(number.__getitem__, chain.from_iterable(texts))
        return WordField(np.fromiter(words, np.int64, int(lengths.sum())), lengths)


def rank_score(scores: Array) -> Array:
    """1 for the best score, decreasing with the logarithm of the rank; 0 for a score of 0."""
    rank = np.searchsorted(np.sort(-scores), -scores)  # equal scores share the best of their ranks
    return np.where(scores > 0, 1.0 / (1.0 + np.log1p(rank)), 0.0).astype(np.float32)


def idf_share(field: WordField, idf: Array, *shares: Array) -> list[Array]:
    """The IDF-weighted share of each candidate's field, for each array of shares by word of the field."""
    value = idf[field.words]
    total: Array = np.maximum(field.gathered(np.add, value), np.float32(1e-6))
    return [np.divide(field.gathered(np.add, value * share), total, dtype=np.float32) for share in shares]


def field_cosine(field: WordField, vectors: Array, idf: Array, count: int) -> Array:
    """The cosine of each candidate's field to the query; both vectors are IDF-weighted sums of word vectors."""
    sums = field.summed(vectors[field.words] * idf[field.words, None])
    query = product(idf[:count], vectors[:count])
    norms = np.linalg.norm(sums, axis=1) * np.linalg.norm(query)
    result: Array = np.divide(product(sums, query), norms, out=np.zeros_like(norms), where=norms > 1e-6)
    return result


def soft_bigrams(field: WordField, similarity: Array, share: Array) -> Array:
    """The share of the query's bigrams that each candidate's field has, similar words included: (candidates,).

    ``similarity`` (query words, words); ``share`` (query words,). A bigram counts as the product of its similarities.
    """
    if len(share) < 2 or not len(field.words):
        return np.zeros(len(field.lengths), np.float32)
    owners = field.owners
    values = np.zeros((len(share) - 1, len(field.words)), np.float32)
    together = (owners[1:] == owners[:-1]).astype(np.float32)
    values[:, 1:] = similarity[:-1, field.words[:-1]] * similarity[1:, field.words[1:]] * together
    weight = share[1:] + share[:-1]
    return product(field.gathered(np.maximum, values).T, weight / max(float(weight.sum()), 1e-6))
