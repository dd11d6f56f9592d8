"""The static embedder of search and its training: the command ``kexpert-train embedder``.

One vector for each word family. A chunk is the sum of its words' vectors, weighted by the field they are in; a question
is the sum of its words' vectors, each with a learnt weight. Both are scaled to unit length. The loss is InfoNCE in both
directions over the chunks of a batch (van den Oord et al. 2018), at several lengths of the vector (Matryoshka). Half of
every batch comes from a few folders, because chunks that are hard to tell apart are in one folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from kexpert_trainer.data.pairs import PARTS, PairCorpus, Ragged
from kexpert_trainer.errors import UserError
from kexpert_trainer.models.embedder_data import (
    FROM_NAME,
    Batch,
    EmbedderConfig,
    Examples,
    WordRows,
    examples,
    sample_batch,
)

Floats = NDArray[np.float32]

#: Fractions of words hidden from a batch, of questions and of chunks by PARTS: a question is seen dozens of times, and
#: a few rare words would identify its function.
_QUESTION_DROPOUT, _CHUNK_DROPOUT = 0.2, (0.2, 0.2, 0.4)
_SAVE_STEPS = 200
_PARAMETERS = ("table", "question_weights", "field_weights", "log_scale")


class EmbedderModel:
    """The learnt parameters, and one step of their training.

    ``table`` (rows, dimensions); ``question_weights`` (rows,), logarithms; ``field_weights`` (3,), by PARTS;
    ``log_scale``, the logarithm of the loss's inverse temperature. All float32.
    """

    def __init__(self, rows: WordRows, config: EmbedderConfig) -> None:
        torch.set_num_threads(config.threads)
        self.config = config
        generator = torch.Generator().manual_seed(config.seed)
        rarity = np.log1p(rows.counts.sum() / (rows.counts + 1.0))
        scale = torch.tensor(rarity / rarity.mean(), dtype=torch.float32)
        self.table = torch.randn(len(rows), config.dimensions, generator=generator) * 0.1 * scale[:, None]
        self.question_weights = torch.zeros(len(rows))
        self.field_weights = torch.tensor([1.5, 0.5, 0.5])
        self.log_scale = torch.tensor(np.log(16.0), dtype=torch.float32)
        #: Sums of squared gradients, for Adagrad.
        self.squares = {name: torch.zeros(len(rows)) for name in ("table", "question_weights")}
        self.squares["field_weights"] = torch.zeros(3)

    def step(self, data: Examples, batch: Batch, lr: float, number: int) -> float:
        """Train on one batch; returns its loss. ``number`` of the step seeds the dropout."""
        rng = np.random.default_rng((self.config.seed, number, 1))
        chunk_rows = np.concatenate([chunks for _, chunks in batch])
        owner, words, fields = _chunk_bags(data, batch, chunk_rows, rng)
        asked_owner, asked_words = _question_bags(data, batch, rng)
        used = np.zeros(len(self.question_weights), bool)
        used[words] = used[asked_words] = True
        local = np.cumsum(used) - 1
        at = torch.from_numpy(np.flatnonzero(used))
        table = self.table[at].requires_grad_()
        question_weights = self.question_weights[at].requires_grad_()
        field_weights = self.field_weights.clone().requires_grad_()
        log_scale = self.log_scale.clone().requires_grad_()

        size = len(chunk_rows)
        local_asked = torch.from_numpy(local[asked_words])
        questions = _bags(table, local_asked, question_weights.exp()[local_asked], asked_owner, size)
        weights = torch.from_numpy(fields) @ field_weights
        chunks = _bags(table, torch.from_numpy(local[words]), weights, owner, size)
        repeated = torch.from_numpy((chunk_rows[:, None] == chunk_rows[None]) & ~np.eye(size, dtype=bool))
        loss = self._loss(questions, chunks, repeated, log_scale.exp())
        loss.backward()
        with torch.no_grad():
            self._adagrad("table", at, _gradient(table), lr)
            self._adagrad("question_weights", at, _gradient(question_weights), lr)
            self._adagrad("field_weights", slice(None), _gradient(field_weights), 0.4 * lr)
            self.log_scale -= 0.2 * lr * _gradient(log_scale).clamp(-1, 1)
        return float(loss.detach())

    def _loss(self, questions: Tensor, chunks: Tensor, repeated: Tensor, scale: Tensor) -> Tensor:
        """InfoNCE. ``questions`` and ``chunks`` (N, dimensions); ``repeated`` (N, N): the same chunk again, ignored."""
        target = torch.arange(len(questions))
        total = torch.zeros(())
        for length in (self.config.dimensions, *self.config.nested):
            left, right = (_unit(side[:, :length]) for side in (questions, chunks))
            scores = (scale * left @ right.T).masked_fill(repeated, -1e4)
            both = F.cross_entropy(scores, target)
            both = both + 0.3 * F.cross_entropy(scores.T, target)
            total = total + both * (1.0 if length == self.config.dimensions else 0.4)
        return total

    def _adagrad(self, name: str, at: Tensor | slice, gradient: Tensor, lr: float) -> None:
        """Adagrad (Duchi et al. 2011) with one step size for each row."""
        values: Tensor = getattr(self, name)
        sums = self.squares[name]
        squares = gradient.square()
        sums[at] += squares.mean(1) if squares.dim() == 2 else squares
        step = lr / (sums[at].sqrt() + 1e-8)
        values[at] -= gradient * (step[:, None] if squares.dim() == 2 else step)


def _bags(table: Tensor, words: Tensor, weights: Tensor, owner: NDArray[np.int64], size: int) -> Tensor:
    """(size, dimensions): weighted sums of the vectors of each owner's words; ``owner`` ascends."""
    starts = torch.from_numpy(np.searchsorted(owner, np.arange(size)))
    bags: Tensor = F.embedding_bag(words, table, starts, mode="sum", per_sample_weights=weights)
    return bags


def _unit(vectors: Tensor) -> Tensor:
    norm: Tensor = vectors.norm(dim=1, keepdim=True)
    return vectors / (norm + 1e-6)


def _gradient(tensor: Tensor) -> Tensor:
    assert tensor.grad is not None
    return tensor.grad


def _chunk_bags(
    data: Examples, batch: Batch, chunk_rows: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """(owner, row, fields) of the words of the batch's chunks, without those that dropout hides.

    Words of the name are left out where the question was made from the name.
    """
    owner, words = data.chunk.take(chunk_rows)
    _, places = Ragged(data.places.astype(np.int32), data.chunk.offsets).take(chunk_rows)
    from_name = np.concatenate([np.full(len(chunks), kind in FROM_NAME) for kind, chunks in batch])
    places = np.where(from_name[owner] & (places & 1 > 0), 0, places)
    fields = np.stack([(places >> bit) & 1 for bit in range(len(PARTS))], axis=1).astype(np.float32)
    fields *= rng.random(fields.shape, np.float32) >= np.array(_CHUNK_DROPOUT, np.float32)
    kept = fields.any(axis=1)
    return owner[kept], words[kept].astype(np.int64), fields[kept]


def _question_bags(
    data: Examples, batch: Batch, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(owner, row) of the words of the batch's questions, without those that dropout hides."""
    owners, words, before = [], [], 0
    for kind, chunks in batch:
        owner, found = data.questions[kind].take(chunks)
        owners.append(owner + before)
        words.append(found.astype(np.int64))
        before += len(chunks)
    owner, word = np.concatenate(owners), np.concatenate(words)
    kept = rng.random(len(owner)) >= _QUESTION_DROPOUT
    return owner[kept], word[kept]


@dataclass(frozen=True, slots=True)
class LinearDecay:
    """Steps ``first`` to ``last``; the learning rate falls linearly from ``lr`` to a fiftieth of it."""

    first: int
    last: int
    lr: float

    def lr_at(self, step: int) -> float:
        return self.lr * max(1 - (step - self.first) / (self.last - self.first), 0.02)


def train(
    corpus: PairCorpus,
    rows: WordRows,
    model: EmbedderModel,
    schedule: LinearDecay,
    usable: NDArray[np.bool_],
    report: Callable[[int, int, str], None] = lambda done, total, message: None,
    checkpoint: EmbedderCheckpoint | None = None,
) -> None:
    """Train on the questions of the chunks that are ``usable``, from the step of ``checkpoint`` on.

    ``report(done, total, message)`` counts steps. Raises UserError if the corpus has no examples.
    """
    step = checkpoint.load(model) if checkpoint else 0
    if step >= schedule.last:
        return
    data = examples(corpus, rows, usable)
    if not data.askable:
        raise UserError("nothing in this tree is both commented and long enough to learn from; give a kernel tree")
    smooth = 0.0
    for at in range(max(step, schedule.first), schedule.last):
        batch = sample_batch(data, model.config.batch, (model.config.seed, at))
        loss = model.step(data, batch, schedule.lr_at(at), at)
        smooth = 0.98 * smooth + 0.02 * loss if smooth else loss
        report(at + 1 - schedule.first, schedule.last - schedule.first, f"loss {smooth:.3f}")
        if checkpoint and ((at + 1) % _SAVE_STEPS == 0 or at + 1 == schedule.last):
            checkpoint.save(model, at + 1)


class EmbedderCheckpoint:
    """The state of the training on disk, so that a stopped run continues."""

    def __init__(self, path: Path, rows: WordRows, config: EmbedderConfig) -> None:
        key = json.dumps([asdict(config) | {"threads": 0}, rows.words])
        self.path, self.digest = path, hashlib.blake2b(key.encode(), digest_size=8).hexdigest()

    def load(self, model: EmbedderModel) -> int:
        """Restore the model and return the number of steps done; 0 without a checkpoint of this training."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self.path, "pt") as file:
                meta = file.metadata() or {}
                if meta.get("digest") != self.digest:
                    return 0
                for name in _PARAMETERS:
                    setattr(model, name, file.get_tensor(name))
                for name in model.squares:
                    model.squares[name] = file.get_tensor(f"squares.{name}")
                return int(meta["step"])
        except (OSError, SafetensorError):
            return 0

    def save(self, model: EmbedderModel, step: int) -> None:
        """Replace the checkpoint in one step."""
        from safetensors.torch import save_file

        tensors = {name: getattr(model, name) for name in _PARAMETERS}
        tensors |= {f"squares.{name}": tensor for name, tensor in model.squares.items()}
        part = self.path.with_suffix(".part")
        save_file(tensors, part, metadata={"digest": self.digest, "step": str(step)})
        part.replace(self.path)
