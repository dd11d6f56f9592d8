"""The loop of a fine-tuning run, for every objective: steps, log, evaluation, checkpoints, early stopping, resuming.

Everything random follows from the seed and the step, so a stopped or killed run continues as if it had not been.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from kexpert.prompt.chat import CHAT_PROMPT_VERSION
from kexpert_trainer.errors import UserError
from kexpert_trainer.models.lora import LoraSettings
from kexpert_trainer.training.chat_log import ChatLog
from kexpert_trainer.training.deadline import Deadline
from kexpert_trainer.training.learner import Learner
from kexpert_trainer.training.pretrain import schedule
from kexpert_trainer.training.sft_config import FILE_NAME, SftConfig, SftLimits, dump_toml

LAST, BEST = "last", "best"
STATE = "progress.json"
_LOG_STEPS = 20

Item = TypeVar("Item")


class Objective(ABC, Generic[Item]):
    """What a run trains for. An ``Item`` is what a batch consists of, such as an example or a pair."""

    @abstractmethod
    def pools(self, skip: int) -> Iterator[tuple[int, list[list[Item]]]]:
        """Yield (number, batches of a pool of rows) without end, from pool ``skip`` on."""

    @abstractmethod
    def tokens(self, batch: Sequence[Item]) -> int:
        """The tokens of a batch without padding."""

    @abstractmethod
    def split(self, batch: Sequence[Item], max_tokens: int) -> list[list[Item]]:
        """Divide a batch into micro-batches of at most ``max_tokens`` with padding."""

    @abstractmethod
    def loss(self, model: Any, batch: Sequence[Item], whole: Sequence[Item]) -> Tensor:
        """The share of a micro-batch in the mean loss over the ``whole`` batch."""

    @abstractmethod
    def evaluate(self, learner: Learner) -> dict[str, float]:
        """Figures of held-out rows; ``held_out`` is the loss by which the best checkpoint is chosen."""


@dataclass(slots=True)
class RunState:
    """How far a run has come."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    pool: int = 0  # pools of rows that are done
    batch: int = 0  # batches of the current pool that are done
    best: float = math.inf
    worse: int = 0  # evaluations since the best


def train(
    objective: Objective[Item], learner: Learner, state: RunState, config: SftConfig, folder: Path, limits: SftLimits,
    deadline: Deadline,
) -> dict[str, float]:  # fmt: skip
    """Train until all tokens are read, a limit is reached, or the held-out loss rises. Returns the last figures.

    ``folder/best`` and ``folder/last`` hold the adapter as PEFT reads it. Raises UserError if there is no row.
    """
    ranks = learner.ranks
    log = None
    if ranks.is_first:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE_NAME).write_text(dump_toml(config))
        log = ChatLog(folder, {"config": asdict(config), "trainable": learner.trainable}, limits.wandb)
    figures: dict[str, float] = {}
    last_step = state.step + limits.steps if limits.steps else 1 << 62
    micro_tokens = limits.micro_tokens or -(-config.batch_tokens // ranks.world)
    saved = begun = time.monotonic()

    def evaluate_and_save() -> None:
        nonlocal figures, saved
        figures = objective.evaluate(learner)
        better = figures["held_out"] < state.best
        state.best = min(state.best, figures["held_out"])
        state.worse = 0 if better else state.worse + 1
        if log is not None:
            log.write({"step": state.step, "tokens": state.tokens, "seconds": round(state.seconds), **figures})
            for name in (LAST, BEST) if better else (LAST,):
                save(folder / name, learner, state, config, figures)
        saved = time.monotonic()

    running: list[float] = []
    try:
        for number, todo in objective.pools(state.pool):
            if number != state.pool:
                state.pool, state.batch = number, 0
            for at in range(state.batch, len(todo)):
                tired = config.patience > 0 and state.worse >= config.patience
                if ranks.any(state.tokens >= config.tokens or state.step >= last_step or deadline.is_near() or tired):
                    evaluate_and_save()
                    return figures
                batch = todo[at]
                rate = learning_rate_factor(config, state.tokens / config.tokens)
                micro = objective.split(batch, micro_tokens)[ranks.rank :: ranks.world]
                if config.lora.dropout:
                    torch.manual_seed((config.seed * 1_000_003 + state.step) * ranks.world + ranks.rank)
                shares = [lambda part=part: objective.loss(learner.model, part, batch) for part in micro]  # noqa: B023
                running.append(learner.step(shares, config.learning_rate * rate))
                state.step += 1
                state.tokens += objective.tokens(batch)
                state.batch = at + 1
                now = time.monotonic()
                deadline.step_took(now - begun)
                state.seconds += now - begun
                if log is not None and state.step % _LOG_STEPS == 0:
                    speed = round(state.tokens / max(state.seconds, 1e-9))
                    loss = round(sum(running) / len(running), 4)
                    entry = {"step": state.step, "tokens": state.tokens, "loss": loss, "rate": round(rate, 3)}
                    log.write(entry | {"tokens_per_second": speed})
                    running.clear()
                if state.step % limits.evaluate_every == 0:
                    evaluate_and_save()
                    deadline.evaluation_took(time.monotonic() - now)
                elif ranks.is_first and time.monotonic() - saved > 60 * limits.save_minutes:
                    save(folder / LAST, learner, state, config, figures)
                    saved = time.monotonic()
                begun = time.monotonic()
    finally:
        if log is not None:
            log.close()
    raise UserError(f"{config.corpus}: no row of the tasks in the mix ({', '.join(config.mix)}) that is short enough")


def learning_rate_factor(config: SftConfig, done: float) -> float:
    """Factor of the learning rate after a fraction ``done`` of the tokens."""
    if config.schedule == "cosine":
        warm = min(1.0, (done + 1e-3) / max(config.warmup, 1e-9))
        return warm * 0.5 * (1 + math.cos(math.pi * min(max(done, 0.0), 1.0)))
    return schedule(done, config.warmup, config.decay)


def read_state(folder: Path, config: SftConfig) -> RunState:
    """The state of the checkpoint in ``folder``. Raises UserError if it was trained with another adapter."""
    found = json.loads((folder / STATE).read_text())
    before, now = found["config"], json.loads(json.dumps(asdict(config)))
    for name in ("method", "lora"):
        if before.get(name, now[name]) != now[name]:
            raise UserError(f"{folder}: was trained with {name} = {before[name]}, not {now[name]}; give another --out")
    return RunState(**found["progress"])


def lora_of(adapter: Path) -> LoraSettings:
    """The settings with which an adapter was trained. Raises UserError if it is none of ``sft``."""
    try:
        found = json.loads((adapter / STATE).read_text())["config"]["lora"]
        return LoraSettings(**{**found, "targets": tuple(found["targets"])})
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{adapter}: no adapter of kexpert-train sft; give `best` of a run") from None


def save(folder: Path, learner: Learner, state: RunState, config: SftConfig, figures: Mapping[str, float]) -> None:
    """Write a checkpoint; a kill at any time leaves a whole one."""
    part, old = folder.with_suffix(".part"), folder.with_suffix(".old")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    learner.save(part)
    entries = {"config": asdict(config), "chat_prompt_version": CHAT_PROMPT_VERSION, "progress": asdict(state),
               "losses": dict(figures)}  # fmt: skip
    (part / STATE).write_text(json.dumps(entries, indent=2))
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    part.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def latest(folder: Path) -> Path | None:
    """The newest whole checkpoint ``folder``; also one that a kill left renamed. None if there is none."""
    for name in (folder, folder.with_suffix(".old")):
        if (name / STATE).is_file():
            return name
    return None
