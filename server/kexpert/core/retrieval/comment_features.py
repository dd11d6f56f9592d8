"""Features of search candidates that come from their comments: the comment above the code, then those inside it.

A candidate without a comment has 0 in every column about it, the first included. So the ranker can tell "its comment
says something else" from "it has no comment", which holds for most functions. The last columns are the same for all
candidates: how well the best comment answers decides how much a comment counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from kexpert.core.retrieval.products import product
from kexpert.core.retrieval.word_field import WordField, field_cosine, idf_share, rank_score, soft_bigrams

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]
    Lexicon = Callable[[Sequence[str]], tuple[Array, Array]]  # as in ``ranking_features``

#: Names of the columns of ``comment_features``. The opening is the first words, which say what a function does.
COMMENT_FEATURES = (
    "commented", "comment lexical", "comment lexical place", "comment lexical share", "comment", "comment soft",
    "opening", "opening soft", "opening used", "opening used soft", "opening cosine", "comment below best",
    "opening below best", "code or comment", "comment length",
    "opening weighed", "name, path or opening weighed", "bigrams in opening",
    "best opening", "best opening cosine", "share commented",
)  # fmt: skip
#: Words of a comment's opening.
OPENING_WORDS = 12
#: Words of a comment that are looked at: its beginning tells most, and they cost time.
MAX_COMMENT_WORDS = 80
#: Comments found by BM25 whose openings are compared with the query. Chosen on 6.1: 50 of 400 hold more answers to
#: reworded questions than the first 200 by BM25.
OPENINGS_COMPARED = 400
#: Comments that become candidates.
COMMENT_CANDIDATES = 50
_KEPT_BY_BM25 = 10  # the best by BM25 become candidates whatever their opening says


def comment_features(
    comment: WordField,
    lexical: Sequence[float],
    anywhere: Array,
    name_or_path: Array,
    similarity: Array,
    vectors: Array,
    idf: Array,
    importance: Array,
) -> tuple[NDArray[np.floating], ...]:
    """One column for each of COMMENT_FEATURES.

    ``lexical``: BM25 of each comment. ``anywhere`` (candidates, query words): similarity of each word of the query to
    the nearest word of the code; ``name_or_path``: of name and path. ``similarity`` (query words, words), ``vectors``
    and ``idf`` (words, ...) are of all words; those of the query come first. ``importance`` (query words,): the shares
    that the embedder gives the words of the query.
    """
    count = len(similarity)
    share = idf[:count] / max(float(idf[:count].sum()), 1e-6)
    commented = comment.lengths > 0
    opening = comment.beginning(OPENING_WORDS)
    most_similar: Array = similarity.max(axis=0, initial=0.0)
    nearest = [field.gathered(np.maximum, similarity[:, field.words]).T for field in (comment, opening)]
    literal = [product((field >= 0.999).astype(np.float32), share) for field in nearest]
    soft = [product(field, share) for field in nearest]
    scores = np.array(lexical, np.float32)
    below = [np.where(commented, each - each.max(initial=0.0), 0) for each in soft]
    cosine = field_cosine(opening, vectors, idf, count)
    of_all = (soft[1].max(initial=0.0), cosine.max(initial=0.0), commented.sum() / max(len(commented), 1))
    return (
        commented, scores / max(float(scores.max(initial=0.0)), 1e-6), rank_score(scores),
        scores / max(10 * float(idf[:count].sum()), 1e-6), literal[0], soft[0], literal[1], soft[1],
        *idf_share(opening, idf, (opening.words < count).astype(np.float32), most_similar[opening.words]),
        cosine, *below, product(np.maximum.reduce([anywhere, *nearest]), share), np.log1p(comment.lengths) / 5,
        product(nearest[1], importance), product(np.maximum(name_or_path, nearest[1]), importance),
        soft_bigrams(opening, similarity, share), *(np.full(len(commented), value) for value in of_all),
    )  # fmt: skip


def best_openings(
    query: Sequence[str], comments: Sequence[Sequence[str]], lexicon: Lexicon, count: int = COMMENT_CANDIDATES
) -> list[int]:
    """Indices of the ``count`` comments that are most likely to answer a query.

    BM25 knows only the query's own words, and counts a word at the end of a comment as much as one in its first
    sentence. So compare the openings, by similar words too. ``query``: distinct stems. ``comments``: stems, in
    descending order of BM25.
    """
    openings = [comment[:OPENING_WORDS] for comment in comments]
    number = {word: at for at, word in enumerate(dict.fromkeys(chain(query, chain.from_iterable(openings))))}
    vectors, idf = lexicon(list(number))
    asked = len(query)
    similarity = np.maximum(product(vectors[:asked], vectors.T), np.float32(0))
    similarity[np.arange(asked), np.arange(asked)] = 1.0
    field = WordField.of(openings, number)
    covered = product(field.gathered(np.maximum, similarity[:, field.words]).T, idf[:asked])
    covered[:_KEPT_BY_BM25] += np.float32(idf[:asked].sum() + 1)
    best: list[int] = np.argsort(-covered, kind="stable")[:count].tolist()
    return best
