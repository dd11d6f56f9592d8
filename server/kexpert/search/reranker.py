"""Sorts the candidates of all retrievers, by reciprocal rank fusion or by a trained ranker."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from kexpert.core.retrieval.chunk import CODE_KINDS, ChunkKind
from kexpert.core.retrieval.comment_features import best_openings
from kexpert.core.retrieval.products import product
from kexpert.core.retrieval.ranking_features import (
    FEATURES,
    INLINE,
    RANKING_DIMENSIONS,
    STATIC,
    CandidateFields,
    features,
)
from kexpert.core.retrieval.words import query_stems, stems
from kexpert.search.embedder import SHIPPED, EmbedderError, StaticEmbedder, shipped

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

#: k of reciprocal rank fusion: a larger k makes the first ranks differ less.
FUSION_K = 5
#: BM25 of the best candidate below which the ranker is not used: every word is then in half of the chunks, as in a
#: tree of a few files, and ratios of BM25 mean nothing.
_MIN_BM25 = 0.1


@dataclass(slots=True)
class Candidate:
    """A chunk that a retriever found, with what is stored of it."""

    name: str
    kind: ChunkKind
    path: str
    words: str = ""  # stems of its code, each once, joined by blanks
    comment: str = ""  # stems of its comments, each once, joined by blanks
    exported: bool = False
    lexical: float = 0.0  # BM25 of its code, larger is better; 0 if that retriever did not find it
    comment_lexical: float = 0.0  # BM25 of its comments; 0 if that retriever did not find it
    vector: float = 0.0  # cosine; 0 if that retriever did not find it
    name_words: str = ""  # stems of its name, joined by blanks; made from the name if missing
    path_words: str = ""  # stems of its path without the ending, joined by blanks; made from the path if missing
    key: Any = None  # for the caller


def fuse(candidates: Sequence[Candidate]) -> list[tuple[float, Candidate]]:
    """(score, candidate) by reciprocal rank fusion of the retrievers, best first."""
    scores = [0.0] * len(candidates)
    for found in (
        [each.lexical for each in candidates],
        [each.vector for each in candidates],
        [each.comment_lexical for each in candidates],
    ):
        order = sorted((-score, at) for at, score in enumerate(found) if score > 0)
        for rank, (_, at) in enumerate(order, 1):
            scores[at] += 1.0 / (FUSION_K + rank)
    return _sorted(scores, candidates)


def rerank(query: str, candidates: Sequence[Candidate], embedder: object = None) -> list[tuple[float, Candidate]]:
    """(score, candidate) by the trained ranker, best first. Raises EmbedderError, OSError.

    Words are compared by the vectors of ``embedder`` if it is a static one, else of the shipped embedder.
    """
    wanted = query_stems(query)
    best = max((max(each.lexical, each.comment_lexical) for each in candidates), default=0.0)
    if not wanted or not candidates or 0 < best < _MIN_BM25:
        return fuse(candidates)
    static = embedder if isinstance(embedder, StaticEmbedder) else shipped(RANKING_DIMENSIONS)
    names = [each.name_words.split() or stems(each.name) for each in candidates]
    bodies = [each.words.split() for each in candidates]
    paths = [each.path_words.split() or stems(each.path.rpartition(".")[0]) for each in candidates]
    comments = [each.comment.split() for each in candidates]
    summaries = [[] if each.kind in CODE_KINDS else comment for each, comment in zip(candidates, comments, strict=True)]
    cosines = product(static.encode_stems((names, paths, summaries, bodies)), static.encode_query(query))
    entries = [
        CandidateFields(
            names[at], bodies[at], paths[at], comments[at], each.lexical, each.comment_lexical,
            float(cosines[at]), each.exported, each.path, STATIC in bodies[at], INLINE in bodies[at],
        )
        for at, each in enumerate(candidates)
    ]  # fmt: skip
    scores = ranker().score(features(wanted, entries, static.lexicon, static.importance))
    return _sorted([float(score) for score in scores], candidates)


def best_comments(query: str, openings: Sequence[str], count: int) -> list[int]:
    """Indices of the ``count`` comments to rank, by their first stems, joined by blanks. Raises EmbedderError."""
    comments = [opening.split() for opening in openings]
    return best_openings(query_stems(query), comments, shipped(RANKING_DIMENSIONS).lexicon, count)


def _sorted(scores: Sequence[float], candidates: Sequence[Candidate]) -> list[tuple[float, Candidate]]:
    """Sort by score; ties by path and name, so that the order does not depend on that of the candidates."""
    pairs = list(zip(scores, candidates, strict=True))
    return sorted(pairs, key=lambda pair: (-pair[0], pair[1].path, pair[1].name))


@dataclass(frozen=True, slots=True)
class Ranker:
    """A network with one hidden layer over the ranking features, trained by ``kexpert-train embedder``."""

    mean: Array
    scale: Array
    hidden: Array  # (features, units)
    bias: Array
    out: Array

    def score(self, rows: Array) -> Array:
        """Features, shape (n, features) -> scores, shape (n,)."""
        inner = product((rows - self.mean) / self.scale, self.hidden) + self.bias
        return product(np.maximum(inner, 0), self.out)


@lru_cache(maxsize=1)
def ranker() -> Ranker:
    """The shipped weights. Raises EmbedderError if they were trained on other features, OSError."""
    value = json.loads((SHIPPED / "ranker.json").read_bytes())
    if value["features"] != list(FEATURES):
        raise EmbedderError(f"{SHIPPED / 'ranker.json'} was learnt on other features; run kexpert-train embedder")
    return Ranker(*(np.array(value[field], np.float32) for field in ("mean", "scale", "hidden", "bias", "out")))
