"""The ranking of search by meaning, learnt from questions whose answers the embedding never saw.

Both retrievers are asked a brief; what they return is described by ``kexpert.core.retrieval.ranking_features`` and a
small network learns to put the brief's own function first (softmax over the candidates).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kexpert.core.retrieval.abbreviations import ABBREVIATION_WEIGHT, candidate_abbreviations
from kexpert.core.retrieval.ranking_features import FEATURES, INLINE, STATIC, CandidateFields, features
from kexpert.core.retrieval.words import STOP_WORDS, stem
from kexpert_trainer.data.pairs import Corpus, Ragged
from kexpert_trainer.evaluation.metrics import Figures, of_places
from kexpert_trainer.models.embedder import Model, Rows

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

DEPTH = 100  # candidates of each retriever
_COLUMNS = (("name", 8.0), ("body", 1.0), ("path", 2.0))
_K1, _B = 1.2, 0.75  # FTS5's
_SHOWN = 10  # answers that count
_HIDDEN, _EPOCHS, _RATE, _DECAY = 24, 16, 0.01, 1e-3


@dataclass(slots=True)
class Asked:
    """One question's candidates: their features, and which of them is right (-1: not among them)."""

    rows: Floats
    right: int


class Retrieval:
    """Some chunks of a corpus, asked the way that search asks its index."""

    def __init__(self, corpus: Corpus, rows: Rows, model: Model, pool: Ints) -> None:
        self.corpus, self.pool = corpus, pool
        self._index(corpus, pool)
        table = model.table.numpy()
        self._directions = table / (np.linalg.norm(table, axis=1, keepdims=True) + 1e-6)
        self._table, self._asked, self._row = table, np.exp(model.asked.numpy()), rows.of
        self._vectors = chunk_vectors(corpus, rows, model, pool)
        stop = {stem(word) for word in STOP_WORDS}
        self._stop = np.array([word in stop for word in corpus.words])
        number = {word: at for at, word in enumerate(corpus.words)}
        self._number = number

    def _index(self, corpus: Corpus, pool: Ints) -> None:
        """BM25 of every word in every chunk, sorted by word."""
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
        self.worth = np.log1p((len(pool) - found + 0.5) / (found + 0.5)).astype(np.float32)

    def lexical(self, words: Sequence[int]) -> Floats:
        """BM25 of every chunk, abbreviations of the question's words counted as search counts them."""
        scores = np.zeros(len(self.pool), np.float32)
        joined = candidate_abbreviations([self.corpus.words[word] for word in words])
        known = (self._number.get(word, -1) for word in joined)
        weighted = [(word, 1.0) for word in words] + [(word, ABBREVIATION_WEIGHT) for word in known if word >= 0]
        for word, weight in weighted:
            span = slice(self._start[word], self._start[word + 1])
            scores[self._owner[span]] += np.float32(weight) * self._score[span]
        return scores

    def cosines(self, words: NDArray[np.int32]) -> Floats:
        rows = self._row[words]
        rows = rows[rows >= 0]
        question = self._asked[rows] @ self._table[rows]
        result: Floats = self._vectors @ (question / (np.linalg.norm(question) + 1e-6)).astype(np.float32)
        return result

    def lexicon(self, words: Sequence[str]) -> tuple[Floats, Floats]:
        numbers = np.array([self._number[word] for word in words], np.int64)
        rows = self._row[numbers]
        return np.where(rows[:, None] >= 0, self._directions[rows], np.float32(0)), self.worth[numbers]

    def ask(self, words: NDArray[np.int32], truth: int) -> Asked:
        """``truth``: the right chunk's place in the pool."""
        distinct = list(dict.fromkeys(words.tolist()))
        asked = [word for word in distinct if not self._stop[word]] or distinct
        lexical, cosine = self.lexical(asked), self.cosines(words)
        by_words, by_vector = (np.argpartition(-each, DEPTH)[:DEPTH] if len(each) > DEPTH else np.arange(len(each))
                               for each in (lexical, cosine))  # fmt: skip
        by_words = by_words[lexical[by_words] > 0]
        found = np.union1d(by_words, by_vector)
        inside = set(by_words.tolist())
        entries = [
            self._entry(at, float(lexical[at]) if at in inside else 0.0, float(cosine[at])) for at in found.tolist()
        ]
        rows = features([self.corpus.words[word] for word in asked], entries, self.lexicon)
        place = np.flatnonzero(found == truth)
        return Asked(rows, int(place[0]) if len(place) else -1)

    def _entry(self, at: int, lexical: float, cosine: float) -> CandidateFields:
        chunk, words = self.pool[at], self.corpus.words
        name, body, path = ([words[word] for word in self.corpus.fields[field][chunk]] for field, _ in _COLUMNS)
        exported, file = bool(self.corpus.exported[chunk]), self.corpus.paths[chunk]
        return CandidateFields(name, body, path, (), lexical, cosine, exported, file, STATIC in body, INLINE in body)


def chunk_vectors(corpus: Corpus, rows: Rows, model: Model, pool: Ints) -> Floats:
    """Unit vectors of chunks, as ``kexpert.search.embedder`` makes them."""
    table, weights = model.table.numpy(), model.fields.numpy()
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
    return out / (np.linalg.norm(out, axis=1, keepdims=True) + 1e-6)


def gather(
    retrieval: Retrieval, briefs: Ragged, questions: Ints, shown: Callable[[], None] = lambda: None
) -> list[Asked]:
    """``questions`` are chunks of the pool; each is asked by its brief."""
    place = {int(chunk): at for at, chunk in enumerate(retrieval.pool)}
    found = []
    for chunk in questions.tolist():
        found.append(retrieval.ask(briefs[chunk], place[chunk]))
        shown()
    return found


def fit(asked: Sequence[Asked], seed: int = 1) -> dict[str, object]:
    """Learn from the questions whose answer was found; what ``kexpert.search.reranker`` reads."""
    import torch

    usable = [each for each in asked if each.right >= 0]
    if not usable:
        raise ValueError("no question found its answer: nothing to learn a ranking from")
    rows = np.concatenate([each.rows for each in usable])
    mean, scale = rows.mean(0), rows.std(0) + 1e-3
    most = max(len(each.rows) for each in usable)
    values = torch.zeros(len(usable), most, len(FEATURES))
    there = torch.zeros(len(usable), most, dtype=torch.bool)
    for at, each in enumerate(usable):
        values[at, : len(each.rows)] = torch.from_numpy((each.rows - mean) / scale)
        there[at, : len(each.rows)] = True
    right = torch.tensor([each.right for each in usable])
    torch.manual_seed(seed)
    inner, outer = torch.nn.Linear(len(FEATURES), _HIDDEN), torch.nn.Linear(_HIDDEN, 1, bias=False)
    network = torch.nn.Sequential(inner, torch.nn.ReLU(), outer)
    optimizer = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=_DECAY)
    for epoch in range(_EPOCHS):
        optimizer.param_groups[0]["lr"] = _RATE * (1 - epoch / _EPOCHS)
        for part in torch.randperm(len(usable)).split(64):
            scores = network(values[part]).squeeze(-1).masked_fill(~there[part], -1e9)
            loss = torch.nn.functional.cross_entropy(scores, right[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        return {
            "features": list(FEATURES), "mean": _numbers(mean), "scale": _numbers(scale),
            "hidden": [_numbers(row) for row in inner.weight.T.numpy()], "bias": _numbers(inner.bias.numpy()),
            "out": _numbers(outer.weight[0].numpy()),
        }  # fmt: skip


def measured(learnt: dict[str, object], asked: Sequence[Asked]) -> Figures:
    """How well a ranking that was learnt orders the candidates of other questions."""
    mean, scale, hidden, bias, out = (np.array(learnt[key]) for key in ("mean", "scale", "hidden", "bias", "out"))
    places = []
    for each in asked:
        scores = np.maximum((each.rows - mean) / scale @ hidden + bias, 0) @ out
        place = 1 + int((scores > scores[each.right]).sum()) if each.right >= 0 else 0
        places.append(place if place <= _SHOWN else 0)
    return of_places(places)


def _numbers(values: Floats) -> list[float]:
    return [round(float(value), 5) for value in values]


def write(learnt: dict[str, object], folder: Path) -> None:
    (folder / "ranker.json").write_text(json.dumps(learnt) + "\n")
