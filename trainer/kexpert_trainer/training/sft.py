"""Supervised fine-tuning of an adapter: the command ``kexpert-train sft``.

The loop is ours and short, so that a run resumes exactly, needs no network, and runs the same on a CPU and a GPU. The
base is frozen, in bfloat16 where the hardware has it; the loss is on the answers alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kexpert.prompt.chat import END, START, Task
from kexpert_trainer.data.chat_batches import ChatEncoder, Example, batches, epochs
from kexpert_trainer.data.chat_frames import FRAMES
from kexpert_trainer.data.rows import Row, read_rows
from kexpert_trainer.errors import UserError
from kexpert_trainer.models.lora import add_adapter, compute_dtype, load_adapter, load_base
from kexpert_trainer.models.qlora import load_base_in_nf4
from kexpert_trainer.training.adapter_run import BEST, LAST, Objective, RunState, latest, lora_of, read_state, train
from kexpert_trainer.training.deadline import Deadline
from kexpert_trainer.training.distributed import Ranks, join_ranks
from kexpert_trainer.training.learner import Learner, answer_nats, answer_tokens
from kexpert_trainer.training.sft_config import SftConfig, SftLimits, check

__all__ = ["BEST", "LAST", "SftConfig", "SftLimits", "chat_encoder", "run"]

#: Libraries that would otherwise ask a hub: nothing leaves the machine.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

TRAIN, HELD_OUT = "train.jsonl", "held-out.jsonl"


def run(config: SftConfig, folder: Path, limits: SftLimits) -> dict[str, float]:
    """Train in ``folder``, from its last checkpoint if there is one. Returns the held-out loss of each task.

    Raises UserError, OSError.
    """
    check(config)
    config = replace(config, lora=lora_of(Path(config.adapter))) if config.adapter else config
    deadline = Deadline(limits.minutes)
    ranks = join_ranks()
    if limits.threads:
        torch.set_num_threads(limits.threads)
    torch.manual_seed(config.seed)
    objective = SftObjective(config, limits.evaluation_rows)
    learner, state = start(config, folder, ranks, limits.checkpointing)
    return train(objective, learner, state, config, folder, limits, deadline)


class SftObjective(Objective[Example]):
    """The mean negative log-probability of the answers' tokens."""

    def __init__(self, config: SftConfig, evaluation_rows: int) -> None:
        self.config = config
        self.encoder = chat_encoder(Path(config.base))
        self.rows, held_out = (read_split(Path(config.corpus) / name) for name in (TRAIN, HELD_OUT))
        self.evaluation = [self.encoder.example(row) for row in sample(held_out, evaluation_rows)]
        self._mix = {Task(task): share for task, share in config.mix.items()}

    def pools(self, skip: int) -> Iterator[tuple[int, list[list[Example]]]]:
        empty = 0
        for number, pool in epochs(self.rows, self._mix, self.config.seed, skip):
            todo = batches(self._short(pool), self.config.batch_tokens, self.config.seed + number)
            empty = 0 if todo else empty + 1
            if empty * len(pool) > len(self.rows):
                return  # no row is short enough
            yield number, todo

    def _short(self, pool: Sequence[Row]) -> list[Example]:
        return [made for row in pool if len((made := self.encoder.example(row)).tokens) <= self.config.max_tokens]

    def tokens(self, batch: Sequence[Example]) -> int:
        return sum(len(example.tokens) for example in batch)

    def split(self, batch: Sequence[Example], max_tokens: int) -> list[list[Example]]:
        return batches(batch, max_tokens, 0)

    def loss(self, model: Any, batch: Sequence[Example], whole: Sequence[Example]) -> Tensor:
        return answer_nats(model, batch).sum() / answer_tokens(whole)

    def evaluate(self, learner: Learner) -> dict[str, float]:
        """Loss in nats a token of the answers, of each task and (mean of the tasks) as ``held_out``."""
        return held_out_loss(learner, self.evaluation, self.config.batch_tokens)


@torch.no_grad()
def held_out_loss(learner: Learner, examples: Sequence[Example], batch_tokens: int) -> dict[str, float]:
    """The mean loss of each task in nats a token, over all ranks; ``held_out`` is the mean of the tasks."""
    learner.model.eval()
    ranks = learner.ranks
    found: dict[str, float] = {}
    for task in Task:
        own = [example for example in examples if example.task is task]
        mine = batches(own, 2 * batch_tokens, 0)[ranks.rank :: ranks.world]
        total = torch.zeros((), device=ranks.device)
        for batch in mine:
            total += answer_nats(learner.model, batch).sum()
        if own:
            found[str(task)] = round(float(ranks.sum(total)) / answer_tokens(own), 4)
    found["held_out"] = round(sum(found.values()) / max(len(found), 1), 4)
    return found


def start(config: SftConfig, folder: Path, ranks: Ranks, checkpointing: bool) -> tuple[Learner, RunState]:
    """Model, optimizer and state: those of the last checkpoint in ``folder``, or fresh ones. Raises UserError."""
    last = latest(folder / LAST)
    state = RunState() if last is None else read_state(last, config)
    device, base = ranks.device, Path(config.base)
    if config.method == "full":
        model = load_base(base if last is None else last, device, compute_dtype(device))
    else:
        frozen = load_base_in_nf4(base, device) if config.method == "qlora" else None
        frozen = load_base(base, device, compute_dtype(device)) if frozen is None else frozen
        if checkpointing:
            frozen.enable_input_require_grads()
        before = last or (Path(config.adapter) if config.adapter else None)
        model = load_adapter(frozen, before, trainable=True) if before else add_adapter(frozen, config.lora)
    if checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    learner = Learner(model, ranks, paged=config.method == "qlora")
    if last is not None:
        learner.restore(last)
    return learner, state


def chat_encoder(base: Path) -> ChatEncoder:
    """The encoder of a base's tokenizer. Raises UserError if it has the markers of no known frame."""
    from tokenizers import Tokenizer

    if not (base / "tokenizer.json").is_file():
        raise UserError(f"{base}: has no tokenizer.json; make the base with kexpert-train base")
    plain, special = (Tokenizer.from_file(str(base / "tokenizer.json")) for _ in range(2))
    plain.encode_special_tokens = True
    for frame in FRAMES:
        start, end = (plain.token_to_id(marker) for marker in (frame.start, frame.end))
        if start is not None and end is not None:
            return ChatEncoder(
                lambda text: list(plain.encode(text, add_special_tokens=False).ids), {START: start, END: end}, frame,
                lambda text: list(special.encode(text, add_special_tokens=False).ids),
            )  # fmt: skip
    known = ", ".join(f"{frame.name} ({frame.start})" for frame in FRAMES)
    raise UserError(f"{base}: its tokenizer has the markers of no chat that is known: {known}; use an instruct model")


def read_split(path: Path) -> list[Row]:
    """The rows of one file of a corpus. Raises UserError if it is missing or broken."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; kexpert-train publish makes it")
    try:
        return list(read_rows(path))
    except (ValueError, TypeError, KeyError) as problem:
        raise UserError(f"{path}: holds a line that is no row ({problem}); make the corpus again") from None


def sample(rows: Sequence[Row], count: int) -> list[Row]:
    """The first rows of each task, an equal number of each."""
    tasks = [[row for row in rows if row.task is task] for task in Task]
    present = [own for own in tasks if own]
    return [row for own in present for row in own[: count // len(present)]]
