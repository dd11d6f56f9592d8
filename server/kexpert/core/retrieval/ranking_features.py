"""Features of search candidates for one query: the input of the learnt ranking, in training and in serving.

Names, bodies, paths and comments are lists of stems. What the code says is described apart from what comments say
(``comment_features``), because most functions have no comment and must stay comparable. Words are compared by their
vectors, so ``remove`` in a query matches ``unlink`` in a name. Words are weighted by inverse document frequency
(``idf`` below). A feature is "soft" if it counts similar words, literal if it counts only equal ones, and
"weighed" if words count as the embedder weighs those of a question instead of by IDF.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from kexpert.core.retrieval.abbreviations import NameMatcher
from kexpert.core.retrieval.comment_features import COMMENT_FEATURES, MAX_COMMENT_WORDS, comment_features
from kexpert.core.retrieval.products import DECIMALS, product
from kexpert.core.retrieval.word_field import WordField, field_cosine, idf_share, rank_score, soft_bigrams
from kexpert.core.retrieval.words import stem

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]
    #: Words -> (unit vectors, (words, dimensions), zeros for unknown words; inverse document frequencies, (words,)).
    Lexicon = Callable[[Sequence[str]], tuple[Array, Array]]
    #: Words of a query -> how much each of them tells, as the embedder learnt it, (words,).
    Importance = Callable[[Sequence[str]], Array]

#: Stems in the code of a function that limit its callers.
STATIC, INLINE = stem("static"), stem("inline")

#: Names of the columns of ``features``. A ranker stores them: it is refused if they differ.
FEATURES = (
    "lexical", "cosine", "lexical place", "cosine place",
    "name", "name soft", "name used", "name used soft", "name or path used", "first word in name", "last word in name",
    "body", "body soft", "path", "path soft", "anywhere", "anywhere soft", "weakest", "bigrams in name",
    "name length", "body length", "exported", "header", "plain name",
    "cosine below best", "name below best", "meaning below best", "lexical share",
    "file's company", "file's cosine", "file's best", "file's meaning",
    "folder's company", "folder's cosine", "folder's best", "folder's meaning",
    "static", "inline", "name cosine", "name used contracted", "name in any way",
    "name weighed", "name or path weighed", "soft bigrams in name", *COMMENT_FEATURES,
)  # fmt: skip


#: Dimensions of the vectors by which words and code are compared: the first, which carry most (Matryoshka).
RANKING_DIMENSIONS = 128


@dataclass(frozen=True, slots=True)
class CandidateFields:
    """One candidate. ``name``, ``body``, ``path`` and ``comment`` are stems; ``body`` has no comments."""

    name: Sequence[str]
    body: Sequence[str]
    path: Sequence[str]
    comment: Sequence[str] = ()
    lexical: float = 0.0  # BM25 of name, body and path, larger is better; 0 if it did not find the candidate
    comment_lexical: float = 0.0  # BM25 of the comment
    cosine: float = 0.0  # of query and code
    exported: bool = False
    file: str = ""  # the full path
    static: bool = False
    inline: bool = False


def features(
    query: Sequence[str], candidates: Sequence[CandidateFields], lexicon: Lexicon, importance: Importance
) -> Array:
    """The features of all candidates for one query: (candidates, FEATURES) float32, each about -1 to 1."""
    names = [candidate.name for candidate in candidates]
    texts = [names, [candidate.body for candidate in candidates], [candidate.path for candidate in candidates],
             [candidate.comment[:MAX_COMMENT_WORDS] for candidate in candidates]]  # fmt: skip
    distinct = list(dict.fromkeys(query))
    count = len(distinct)
    every = chain(distinct, *(chain.from_iterable(field) for field in texts))
    number = {word: at for at, word in enumerate(dict.fromkeys(every))}
    name, body, path, comment = (WordField.of(field, number) for field in texts)
    vectors, idf = lexicon(list(number))
    similarity = np.maximum(product(vectors[:count], vectors.T), np.float32(0))
    similarity[np.arange(count), np.arange(count)] = 1.0
    share = idf[:count] / max(float(idf[:count].sum()), 1e-6)

    weight = importance(distinct)
    weighed = weight / max(float(weight.sum()), 1e-6)
    best = [field.gathered(np.maximum, similarity[:, field.words]).T for field in (name, body, path)]
    anywhere, name_or_path = np.maximum.reduce(best), np.maximum(best[0], best[2])
    literal = [product((field >= 0.999).astype(np.float32), share) for field in (*best, anywhere)]
    soft = [product(field, share) for field in (*best, anywhere)]
    lexical = np.array([candidate.lexical for candidate in candidates], np.float32)
    cosine = np.array([candidate.cosine for candidate in candidates], np.float32)
    columns = [
        lexical / max(float(lexical.max(initial=0.0)), 1e-6), cosine, rank_score(lexical), rank_score(cosine),
        literal[0], soft[0], *_name_features(name, path, similarity, idf),
        literal[1], soft[1], literal[2], soft[2], literal[3], soft[3],
        anywhere.min(axis=1, initial=1.0), _bigram_share(name, count),
        name.lengths / 8, np.log1p(body.lengths) / 5,
        np.array([candidate.exported for candidate in candidates]),
        np.array([candidate.file.endswith(".h") for candidate in candidates]),
        name.lengths <= 1,
        *(values - values.max(initial=-1.0) for values in (cosine, soft[0], soft[3])),
        lexical / max(10 * float(idf[:count].sum()), 1e-6),
        *_group_features([candidate.file for candidate in candidates], cosine, soft[3]),
        *_group_features([candidate.file.rpartition("/")[0] for candidate in candidates], cosine, soft[3]),
        np.array([candidate.static for candidate in candidates]),
        np.array([candidate.inline for candidate in candidates]),
        field_cosine(name, vectors, idf, count),
        *_abbreviation_features(NameMatcher(distinct), names, name, idf, share),
        product(best[0], weighed), product(name_or_path, weighed), soft_bigrams(name, similarity, share),
        *comment_features(comment, [candidate.comment_lexical for candidate in candidates], anywhere,
                          name_or_path, similarity, vectors, idf, weighed),
    ]  # fmt: skip
    return np.round(np.stack(columns, axis=1).astype(np.float64), DECIMALS).astype(np.float32)


def _group_features(groups: list[str], cosine: Array, soft: Array) -> tuple[NDArray[np.floating[Any]], ...]:
    """For the file or folder of each candidate: number of candidates, mean and best cosine, mean soft score.

    The answer is often in a file or folder with many good candidates. ``groups`` has one path per candidate.
    """
    numbers = {path: at for at, path in enumerate(dict.fromkeys(groups))}
    group = np.array([numbers[path] for path in groups], np.int64)
    members = np.bincount(group, minlength=len(numbers))
    best = np.zeros(len(numbers), np.float32)
    np.maximum.at(best, group, cosine)
    return (
        np.log1p(members[group]) / 3, (np.bincount(group, cosine) / np.maximum(members, 1))[group], best[group],
        (np.bincount(group, soft) / np.maximum(members, 1))[group],
    )  # fmt: skip


def _name_features(name: WordField, path: WordField, similarity: Array, idf: Array) -> tuple[Array, ...]:
    """The share of each name that is in the query, that is similar to a word of the query, and that is in the query or
    in the path; then the similarity of the name to the first and to the last word of the query."""
    count, size = similarity.shape
    in_query = name.words < count
    in_path = np.isin(name.owners * size + name.words, path.owners * size + path.words)
    most_similar: Array = similarity.max(axis=0, initial=0.0)
    either: Array = (in_query | in_path).astype(np.float32)
    return (
        *idf_share(name, idf, in_query.astype(np.float32), most_similar[name.words], either),
        name.gathered(np.maximum, similarity[0, name.words]),
        name.gathered(np.maximum, similarity[count - 1, name.words]),
    )


def _abbreviation_features(
    matcher: NameMatcher, names: Sequence[Sequence[str]], name: WordField, idf: Array, share: Array
) -> tuple[Array, ...]:
    """The share of each name that the query contains, also abbreviated, and the share of the query that the name
    contains in any form."""
    mentioned = np.fromiter(matcher.mentioned(chain.from_iterable(names)), np.float32, len(name.words))
    covered = [matcher.covered_words(words) for words in names]
    shares = {words: float(share[sorted(words)].sum()) for words in set(covered)}
    return *idf_share(name, idf, mentioned), np.array([shares[words] for words in covered], np.float32)


def _bigram_share(name: WordField, count: int) -> Array:
    """The share of the query's bigrams that are bigrams of the name too."""
    words, owners = name.words, name.owners
    together = (words[1:] == words[:-1] + 1) & (words[1:] < count) & (owners[1:] == owners[:-1])
    found = np.bincount(owners[1:][together], minlength=len(name.lengths))
    return (found / max(count - 1, 1)).astype(np.float32)
