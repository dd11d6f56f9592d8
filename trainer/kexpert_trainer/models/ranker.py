"""The ranker of search, trained on questions whose answers the embedder has not seen.

Both retrievers (BM25, vectors) are asked a kernel-doc summary. ``kexpert.core.retrieval.ranking_features`` describes
their candidates, and a network of one hidden layer learns to rank the summary's own function first (cross entropy of a
softmax over the candidates, as in ListNet, Cao et al. 2007).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from kexpert.core.retrieval.abbreviations import ABBREVIATION_WEIGHT, candidate_abbreviations
from kexpert.core.retrieval.ranking_features import FEATURES, INLINE, STATIC, CandidateFields, features
from kexpert.core.retrieval.words import STOP_WORDS, stem
from kexpert_trainer.data.pairs import PairCorpus, Ragged
from kexpert_trainer.errors import UserError
from kexpert_trainer.models.embedder import EmbedderModel
from kexpert_trainer.models.embedder_data import WordRows

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

DEPTH = 100  # candidates of each retriever
_COLUMNS = (("name", 8.0), ("body", 1.0), ("path", 2.0))  # with their weights in BM25
_K1, _B = 1.2, 0.75  # of BM25, as in FTS5
_HIDDEN, _EPOCHS, _LR, _WEIGHT_DECAY, _BATCH = 24, 16, 0.01, 1e-3, 64


@dataclass(slots=True)
class QuestionCandidates:
    """The candidates of one question."""

    rows: Floats  # (candidates, features)
    right: int  # index of the right candidate; -1 if no retriever found it


class PoolRetrieval:
    """Answers questions from some chunks of a corpus, as the served search does from its index."""

    def __init__(self, corpus: PairCorpus, rows: WordRows, model: EmbedderModel, pool: Ints) -> None:
        """``pool``: numbers of chunks."""
        self.corpus, self.pool = corpus, pool
        self._index(corpus, pool)
        table = model.table.numpy()
        self._directions = table / (np.linalg.norm(table, axis=1, keepdims=True) + 1e-6)
        self._table, self._row = table, rows.of
        self._question_weights = np.exp(model.question_weights.numpy())
        self._vectors = chunk_vectors(corpus, rows, model, pool)
        stop = {stem(word) for word in STOP_WORDS}
        self._stop = np.array([word in stop for word in corpus.words])
        self._number = {word: at for at, word in enumerate(corpus.words)}

    def _index(self, corpus: PairCorpus, pool: Ints) -> None:
        """Compute the BM25 of every word in every chunk, sorted by word."""
        size = len(corpus.words)
        keys, counts, lengths = [], [], np.zeros(len(pool))
        for column, weight in _COLUMNS:
            owner, words = corpus.fields[column].take(pool)
            key, count = np.unique(words.astype(np.int64) * len(pool) + owner, return_counts=True)
            keys.append(key)
            counts.append(weight * count)
            lengths += np.bincount(owner, minlength=len(pool))
        key, place = np.unique(np.concatenate(keys), return_inverse=True)
        frequency = np.bincount(place, np.concatenate(counts))
        word, owner = np.divmod(key, len(pool))
        found = np.bincount(word, minlength=size)
        idf = np.maximum(np.log((len(pool) - found + 0.5) / (found + 0.5)), 1e-6)
        norm = _K1 * (1 - _B + _B * lengths / lengths.mean())
        self._owner = owner
        self._score = (idf[word] * frequency * (_K1 + 1) / (frequency + norm[owner])).astype(np.float32)
        self._start = np.searchsorted(word, np.arange(size + 1))
        self._idf = np.log1p((len(pool) - found + 0.5) / (found + 0.5)).astype(np.float32)

    def bm25(self, words: Sequence[int]) -> Floats:
        """BM25 of every chunk of the pool; abbreviations of the question's words count as in the served search."""
        scores = np.zeros(len(self.pool), np.float32)
        abbreviations = candidate_abbreviations([self.corpus.words[word] for word in words])
        known = (self._number.get(word, -1) for word in abbreviations)
        weighted = [(word, 1.0) for word in words] + [(word, ABBREVIATION_WEIGHT) for word in known if word >= 0]
        for word, weight in weighted:
            span = slice(self._start[word], self._start[word + 1])
            scores[self._owner[span]] += np.float32(weight) * self._score[span]
        return scores

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
        return np.where(rows[:, None] >= 0, self._directions[rows], np.float32(0)), self._idf[numbers]

    def ask(self, words: NDArray[np.int32], right: int) -> QuestionCandidates:
        """The candidates of a question. ``right``: index of the right chunk in the pool."""
        distinct = list(dict.fromkeys(words.tolist()))
        asked = [word for word in distinct if not self._stop[word]] or distinct
        bm25, cosine = self.bm25(asked), self.cosines(words)
        by_words, by_vector = (np.argpartition(-each, DEPTH)[:DEPTH] if len(each) > DEPTH else np.arange(len(each))
                               for each in (bm25, cosine))  # fmt: skip
        by_words = by_words[bm25[by_words] > 0]
        found = np.union1d(by_words, by_vector)
        inside = set(by_words.tolist())
        entries = [
            self._entry(at, float(bm25[at]) if at in inside else 0.0, float(cosine[at])) for at in found.tolist()
        ]
        rows = features([self.corpus.words[word] for word in asked], entries, self.lexicon)
        place = np.flatnonzero(found == right)
        return QuestionCandidates(rows, int(place[0]) if len(place) else -1)

    def _entry(self, at: int, bm25: float, cosine: float) -> CandidateFields:
        chunk, words = self.pool[at], self.corpus.words
        name, body, path = ([words[word] for word in self.corpus.fields[field][chunk]] for field, _ in _COLUMNS)
        exported, file = bool(self.corpus.exported[chunk]), self.corpus.paths[chunk]
        return CandidateFields(name, body, path, (), bm25, cosine, exported, file, STATIC in body, INLINE in body)


def chunk_vectors(corpus: PairCorpus, rows: WordRows, model: EmbedderModel, pool: Ints) -> Floats:
    """Unit vectors of chunks (pool, dimensions), computed as ``kexpert.search.embedder`` does."""
    table, weights = model.table.numpy(), model.field_weights.numpy()
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
) -> list[QuestionCandidates]:
    """The candidates of each question; ``questions`` are chunks of the pool, asked for by their summaries."""
    index = {int(chunk): at for at, chunk in enumerate(retrieval.pool)}
    gathered = []
    for chunk in questions.tolist():
        gathered.append(retrieval.ask(summaries[chunk], index[chunk]))
        report()
    return gathered


def fit(questions: Sequence[QuestionCandidates], seed: int = 1) -> dict[str, object]:
    """Train on the questions whose answer is a candidate. Returns the weights that ``kexpert.search.reranker`` reads.

    Raises UserError if there is no such question.
    """
    usable = [each for each in questions if each.right >= 0]
    if not usable:
        raise UserError("no question found its answer, so no ranker can be trained; give a larger tree")
    rows = np.concatenate([each.rows for each in usable])
    mean, scale = rows.mean(0), rows.std(0) + 1e-3
    width = max(len(each.rows) for each in usable)
    values = torch.zeros(len(usable), width, len(FEATURES))
    present = torch.zeros(len(usable), width, dtype=torch.bool)
    for at, each in enumerate(usable):
        values[at, : len(each.rows)] = torch.from_numpy((each.rows - mean) / scale)
        present[at, : len(each.rows)] = True
    right = torch.tensor([each.right for each in usable])
    torch.manual_seed(seed)
    inner, outer = nn.Linear(len(FEATURES), _HIDDEN), nn.Linear(_HIDDEN, 1, bias=False)
    network = nn.Sequential(inner, nn.ReLU(), outer)
    optimizer = torch.optim.AdamW(network.parameters(), lr=_LR, weight_decay=_WEIGHT_DECAY)
    for epoch in range(_EPOCHS):
        optimizer.param_groups[0]["lr"] = _LR * (1 - epoch / _EPOCHS)
        for part in torch.randperm(len(usable)).split(_BATCH):
            scores = network(values[part]).squeeze(-1).masked_fill(~present[part], -1e9)
            loss = F.cross_entropy(scores, right[part])
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
