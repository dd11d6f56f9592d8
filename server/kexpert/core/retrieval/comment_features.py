"""Features of search candidates that come from their comments: the comment above the code, then those inside it.

A candidate without a comment has 0 in every column, the first included. So the ranker can tell "its comment says
something else" from "it has no comment", which holds for most functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kexpert.core.retrieval.products import product
from kexpert.core.retrieval.word_field import WordField, field_cosine, idf_share, rank_score

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

#: Names of the columns of ``comment_features``. The opening is the first words, which say what a function does.
COMMENT_FEATURES = (
    "commented", "comment lexical", "comment lexical place", "comment lexical share", "comment", "comment soft",
    "opening", "opening soft", "opening used", "opening used soft", "opening cosine", "comment below best",
    "opening below best", "code or comment", "comment length",
)  # fmt: skip
_OPENING_WORDS = 12
#: Words of a comment that are looked at: its beginning tells most, and they cost time.
MAX_COMMENT_WORDS = 80


def comment_features(
    comment: WordField, lexical: Sequence[float], anywhere: Array, similarity: Array, vectors: Array, idf: Array
) -> tuple[NDArray[np.floating], ...]:
    """One column for each of COMMENT_FEATURES.

    ``lexical``: BM25 of each comment. ``anywhere`` (candidates, query words): similarity of each word of the query to
    the nearest word of the code. ``similarity`` (query words, words), ``vectors`` and ``idf`` (words, ...) are of all
    words; those of the query come first.
    """
    count = len(similarity)
    share = idf[:count] / max(float(idf[:count].sum()), 1e-6)
    commented = comment.lengths > 0
    opening = comment.beginning(_OPENING_WORDS)
    most_similar: Array = similarity.max(axis=0, initial=0.0)
    literal, soft = [], []
    best = np.zeros_like(anywhere)
    for field in (comment, opening):
        nearest = field.gathered(np.maximum, similarity[:, field.words]).T
        best = np.maximum(best, nearest)
        literal.append(product((nearest >= 0.999).astype(np.float32), share))
        soft.append(product(nearest, share))
    scores = np.array(lexical, np.float32)
    below = [np.where(commented, each - each.max(initial=0.0), 0) for each in soft]
    return (
        commented, scores / max(float(scores.max(initial=0.0)), 1e-6), rank_score(scores),
        scores / max(10 * float(idf[:count].sum()), 1e-6), literal[0], soft[0], literal[1], soft[1],
        *idf_share(opening, idf, (opening.words < count).astype(np.float32), most_similar[opening.words]),
        field_cosine(opening, vectors, idf, count), *below,
        product(np.maximum(anywhere, best), share), np.log1p(comment.lengths) / 5,
    )  # fmt: skip
