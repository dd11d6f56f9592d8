"""The static embedding of search by meaning, made from a tree: ``kexpert-train embedder``.

One vector a word family. A chunk is the sum of its words, weighted by where they stand; a question
is the sum of its words, each with a weight of its own. Both are scaled to unit length and trained
so that a question's nearest chunk among the thousand of its batch is the one it was taken from
(InfoNCE both ways, at several lengths of the vector: its first so many numbers are a vector too).
Half of every batch comes from a few folders, because what is hard to tell apart lies in one folder.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kexpert.core.retrieval.words import stem
from kexpert_trainer.data.pairs import PARTS, QUESTIONS, Corpus, Ragged

Floats = NDArray[np.float32]

#: How a batch is made up. "name" asks for a body by the words of its name, "subject" by the file's
#: and the name's, as the subject line of a commit does.
MIXTURE = {
    "brief": 0.30, "rest": 0.08, "comment": 0.20, "inner": 0.16, "call": 0.06, "section": 0.02, "name": 0.11,
    "subject": 0.07,
}  # fmt: skip
#: The share of words that a batch does not see, of questions and of chunks by PARTS: a brief is met
#: dozens of times, and would else be known by heart from a few rare words of its function.
_UNSEEN_ASKED, _UNSEEN = 0.2, (0.2, 0.2, 0.4)
_LEAST_WORDS = {"brief": 2, "rest": 4, "comment": 3, "inner": 4, "call": 3, "section": 4, "name": 2, "subject": 2}
_FROM_NAME = ("name", "subject")
_FOLDER_GROUP = 16  # chunks of one folder that stand together in a batch
_SAVED = 200  # steps between checkpoints
_LEARNT = ("table", "asked", "fields", "sharpness")


@dataclass(frozen=True, slots=True)
class Settings:
    dimensions: int = 256
    nested: tuple[int, ...] = (128,)  # shorter vectors that must do as well
    batch: int = 1024
    seed: int = 1
    threads: int = 2
    least: int = 8  # occurrences of a word that gets a vector
    vocabulary: int = 60_000  # vectors at most
    spellings: int = 160_000  # words that lead to one at most


class Rows:
    """Which words get a vector: families by ``stem``, the frequent ones."""

    def __init__(self, corpus: Corpus, settings: Settings) -> None:
        self._corpus = corpus
        counts = np.zeros(len(corpus.words), np.int64)
        for field in corpus.fields.values():
            counts += np.bincount(field.values, minlength=len(corpus.words))
        order = np.argsort(-counts, kind="stable")[: settings.vocabulary]
        chosen = order[counts[order] >= settings.least]
        self.words = [corpus.words[at] for at in chosen]
        self.counts = counts[chosen]
        self.of = np.full(len(corpus.words), -1, np.int64)
        self.of[chosen] = np.arange(len(chosen))

    def __len__(self) -> int:
        return len(self.words)

    def only(self, field: Ragged) -> Ragged:
        """A field in row numbers, words without one left out."""
        rows = self.of[field.values]
        kept = rows >= 0
        before = np.concatenate([[0], np.cumsum(kept)])
        return Ragged(rows[kept].astype(np.int32), before[field.offsets])

    @cached_property
    def chunks(self) -> tuple[Ragged, NDArray[np.uint8]]:
        """The corpus' chunks as bags of rows, and the fields that hold each (bit n: PARTS[n])."""
        return merged([self.only(self._corpus.fields[part]) for part in PARTS], len(self))


@dataclass(slots=True)
class Examples:
    """Chunks as bags of rows with the fields that hold each (bit n: PARTS[n]), and questions as bags."""

    chunk: Ragged
    places: NDArray[np.uint8]
    questions: dict[str, Ragged]
    askable: dict[str, NDArray[np.int64]]
    folders: dict[str, list[NDArray[np.int64]]]


def examples(corpus: Corpus, rows: Rows, usable: NDArray[np.bool_]) -> Examples:
    chunk, places = rows.chunks
    names, bodies = (rows.only(corpus.fields[part]) for part in ("name", "body"))
    questions = {kind: rows.only(corpus.fields[kind]) for kind in QUESTIONS if kind in corpus.fields}
    questions["name"] = names
    questions["subject"] = _paired(rows.only(_last_folder(corpus)), names)
    enough = bodies.lengths >= 3
    askable, folders = {}, {}
    where = np.array([path.rpartition("/")[0] for path in corpus.paths], dtype=object)
    for kind, field in questions.items():
        mask = (field.lengths >= _LEAST_WORDS[kind]) & enough
        found = np.flatnonzero(mask & (corpus.functions if kind in _FROM_NAME else usable))
        if len(found):
            askable[kind], folders[kind] = found, _grouped(found, where)
    return Examples(chunk, places, questions, askable, folders)


def merged(fields: list[Ragged], rows: int) -> tuple[Ragged, NDArray[np.uint8]]:
    """All words of a chunk, each once, with a bit for every field that holds it."""
    keys, bits = [], []
    for bit, field in enumerate(fields):
        owner = np.repeat(np.arange(len(field)), field.lengths)
        key = np.unique(owner * rows + field.values)
        keys.append(key)
        bits.append(np.full(len(key), 1 << bit, np.uint8))
    key, order = np.concatenate(keys), np.argsort(np.concatenate(keys), kind="stable")
    key, bit = key[order], np.concatenate(bits)[order]
    first = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]])) if len(key) else np.zeros(0, np.int64)
    owner = key[first] // rows
    offsets = np.searchsorted(owner, np.arange(len(fields[0]) + 1))
    places = np.bitwise_or.reduceat(bit, first) if len(first) else np.zeros(0, np.uint8)
    return Ragged((key[first] % rows).astype(np.int32), offsets.astype(np.int64)), places


def _last_folder(corpus: Corpus) -> Ragged:
    """The words of the last part of each path: what a commit's subject begins with."""
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
    """Row by row one behind the other."""
    owner = np.concatenate([np.repeat(np.arange(len(field)), field.lengths) for field in (left, right)])
    values = np.concatenate([left.values, right.values])[np.argsort(owner, kind="stable")]
    return Ragged(values, left.offsets + right.offsets)


def _grouped(found: NDArray[np.int64], where: NDArray[np.object_]) -> list[NDArray[np.int64]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for row in found:
        groups[where[row]].append(int(row))
    return [np.array(group) for group in groups.values() if len(group) >= _FOLDER_GROUP // 2]


def batch_rows(data: Examples, size: int, seed: tuple[int, int]) -> list[tuple[str, NDArray[np.int64]]]:
    """The chunks of one batch by kind of question: half of them at random, half in groups of a folder."""
    rng = np.random.default_rng(seed)
    made = []
    total = sum(MIXTURE[kind] for kind in data.askable)
    for kind, found in data.askable.items():
        count = max(2, round(size * MIXTURE[kind] / total))
        picked = [rng.choice(found, min(count // 2, len(found)), replace=False)]
        groups = data.folders[kind]
        chosen = rng.integers(len(groups), size=count // 2 // _FOLDER_GROUP) if groups else ()
        picked += [rng.choice(groups[at], min(_FOLDER_GROUP, len(groups[at])), replace=False) for at in chosen]
        made.append((kind, np.unique(np.concatenate(picked))))
    return made


class Model:
    """The numbers that are learnt, and how a batch changes them."""

    def __init__(self, rows: Rows, settings: Settings) -> None:
        import torch

        torch.set_num_threads(settings.threads)
        self.torch, self.settings = torch, settings
        generator = torch.Generator().manual_seed(settings.seed)
        rarity = np.log1p(rows.counts.sum() / (rows.counts + 1.0))
        scale = torch.tensor(rarity / rarity.mean(), dtype=torch.float32)
        self.table = torch.randn(len(rows), settings.dimensions, generator=generator) * 0.1 * scale[:, None]
        self.asked = torch.zeros(len(rows))  # logarithm of a word's weight in a question
        self.fields = torch.tensor([1.5, 0.5, 0.5])  # PARTS
        self.sharpness = torch.tensor(np.log(16.0), dtype=torch.float32)
        self.seen = {name: torch.zeros(len(rows)) for name in ("table", "asked")}
        self.seen["fields"] = torch.zeros(3)

    def learn(self, data: Examples, picked: list[tuple[str, NDArray[np.int64]]], rate: float, step: int) -> float:
        """One step on one batch; returns its loss."""
        torch = self.torch
        rng = np.random.default_rng((self.settings.seed, step, 1))
        chunk_rows = np.concatenate([chunks for _, chunks in picked])
        owner, words, fields = _chunk_bags(data, picked, chunk_rows, rng)
        asked_owner, asked_words = _asked_bags(data, picked, rng)
        used = np.zeros(len(self.asked), bool)
        used[words] = used[asked_words] = True
        local = np.cumsum(used) - 1
        at = torch.from_numpy(np.flatnonzero(used))
        table = self.table[at].requires_grad_()
        asked = self.asked[at].requires_grad_()
        weights = self.fields.clone().requires_grad_()
        sharpness = self.sharpness.clone().requires_grad_()

        size = len(chunk_rows)
        local_asked = torch.from_numpy(local[asked_words])
        questions = self._bags(table, local_asked, asked.exp()[local_asked], asked_owner, size)
        chunks = self._bags(table, torch.from_numpy(local[words]), torch.from_numpy(fields) @ weights, owner, size)
        repeated = torch.from_numpy((chunk_rows[:, None] == chunk_rows[None]) & ~np.eye(size, dtype=bool))
        loss = self._loss(questions, chunks, repeated, sharpness.exp())
        loss.backward()
        with torch.no_grad():
            self._adapt("table", at, table.grad, rate)
            self._adapt("asked", at, asked.grad, rate)
            self._adapt("fields", slice(None), weights.grad, 0.4 * rate)
            self.sharpness -= 0.2 * rate * sharpness.grad.clamp(-1, 1)
        return float(loss.detach())

    def _bags(self, table, words, weights, owner, size):  # type: ignore[no-untyped-def]
        starts = self.torch.from_numpy(np.searchsorted(owner, np.arange(size)))
        bag = self.torch.nn.functional.embedding_bag
        return bag(words, table, starts, mode="sum", per_sample_weights=weights)

    def _loss(self, questions, chunks, repeated, sharpness):  # type: ignore[no-untyped-def]
        torch = self.torch
        target = torch.arange(len(questions))
        total = torch.zeros(())
        for length in (self.settings.dimensions, *self.settings.nested):
            left, right = (_unit(side[:, :length]) for side in (questions, chunks))
            scores = (sharpness * left @ right.T).masked_fill(repeated, -1e4)
            both = torch.nn.functional.cross_entropy(scores, target)
            both = both + 0.3 * torch.nn.functional.cross_entropy(scores.T, target)
            total = total + both * (1.0 if length == self.settings.dimensions else 0.4)
        return total

    def _adapt(self, name, at, gradient, rate):  # type: ignore[no-untyped-def]
        """Adagrad, with one step size a row."""
        values, seen = getattr(self, name), self.seen[name]
        squares = gradient.square()
        seen[at] += squares.mean(1) if squares.dim() == 2 else squares
        step = rate / (seen[at].sqrt() + 1e-8)
        values[at] -= gradient * (step[:, None] if squares.dim() == 2 else step)


def _unit(vectors):  # type: ignore[no-untyped-def]
    return vectors / (vectors.norm(dim=1, keepdim=True) + 1e-6)


def _chunk_bags(
    data: Examples, picked: list[tuple[str, NDArray[np.int64]]], chunk_rows: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Words of the batch's chunks with the fields where each is seen; one whose name is the question is
    seen without its name's words."""
    owner, words = data.chunk.take(chunk_rows)
    _, places = Ragged(data.places.astype(np.int32), data.chunk.offsets).take(chunk_rows)
    from_name = np.concatenate([np.full(len(chunks), kind in _FROM_NAME) for kind, chunks in picked])
    places = np.where(from_name[owner] & (places & 1 > 0), 0, places)
    fields = np.stack([(places >> bit) & 1 for bit in range(len(PARTS))], axis=1).astype(np.float32)
    fields *= rng.random(fields.shape, np.float32) >= np.array(_UNSEEN, np.float32)
    seen = fields.any(axis=1)
    return owner[seen], words[seen].astype(np.int64), fields[seen]


def _asked_bags(
    data: Examples, picked: list[tuple[str, NDArray[np.int64]]], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    owners, words, before = [], [], 0
    for kind, chunks in picked:
        owner, found = data.questions[kind].take(chunks)
        owners.append(owner + before)
        words.append(found.astype(np.int64))
        before += len(chunks)
    owner, word = np.concatenate(owners), np.concatenate(words)
    seen = rng.random(len(owner)) >= _UNSEEN_ASKED
    return owner[seen], word[seen]


@dataclass(frozen=True, slots=True)
class Stage:
    """Steps ``first`` to ``last``; the rate falls from ``rate`` to nearly nothing over them."""

    first: int
    last: int
    rate: float

    def rate_at(self, step: int) -> float:
        return self.rate * max(1 - (step - self.first) / (self.last - self.first), 0.02)


def train(
    corpus: Corpus,
    rows: Rows,
    model: Model,
    stage: Stage,
    usable: NDArray[np.bool_],
    shown: Callable[[int, int, str], None] = lambda done, total, message: None,
    checkpoint: Checkpoint | None = None,
) -> None:
    """Learn from the questions of the chunks that are ``usable``; goes on from where ``checkpoint`` says."""
    step = checkpoint.load(model) if checkpoint else 0
    if step >= stage.last:
        return
    data = examples(corpus, rows, usable)
    if not data.askable:
        raise ValueError("nothing in this tree is both commented and long enough to learn from")
    smooth = 0.0
    for at in range(max(step, stage.first), stage.last):
        picked = batch_rows(data, model.settings.batch, (model.settings.seed, at))
        loss = model.learn(data, picked, stage.rate_at(at), at)
        smooth = 0.98 * smooth + 0.02 * loss if smooth else loss
        shown(at + 1 - stage.first, stage.last - stage.first, f"loss {smooth:.3f}")
        if checkpoint and ((at + 1) % _SAVED == 0 or at + 1 == stage.last):
            checkpoint.save(model, at + 1)


class Checkpoint:
    """What training has come to, on disk, so that a run that was stopped goes on."""

    def __init__(self, path: Path, rows: Rows, settings: Settings) -> None:
        said = json.dumps([asdict(settings) | {"threads": 0}, rows.words])
        self.path, self.digest = path, hashlib.blake2b(said.encode(), digest_size=8).hexdigest()

    def load(self, model: Model) -> int:
        """The step that was reached; 0 when there is no checkpoint of this training."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self.path, "pt") as file:
                meta = file.metadata() or {}
                if meta.get("digest") != self.digest:
                    return 0
                for name in _LEARNT:
                    setattr(model, name, file.get_tensor(name))
                for name in model.seen:
                    model.seen[name] = file.get_tensor(f"seen.{name}")
                return int(meta["step"])
        except (OSError, SafetensorError):
            return 0

    def save(self, model: Model, step: int) -> None:
        from safetensors.torch import save_file

        tensors = {name: getattr(model, name) for name in _LEARNT}
        tensors |= {f"seen.{name}": tensor for name, tensor in model.seen.items()}
        part = self.path.with_suffix(".part")
        save_file(tensors, part, metadata={"digest": self.digest, "step": str(step)})
        part.replace(self.path)
