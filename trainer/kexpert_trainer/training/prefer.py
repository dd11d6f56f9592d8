"""Preference training of an adapter on right and wrong answers: the command ``kexpert-train prefer``.

Direct preference optimisation (Rafailov et al. 2023, arXiv:2305.18290): of two answers the right one shall become more
probable relative to a reference, which is the adapter before the run. The loss of fine-tuning on the right answer is
added; without it, both answers of a small model become less probable.

The loop is that of ``sft``, not TRL's: batches, float32 masters, exact resuming and the checkpoint's format are shared,
prompts are never cut, and the reference's log-probabilities are computed once.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from kexpert.prompt.chat import Task
from kexpert_trainer.data.chat_batches import ChatEncoder, Example, epochs
from kexpert_trainer.data.rows import Row
from kexpert_trainer.errors import UserError
from kexpert_trainer.models.lora import compute_dtype, load_adapter, load_base
from kexpert_trainer.models.qlora import load_base_in_nf4
from kexpert_trainer.progress import progress
from kexpert_trainer.training.adapter_run import LAST, Objective, RunState, latest, lora_of, read_state, train
from kexpert_trainer.training.deadline import Deadline
from kexpert_trainer.training.distributed import Ranks, join_ranks
from kexpert_trainer.training.learner import Learner, answer_nats, answer_tokens
from kexpert_trainer.training.sft import HELD_OUT, chat_encoder, held_out_loss, read_split, sample
from kexpert_trainer.training.sft_config import SftConfig, SftLimits, check

NEGATIVES = "negatives.jsonl"
_REFERENCE = "reference.json"
#: One file in so many is kept for evaluation.
_HELD_OUT_FILES = 10


@dataclass(frozen=True, slots=True)
class PreferConfig(SftConfig):
    """Decides the result of a run. ``corpus`` also holds ``negatives.jsonl``; ``adapter`` is also the reference."""

    tokens: int = 200_000
    learning_rate: float = 5e-5
    beta: float = 0.1  # how far the answers may move from the reference: smaller is further
    sft_weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Pair:
    """A right and a wrong answer to one prompt. ``reference``: by how many nats the reference prefers the right one."""

    chosen: Example
    rejected: Example
    reference: float = 0.0

    @property
    def length(self) -> int:
        return max(len(self.chosen.tokens), len(self.rejected.tokens))


def run(config: PreferConfig, folder: Path, limits: SftLimits) -> dict[str, float]:
    """Train in ``folder``, from its last checkpoint if there is one. Returns the held-out figures.

    Raises UserError, OSError.
    """
    check(config)
    config = replace(config, lora=lora_of(Path(config.adapter)))
    deadline = Deadline(limits.minutes)
    ranks = join_ranks()
    if limits.threads:
        torch.set_num_threads(limits.threads)
    torch.manual_seed(config.seed)
    rows = [row for row in read_split(Path(config.corpus) / NEGATIVES) if row.rejected and row.rejected != row.output]
    if not rows:
        raise UserError(f"{Path(config.corpus) / NEGATIVES}: holds no wrong answer; kexpert-train falsify makes them")
    rows = _enough(rows, config, limits.evaluation_rows)
    reference = _reference(config, rows, folder, ranks)
    objective = PreferObjective(config, rows, reference, limits.evaluation_rows)
    last = latest(folder / LAST)
    state = RunState() if last is None else read_state(last, config)
    base = _frozen_base(config, ranks.device)
    if limits.checkpointing:
        base.enable_input_require_grads()
    model = load_adapter(base, last or Path(config.adapter), trainable=True)
    if limits.checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    learner = Learner(model, ranks, paged=config.method == "qlora")
    if last is not None:
        learner.restore(last)
    return train(objective, learner, state, config, folder, limits, deadline)


class PreferObjective(Objective[Pair]):
    """-log sigmoid(beta (margin - reference margin)) of each pair, and the loss of the right answers."""

    def __init__(
        self, config: PreferConfig, rows: Sequence[Row], reference: Sequence[float], evaluation_rows: int
    ) -> None:
        self.config = config
        self._encoder = chat_encoder(Path(config.base))
        self._margins = {id(row): margin for row, margin in zip(rows, reference, strict=True)}
        self._rows = [row for row in rows if not _is_held_out(row)]
        self._held_out = [self._pair(row) for row in rows if _is_held_out(row)][:evaluation_rows]
        answers = sample(read_split(Path(config.corpus) / HELD_OUT), evaluation_rows)
        self._answers = [self._encoder.example(row) for row in answers]
        self._mix = {Task(task): share for task, share in config.mix.items()}

    def pools(self, skip: int) -> Iterator[tuple[int, list[list[Pair]]]]:
        for number, pool in epochs(self._rows, self._mix, self.config.seed, skip):
            pairs = [made for row in pool if (made := self._pair(row)).length <= self.config.max_tokens]
            if not pairs and len(pool) == len(self._rows):
                return
            yield number, pair_batches(pairs, self.config.batch_tokens)

    def _pair(self, row: Row) -> Pair:
        return pair_of(self._encoder, row, self._margins[id(row)])

    def tokens(self, batch: Sequence[Pair]) -> int:
        return sum(len(pair.chosen.tokens) + len(pair.rejected.tokens) for pair in batch)

    def split(self, batch: Sequence[Pair], max_tokens: int) -> list[list[Pair]]:
        return pair_batches(batch, max_tokens)

    def loss(self, model: Any, batch: Sequence[Pair], whole: Sequence[Pair]) -> Tensor:
        preferred, chosen = self._losses(model, batch)
        right = chosen.sum() / answer_tokens([pair.chosen for pair in whole])
        return preferred.sum() / len(whole) + self.config.sft_weight * right

    def _losses(self, model: Any, batch: Sequence[Pair]) -> tuple[Tensor, Tensor]:
        """(loss of preference, nats of the right answer) of each pair."""
        nats = answer_nats(model, [pair.chosen for pair in batch] + [pair.rejected for pair in batch])
        chosen, rejected = nats.chunk(2)
        reference = torch.tensor([pair.reference for pair in batch], device=nats.device)
        return -logsigmoid(self.config.beta * (rejected - chosen - reference)), chosen

    @torch.no_grad()
    def evaluate(self, learner: Learner) -> dict[str, float]:
        """Loss and accuracy (share of pairs moved the right way) of held-out pairs; ``answers``: loss as in ``sft``."""
        learner.model.eval()
        ranks = learner.ranks
        sums = torch.zeros(3, device=ranks.device)
        for batch in pair_batches(self._held_out, 2 * self.config.batch_tokens)[ranks.rank :: ranks.world]:
            preferred, chosen = self._losses(learner.model, batch)
            right = chosen.sum() / answer_tokens([pair.chosen for pair in batch]) * len(batch)
            moved = (preferred < torch.tensor(2.0).log()).float().sum()
            sums += torch.stack([preferred.sum(), right, moved]).to(ranks.device)
        preferred_loss, right_loss, moved_share = (ranks.sum(sums) / max(len(self._held_out), 1)).tolist()
        answers = held_out_loss(learner, self._answers, self.config.batch_tokens)["held_out"]
        total = preferred_loss + self.config.sft_weight * right_loss
        return {"preference": round(preferred_loss, 4), "accuracy": round(moved_share, 4),
                "answers": answers, "held_out": round(total, 4)}  # fmt: skip


def pair_of(encoder: ChatEncoder, row: Row, reference: float = 0.0) -> Pair:
    """The two answers of a row as tokens."""
    return Pair(encoder.example(row), encoder.example(replace(row, output=row.rejected)), reference)


def pair_batches(pairs: Sequence[Pair], max_tokens: int) -> list[list[Pair]]:
    """Group pairs of similar length; all their answers with padding take at most ``max_tokens``, or it is one pair."""
    grouped: list[list[Pair]] = []
    for pair in sorted(pairs, key=lambda pair: pair.length):
        if grouped and 2 * pair.length * (len(grouped[-1]) + 1) <= max_tokens:
            grouped[-1].append(pair)
        else:
            grouped.append([pair])
    return grouped


def _is_held_out(row: Row) -> bool:
    return int(hashlib.sha256(row.path.encode()).hexdigest(), 16) % _HELD_OUT_FILES == 0


def _enough(rows: Sequence[Row], config: PreferConfig, evaluation_rows: int) -> list[Row]:
    """As many rows as the run can read, in an order that follows from the seed: the reference of each costs time."""
    order = [row for row in rows if config.mix.get(str(row.task), 0.0) > 0]
    random.Random(config.seed).shuffle(order)
    encoder = chat_encoder(Path(config.base))
    chosen: list[Row] = []
    held_out = tokens = 0
    for row in order:
        if _is_held_out(row):
            held_out += 1
            chosen += [row] if held_out <= evaluation_rows else []
        elif tokens < config.tokens:
            chosen.append(row)
            pair = pair_of(encoder, row)
            if pair.length <= config.max_tokens:
                tokens += len(pair.chosen.tokens) + len(pair.rejected.tokens)
        elif held_out >= evaluation_rows:
            break
    return chosen


def _reference(config: PreferConfig, rows: Sequence[Row], folder: Path, ranks: Ranks) -> list[float]:
    """By how many nats the adapter prefers each row's right answer; computed once and kept in ``folder``."""
    key = _digest(Path(config.adapter) / "adapter_model.safetensors", Path(config.corpus) / NEGATIVES)
    file = folder / _REFERENCE
    known: dict[str, float] = {}
    if file.is_file():
        found = json.loads(file.read_text())
        if found.get("of") == key:
            known = found["margins"]
        elif latest(folder / LAST) is not None:
            raise UserError(f"{folder}: was trained from another adapter or on other rows; give another --out")
    names = [hashlib.sha256(f"{row.id}\0{row.rejected}".encode()).hexdigest()[:20] for row in rows]
    missing = {name: row for name, row in zip(names, rows, strict=True) if name not in known}
    if missing:
        known |= dict(zip(missing, _margins(config, list(missing.values()), ranks), strict=True))
        if ranks.is_first:
            folder.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(".part")
            part.write_text(json.dumps({"of": key, "margins": known}))
            part.replace(file)
    return [known[name] for name in names]


@torch.no_grad()
def _margins(config: PreferConfig, rows: Sequence[Row], ranks: Ranks) -> list[float]:
    model = load_adapter(_frozen_base(config, ranks.device), Path(config.adapter)).eval()
    encoder = chat_encoder(Path(config.base))
    margins = [0.0] * len(rows)
    pairs = [pair_of(encoder, row) for row in rows]
    numbered = {id(pair): number for number, pair in enumerate(pairs)}
    short = [pair for pair in pairs if pair.length <= config.max_tokens]
    with progress("reference", len(short)) as advance:
        for batch in pair_batches(short, 2 * config.batch_tokens):
            nats = answer_nats(model, [pair.chosen for pair in batch] + [pair.rejected for pair in batch])
            chosen, rejected = nats.chunk(2)
            for pair, margin in zip(batch, (rejected - chosen).tolist(), strict=True):
                margins[numbered[id(pair)]] = margin
            advance(len(batch))
    return margins


def _frozen_base(config: PreferConfig, device: torch.device) -> Any:
    if config.method == "full":
        raise UserError('prefer trains an adapter: method is "lora" or "qlora"')
    if config.method == "qlora":
        return load_base_in_nf4(Path(config.base), device)
    return load_base(Path(config.base), device, compute_dtype(device))


def _digest(*files: Path) -> str:
    total = hashlib.sha256()
    for file in files:
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()
