"""Training examples of the embedder: which words get a vector, chunks and questions as bags of rows, batches.

A row is the number of a word family (``stem``) that has a vector.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kexpert.core.retrieval.words import stem
from kexpert_trainer.data.pairs import PARTS, QUESTIONS, PairCorpus, Ragged

#: Fraction of a batch by kind of question. "name": the words of a function's name ask for its body; "subject": those of
#: its folder and name, as in the subject line of a commit.
MIXTURE = {
    "brief": 0.30, "rest": 0.08, "comment": 0.20, "inner": 0.16, "call": 0.06, "section": 0.02, "name": 0.11,
    "subject": 0.07,
}  # fmt: skip
#: Kinds whose words come from the chunk's own name.
FROM_NAME = ("name", "subject")
_MIN_WORDS = {"brief": 2, "rest": 4, "comment": 3, "inner": 4, "call": 3, "section": 4, "name": 2, "subject": 2}
_FOLDER_GROUP = 16  # chunks of one folder in a batch

#: A batch: the chunks of each kind of question.
Batch = list[tuple[str, NDArray[np.int64]]]


@dataclass(frozen=True, slots=True)
class EmbedderConfig:
    """Decides the result of the embedder's training, but for ``threads``."""

    dimensions: int = 256
    nested: tuple[int, ...] = (128,)  # prefixes of the vector that are trained too (Matryoshka, Kusupati et al. 2022)
    batch: int = 1024
    seed: int = 1
    threads: int = 2
    min_count: int = 8  # occurrences of a word that gets a vector
    vocabulary: int = 60_000  # maximum of vectors


class WordRows:
    """The word families that get a vector: the commonest, in order of decreasing frequency."""

    def __init__(self, corpus: PairCorpus, config: EmbedderConfig) -> None:
        self._corpus = corpus
        counts = np.zeros(len(corpus.words), np.int64)
        for field in corpus.fields.values():
            counts += np.bincount(field.values, minlength=len(corpus.words))
        order = np.argsort(-counts, kind="stable")[: config.vocabulary]
        chosen = order[counts[order] >= config.min_count]
        self.words = [corpus.words[at] for at in chosen]
        self.counts = counts[chosen]
        self.of = np.full(len(corpus.words), -1, np.int64)  # number of a word -> row, -1 for none
        self.of[chosen] = np.arange(len(chosen))

    def __len__(self) -> int:
        return len(self.words)

    def only(self, field: Ragged) -> Ragged:
        """A field in row numbers; words that have no row are left out."""
        rows = self.of[field.values]
        kept = rows >= 0
        before = np.concatenate([[0], np.cumsum(kept)])
        return Ragged(rows[kept].astype(np.int32), before[field.offsets])

    @cached_property
    def chunks(self) -> tuple[Ragged, NDArray[np.uint8]]:
        """The chunks as bags of rows, and for each row of a bag the fields that hold it (bit n: PARTS[n])."""
        return merge([self.only(self._corpus.fields[part]) for part in PARTS], len(self))


@dataclass(slots=True)
class Examples:
    """Chunks and questions as bags of rows."""

    chunk: Ragged
    places: NDArray[np.uint8]  # of each row of ``chunk``, the fields that hold it (bit n: PARTS[n])
    questions: dict[str, Ragged]  # kind -> questions by chunk
    askable: dict[str, NDArray[np.int64]]  # kind -> chunks with a question that is long enough
    folders: dict[str, list[NDArray[np.int64]]]  # kind -> ``askable`` by folder


def examples(corpus: PairCorpus, rows: WordRows, usable: NDArray[np.bool_]) -> Examples:
    """The examples of a corpus; questions that are not from a name only of chunks that are ``usable``."""
    chunk, places = rows.chunks
    names, bodies = (rows.only(corpus.fields[part]) for part in ("name", "body"))
    questions = {kind: rows.only(corpus.fields[kind]) for kind in QUESTIONS if kind in corpus.fields}
    questions["name"] = names
    questions["subject"] = _paired(rows.only(_last_folder(corpus)), names)
    long_bodies = bodies.lengths >= 3
    askable, folders = {}, {}
    folder_of = np.array([path.rpartition("/")[0] for path in corpus.paths], dtype=object)
    for kind, field in questions.items():
        mask = (field.lengths >= _MIN_WORDS[kind]) & long_bodies
        found = np.flatnonzero(mask & (corpus.functions if kind in FROM_NAME else usable))
        if len(found):
            askable[kind], folders[kind] = found, _grouped(found, folder_of)
    return Examples(chunk, places, questions, askable, folders)


def merge(fields: list[Ragged], rows: int) -> tuple[Ragged, NDArray[np.uint8]]:
    """Merge fields: the distinct values of each row, and for each value a bit for every field that holds it.

    ``rows``: an upper bound of the values.
    """
    keys, bits = [], []
    for number, field in enumerate(fields):
        owner = np.repeat(np.arange(len(field)), field.lengths)
        key = np.unique(owner * rows + field.values)
        keys.append(key)
        bits.append(np.full(len(key), 1 << number, np.uint8))
    key, order = np.concatenate(keys), np.argsort(np.concatenate(keys), kind="stable")
    key, bit = key[order], np.concatenate(bits)[order]
    first = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]])) if len(key) else np.zeros(0, np.int64)
    owner = key[first] // rows
    offsets = np.searchsorted(owner, np.arange(len(fields[0]) + 1))
    places = np.bitwise_or.reduceat(bit, first) if len(first) else np.zeros(0, np.uint8)
    return Ragged((key[first] % rows).astype(np.int32), offsets.astype(np.int64)), places


def _last_folder(corpus: PairCorpus) -> Ragged:
    """The words of the last folder of each path; the subject line of a commit begins with them."""
    number = {word: at for at, word in enumerate(corpus.words)}
    known: dict[str, list[int]] = {}
    rows = []
    for path in corpus.paths:
        folder = path.rpartition("/")[0].rpartition("/")[2]
        if folder not in known:
            known[folder] = [number[word] for word in map(stem, folder.split("_")) if word in number]
        rows.append(known[folder])
    return Ragged.of(rows)


def _paired(left: Ragged, right: Ragged) -> Ragged:
    """Concatenate row by row."""
    owner = np.concatenate([np.repeat(np.arange(len(field)), field.lengths) for field in (left, right)])
    values = np.concatenate([left.values, right.values])[np.argsort(owner, kind="stable")]
    return Ragged(values, left.offsets + right.offsets)


def _grouped(chunks: NDArray[np.int64], folder_of: NDArray[np.object_]) -> list[NDArray[np.int64]]:
    """The chunks by folder, without folders of only a few."""
    groups: dict[str, list[int]] = defaultdict(list)
    for chunk in chunks:
        groups[folder_of[chunk]].append(int(chunk))
    return [np.array(group) for group in groups.values() if len(group) >= _FOLDER_GROUP // 2]


def sample_batch(data: Examples, size: int, seed: tuple[int, int]) -> Batch:
    """The chunks of one batch by kind of question: half of them at random, half in groups of one folder."""
    rng = np.random.default_rng(seed)
    batch = []
    total = sum(MIXTURE[kind] for kind in data.askable)
    for kind, found in data.askable.items():
        count = max(2, round(size * MIXTURE[kind] / total))
        picked = [rng.choice(found, min(count // 2, len(found)), replace=False)]
        groups = data.folders[kind]
        chosen = rng.integers(len(groups), size=count // 2 // _FOLDER_GROUP) if groups else ()
        picked += [rng.choice(groups[at], min(_FOLDER_GROUP, len(groups[at])), replace=False) for at in chosen]
        batch.append((kind, np.unique(np.concatenate(picked))))
    return batch
