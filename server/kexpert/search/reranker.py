"""What both retrievers found, in the order in which a reader should see it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from kexpert.core.retrieval.chunk import ChunkKind
from kexpert.core.retrieval.products import product
from kexpert.core.retrieval.ranking_features import FEATURES, INLINE, STATIC, CandidateFields, features
from kexpert.core.retrieval.words import query_stems, stems
from kexpert.search.embedder import SHIPPED, EmbedderError, StaticEmbedder, shipped

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

#: Reciprocal rank fusion: how little the first places differ from the next.
FUSION_K = 5
#: Of the best candidate: with less, every word is in half of the chunks, as in a tree of a few files,
#: and shares of BM25 mean nothing.
_TELLING = 0.1


@dataclass(slots=True)
class Candidate:
    """One chunk that a retriever returned, with what is known of it without reading its file."""

    name: str
    kind: ChunkKind
    path: str
    words: str = ""  # blank-joined stems of its code, each once
    summary: str = ""  # blank-joined stems of what is said of it
    exported: bool = False
    lexical: float = 0.0  # BM25, larger is better; 0 when that retriever did not return it
    vector: float = 0.0  # cosine; 0 when that retriever did not return it
    key: Any = None  # the caller's own


def fuse(candidates: Sequence[Candidate]) -> list[tuple[float, Candidate]]:
    """Reciprocal rank fusion of the two retrievers, best first."""
    scores = [0.0] * len(candidates)
    for found in ([each.lexical for each in candidates], [each.vector for each in candidates]):
        order = sorted((at for at in range(len(found)) if found[at] > 0), key=lambda at, found=found: -found[at])
        for place, at in enumerate(order):
            scores[at] += 1.0 / (FUSION_K + 1 + place)
    return _sorted(scores, candidates)


def rerank(query: str, candidates: Sequence[Candidate], embedder: object = None) -> list[tuple[float, Candidate]]:
    """Candidates with their scores, best first.

    Words are compared by the vectors of ``embedder`` where it has any for words, else by the
    shipped one's.
    """
    asked = query_stems(query)
    best = max((each.lexical for each in candidates), default=0.0)
    if not asked or not candidates or 0 < best < _TELLING:
        return fuse(candidates)
    static = embedder if isinstance(embedder, StaticEmbedder) else shipped()
    names, bodies = [stems(each.name) for each in candidates], [each.words.split() for each in candidates]
    paths = [stems(each.path.rpartition(".")[0] or each.path) for each in candidates]
    summaries = [each.summary.split() for each in candidates]
    cosines = product(static.encode_stems((names, paths, summaries, bodies)), static.encode_query(query))
    entries = [
        CandidateFields(
            names[at], bodies[at], paths[at], summaries[at], each.lexical, float(cosines[at]), each.exported,
            each.path, STATIC in bodies[at], INLINE in bodies[at],
        )
        for at, each in enumerate(candidates)
    ]  # fmt: skip
    scores = ranker().score(features(asked, entries, static.lexicon))
    return _sorted([float(score) for score in scores], candidates)


def _sorted(scores: Sequence[float], candidates: Sequence[Candidate]) -> list[tuple[float, Candidate]]:
    """By score; ties by place and name, so that an answer does not depend on who found what first."""
    pairs = list(zip(scores, candidates, strict=True))
    return sorted(pairs, key=lambda pair: (-pair[0], pair[1].path, pair[1].name))


@dataclass(frozen=True, slots=True)
class Ranker:
    """A network of one hidden layer over the ranking features, trained by ``kexpert-train embedder``."""

    mean: Array
    scale: Array
    hidden: Array  # (features, units)
    bias: Array
    out: Array

    def score(self, rows: Array) -> Array:
        inner = product((rows - self.mean) / self.scale, self.hidden) + self.bias
        return product(np.maximum(inner, 0), self.out)


@lru_cache(maxsize=1)
def ranker() -> Ranker:
    """The shipped weights. Raises EmbedderError for those of another version, OSError."""
    value = json.loads((SHIPPED / "ranker.json").read_bytes())
    if value["features"] != list(FEATURES):
        raise EmbedderError(f"{SHIPPED / 'ranker.json'} was learnt on other features; run kexpert-train embedder")
    return Ranker(*(np.array(value[field], np.float32) for field in ("mean", "scale", "hidden", "bias", "out")))
