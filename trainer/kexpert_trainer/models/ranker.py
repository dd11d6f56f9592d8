"""The ranker of search, trained on questions whose answers the embedder has not seen.

The retrievers (BM25 of code, BM25 of comments, vectors) are asked a kernel-doc summary, in trees with and without
comments (``Situation``): most functions of a real tree have no comment, and must not be buried by those that have one.
``kexpert.core.retrieval.ranking_features`` describes the candidates, and a network of one hidden layer learns to rank
the summary's own function first (cross entropy of a softmax over the candidates, as in ListNet, Cao et al. 2007).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from kexpert.core.retrieval.abbreviations import ABBREVIATION_WEIGHT, candidate_abbreviations
from kexpert.core.retrieval.comment_features import MAX_COMMENT_WORDS, OPENINGS_COMPARED, best_openings
from kexpert.core.retrieval.ranking_features import (
    FEATURES,
    INLINE,
    RANKING_DIMENSIONS,
    STATIC,
    CandidateFields,
    features,
)
from kexpert.core.retrieval.words import STOP_WORDS, stem
from kexpert_trainer.data.pairs import PairCorpus, Ragged
from kexpert_trainer.data.search_situations import Situation, reworded_stems
from kexpert_trainer.errors import UserError
from kexpert_trainer.models.embedder import EmbedderModel
from kexpert_trainer.models.embedder_data import WordRows

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

DEPTH = 100  # candidates of each retriever that compares code
_CODE = (("name", 8.0), ("body", 1.0), ("path", 2.0))  # with their weights in BM25
#: Texts that make up the comment of a chunk, in their order.
_COMMENT = ("brief", "rest", "comment", "inner")
_K1, _B = 1.2, 0.75  # of BM25, as in FTS5
_HIDDEN, _EPOCHS, _LR, _WEIGHT_DECAY, _BATCH = 24, 12, 0.01, 1e-3, 64
#: Weight of a question in each situation. Chosen on 6.1: a comment that answers in other words weighs against functions
#: without a comment, and neither should lose much.
_WEIGHTS = {Situation.BLANKED: 1.0, Situation.UNDOCUMENTED: 0.7, Situation.REWORDED: 2.0}


@dataclass(slots=True)
class QuestionCandidates:
    """The candidates of one question."""

    rows: Floats  # (candidates, features)
    right: int  # index of the right candidate; -1 if no retriever found it


class _Bm25:
    """BM25 of every word in every chunk of a pool, sorted by word. Chunks without a word do not count."""

    def __init__(self, words: int, chunks: int, fields: Sequence[tuple[Ints, NDArray[np.int32], float]]) -> None:
        """``words``, ``chunks``: their numbers. ``fields``: (chunk of each word, word, weight)."""
        keys, counts, lengths = [], [], np.zeros(chunks)
        for owner, word, weight in fields:
            key, count = np.unique(word.astype(np.int64) * chunks + owner, return_counts=True)
            keys.append(key)
            counts.append(weight * count)
            lengths += np.bincount(owner, minlength=chunks)
        key, place = np.unique(np.concatenate(keys), return_inverse=True)
        frequency = np.bincount(place, np.concatenate(counts))
        word, owner = np.divmod(key, chunks)
        filled = max(int(np.count_nonzero(lengths)), 1)
        found = np.bincount(word, minlength=words)
        idf = np.maximum(np.log((filled - found + 0.5) / (found + 0.5)), 1e-6)
        norm = _K1 * (1 - _B + _B * lengths / max(lengths.sum() / filled, 1.0))
        self._chunks, self._owner = chunks, owner
        self._score = (idf[word] * frequency * (_K1 + 1) / (frequency + norm[owner])).astype(np.float32)
        self._start = np.searchsorted(word, np.arange(words + 1))
        self.idf = np.log1p((filled - found + 0.5) / (found + 0.5)).astype(np.float32)

    def scores(self, weighted: Iterable[tuple[int, float]]) -> Floats:
        """The sum over (word, weight), (chunks,)."""
        scores = np.zeros(self._chunks, np.float32)
        for word, weight in weighted:
            span = slice(self._start[word], self._start[word + 1])
            scores[self._owner[span]] += np.float32(weight) * self._score[span]
        return scores


class PoolRetrieval:
    """Answers questions from some chunks of a corpus, as the served search does from its index."""

    def __init__(self, corpus: PairCorpus, rows: WordRows, model: EmbedderModel, pool: Ints) -> None:
        """``pool``: numbers of chunks."""
        self.corpus, self.pool = corpus, pool
        self._comments = [comment_of(corpus, chunk) for chunk in pool.tolist()]
        code = [(*corpus.fields[field].take(pool), weight) for field, weight in _CODE]
        told = Ragged.of(self._comments)
        self._code = _Bm25(len(corpus.words), len(pool), code)
        self._told = _Bm25(len(corpus.words), len(pool), [(*told.take(np.arange(len(pool))), 1.0)])
        table = model.table.numpy()[:, :RANKING_DIMENSIONS]
        self._directions = table / (np.linalg.norm(table, axis=1, keepdims=True) + 1e-6)
        self._table, self._row = table, rows.of
        self._question_weights = np.exp(model.question_weights.numpy())
        self._vectors = chunk_vectors(corpus, rows, model, pool)
        stop = {stem(word) for word in STOP_WORDS}
        self._stop = np.array([word in stop for word in corpus.words])
        self._number = {word: at for at, word in enumerate(corpus.words)}

    def cosines(self, words: NDArray[np.int32]) -> Floats:
        """Cosine of the question's vector with every chunk of the pool."""
        rows = self._row[words]
        rows = rows[rows >= 0]
        question = self._question_weights[rows] @ self._table[rows]
        result: Floats = self._vectors @ (question / (np.linalg.norm(question) + 1e-6)).astype(np.float32)
        return result

    def lexicon(self, words: Sequence[str]) -> tuple[Floats, Floats]:
        """Unit vectors (words, dimensions) and inverse document frequencies (words,)."""
        numbers = np.array([self._number[word] for word in words], np.int64)
        rows = self._row[numbers]
        return np.where(rows[:, None] >= 0, self._directions[rows], np.float32(0)), self._code.idf[numbers]

    def importance(self, words: Sequence[str]) -> Floats:
        """As ``kexpert.search.embedder`` computes it, (words,)."""
        rows = self._row[np.array([self._number[word] for word in words], np.int64)]
        lengths = self._question_weights[rows] * np.linalg.norm(self._table[rows], axis=1)
        return np.where(rows >= 0, lengths, 1.0).astype(np.float32)

    def ask(self, words: NDArray[np.int32], right: int, situations: Sequence[Situation]) -> list[QuestionCandidates]:
        """The candidates of a question in each situation. ``right``: index of the right chunk in the pool."""
        plain: _Found | None = None
        answers = []
        for situation in situations:
            if situation is Situation.REWORDED:
                name = [self.corpus.words[word] for word in self.corpus.fields["name"][self.pool[right]]]
                other = reworded_stems([self.corpus.words[word] for word in words], name)
                known = [self._number[word] for word in other if word in self._number]
                answers.append(self._answer(self._find(np.array(known, np.int32)), right, situation))
            else:
                plain = plain or self._find(words)
                answers.append(self._answer(plain, right, situation))
        return answers

    def _find(self, words: NDArray[np.int32]) -> _Found:
        distinct = list(dict.fromkeys(words.tolist()))
        asked = [word for word in distinct if not self._stop[word]] or distinct
        abbreviations = candidate_abbreviations([self.corpus.words[word] for word in asked])
        known = (self._number.get(word, -1) for word in abbreviations)
        weighted = [(word, 1.0) for word in asked]
        also = [(word, ABBREVIATION_WEIGHT) for word in known if word >= 0]
        return _Found(asked, self._code.scores([*weighted, *also]), self._told.scores(weighted), self.cosines(words))

    def _answer(self, found: _Found, right: int, situation: Situation) -> QuestionCandidates:
        told = found.told
        if situation is Situation.BLANKED:
            told = np.zeros_like(told)
        elif situation is Situation.UNDOCUMENTED:
            told = told.copy()
            told[right] = 0
        by_code, by_comment = _highest(found.code, DEPTH), self._by_comment(found.asked, told)
        chosen = np.unique(np.concatenate([by_code, by_comment, _highest(found.cosines, DEPTH)]))
        code, comment = set(by_code.tolist()), set(by_comment.tolist())
        entries = []
        for at in chosen.tolist():
            hidden = situation is Situation.BLANKED or (situation is Situation.UNDOCUMENTED and at == right)
            entries.append(
                self._entry(
                    at, [] if hidden else self._comments[at], float(found.code[at]) if at in code else 0.0,
                    float(told[at]) if at in comment else 0.0, float(found.cosines[at]),
                )
            )  # fmt: skip
        rows = features([self.corpus.words[word] for word in found.asked], entries, self.lexicon, self.importance)
        place = np.flatnonzero(chosen == right)
        return QuestionCandidates(rows, int(place[0]) if len(place) else -1)

    def _by_comment(self, asked: Sequence[int], told: Floats) -> Ints:
        """Chunks whose comment may answer a question; ``told``: BM25 of the comments."""
        found = _highest(told, OPENINGS_COMPARED)
        found = found[np.argsort(-told[found], kind="stable")]
        if not len(found):
            return found
        words = self.corpus.words
        comments = [[words[word] for word in self._comments[at]] for at in found.tolist()]
        return found[best_openings([words[word] for word in asked], comments, self.lexicon)]

    def _entry(self, at: int, told: Sequence[int], bm25: float, comment_bm25: float, cosine: float) -> CandidateFields:
        chunk, words = self.pool[at], self.corpus.words
        name, body, path = ([words[word] for word in self.corpus.fields[field][chunk]] for field, _ in _CODE)
        comment = [words[word] for word in told[:MAX_COMMENT_WORDS]]
        exported, file = bool(self.corpus.exported[chunk]), self.corpus.paths[chunk]
        return CandidateFields(
            name, body, path, comment, bm25, comment_bm25, cosine, exported, file, STATIC in body, INLINE in body
        )


@dataclass(frozen=True, slots=True)
class _Found:
    """Scores of every chunk of a pool for one question."""

    asked: list[int]  # the question's words without stop words
    code: Floats  # BM25 of name, body and path
    told: Floats  # BM25 of the comments
    cosines: Floats


def comment_of(corpus: PairCorpus, chunk: int) -> list[int]:
    """The distinct words of a chunk's comments, in the order in which the served search stores them."""
    words = (corpus.fields[field][chunk].tolist() for field in _COMMENT if field in corpus.fields)
    return list(dict.fromkeys(chain.from_iterable(words)))


def _highest(scores: Floats, count: int) -> Ints:
    """Indices of the highest scores, if above 0."""
    found = np.argpartition(-scores, count)[:count] if len(scores) > count else np.arange(len(scores))
    result: Ints = found[scores[found] > 0]
    return result


def chunk_vectors(corpus: PairCorpus, rows: WordRows, model: EmbedderModel, pool: Ints) -> Floats:
    """Unit vectors of chunks (pool, dimensions), computed as ``kexpert.search.embedder`` does."""
    table, weights = model.table.numpy()[:, :RANKING_DIMENSIONS], model.field_weights.numpy()
    out = np.zeros((len(pool), table.shape[1]), np.float32)
    for at in range(0, len(pool), 2048):
        part = pool[at : at + 2048]
        for weight, column in zip(weights, ("name", "path", "body"), strict=True):
            owner, words = corpus.fields[column].take(part)
            known = rows.of[words]
            key = np.unique(owner[known >= 0] * len(rows) + known[known >= 0])
            owner, known = np.divmod(key, len(rows))
            filled, starts = np.unique(owner, return_index=True)
            if len(filled):
                out[at + filled] += weight * np.add.reduceat(table[known], starts, axis=0)
    vectors: Floats = out / (np.linalg.norm(out, axis=1, keepdims=True) + 1e-6)
    return vectors


def gather(
    retrieval: PoolRetrieval, summaries: Ragged, questions: Ints, report: Callable[[], None] = lambda: None
) -> list[dict[Situation, QuestionCandidates]]:
    """The candidates of each question; ``questions`` are chunks of the pool, asked for by their summaries."""
    index = {int(chunk): at for at, chunk in enumerate(retrieval.pool)}
    gathered = []
    for chunk in questions.tolist():
        answers = retrieval.ask(summaries[chunk], index[chunk], list(Situation))
        gathered.append(dict(zip(Situation, answers, strict=True)))
        report()
    return gathered


def fit(gathered: Iterable[Mapping[Situation, QuestionCandidates]], seed: int = 1) -> dict[str, object]:
    """Train on the questions whose answer is a candidate, in every situation (``_WEIGHTS``). Returns the weights that
    ``kexpert.search.reranker`` reads.

    Raises UserError if there is no such question.
    """
    usable, by_question = [], []
    for by_situation in gathered:
        for situation, each in by_situation.items():
            if each.right >= 0:
                usable.append(each)
                by_question.append(_WEIGHTS[situation])
    if not usable:
        raise UserError("no question found its answer, so no ranker can be trained; give a larger tree")
    rows = np.concatenate([each.rows for each in usable])
    mean, scale = rows.mean(0), rows.std(0) + 1e-3
    del rows
    weights = torch.tensor(by_question)
    torch.manual_seed(seed)
    inner, outer = nn.Linear(len(FEATURES), _HIDDEN), nn.Linear(_HIDDEN, 1, bias=False)
    network = nn.Sequential(inner, nn.ReLU(), outer)
    optimizer = torch.optim.AdamW(network.parameters(), lr=_LR, weight_decay=_WEIGHT_DECAY)
    for epoch in range(_EPOCHS):
        optimizer.param_groups[0]["lr"] = _LR * (1 - epoch / _EPOCHS)
        for part in torch.randperm(len(usable)).split(_BATCH):
            batch = [usable[at] for at in part.tolist()]
            values = [torch.from_numpy((each.rows - mean) / scale) for each in batch]
            scores = network(nn.utils.rnn.pad_sequence(values, batch_first=True)).squeeze(-1)
            lengths = torch.tensor([len(each.rows) for each in batch])
            absent = torch.arange(scores.shape[1])[None] >= lengths[:, None]
            right = torch.tensor([each.right for each in batch])
            losses = F.cross_entropy(scores.masked_fill(absent, -1e9), right, reduction="none")
            loss = (losses * weights[part]).sum() / weights[part].sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        return {
            "features": list(FEATURES), "mean": _numbers(mean), "scale": _numbers(scale),
            "hidden": [_numbers(row) for row in inner.weight.T.numpy()], "bias": _numbers(inner.bias.numpy()),
            "out": _numbers(outer.weight[0].numpy()),
        }  # fmt: skip


def ranks(weights: dict[str, object], questions: Sequence[QuestionCandidates], depth: int) -> list[int]:
    """The rank that trained weights give each question's right answer: from 1; 0 below ``depth`` or not found."""
    mean, scale, hidden, bias, out = (np.array(weights[key]) for key in ("mean", "scale", "hidden", "bias", "out"))
    found = []
    for each in questions:
        scores = np.maximum((each.rows - mean) / scale @ hidden + bias, 0) @ out
        rank = 1 + int((scores > scores[each.right]).sum()) if each.right >= 0 else 0
        found.append(rank if rank <= depth else 0)
    return found


def _numbers(values: Floats) -> list[float]:
    return [round(float(value), 5) for value in values]


def write(weights: dict[str, object], folder: Path) -> None:
    (folder / "ranker.json").write_text(json.dumps(weights) + "\n")
