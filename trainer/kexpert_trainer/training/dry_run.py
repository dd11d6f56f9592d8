"""What a fine-tuning run would take, measured by a few of its steps: ``kexpert-train sft --dry-run``."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from kexpert_trainer.data.chat_batches import Example, batches
from kexpert_trainer.errors import UserError
from kexpert_trainer.progress import progress
from kexpert_trainer.training.adapter_run import latest
from kexpert_trainer.training.distributed import join_ranks
from kexpert_trainer.training.learner import Learner
from kexpert_trainer.training.sft import LAST, SftObjective, start
from kexpert_trainer.training.sft_config import SftConfig, SftLimits, check

_TIMED_STEPS = 3


@dataclass(frozen=True, slots=True)
class DryRun:
    """Figures of a run that was not made. ``tokens_…``: of prompt and answer of one row."""

    rows: int
    rows_left_out: int  # longer than ``max_tokens``
    tokens_median: int
    tokens_95th_percentile: int
    tokens_longest: int
    answer_tokens_median: int
    passes: float  # over all rows
    trainable_parameters: int
    parameters: int
    steps: int
    memory_gb: float  # the process's peak; on a GPU that of the device
    tokens_per_second: float
    hours: float

    def table(self) -> str:
        """One line a figure."""
        return "\n".join(f"{name.replace('_', ' '):24} {value:>14,}" for name, value in asdict(self).items())


def dry_run(config: SftConfig, limits: SftLimits) -> DryRun:
    """Make three steps of typical batches and one of the largest. Writes nothing. Raises UserError, OSError."""
    check(config)
    ranks = join_ranks()
    if limits.threads:
        torch.set_num_threads(limits.threads)
    torch.manual_seed(config.seed)
    objective = SftObjective(config, limits.evaluation_rows)
    rows = [row for row in objective.rows if config.mix.get(str(row.task), 0) > 0]
    examples: list[Example] = []
    with progress("rows", len(rows)) as advance:
        for row in rows:
            examples.append(objective.encoder.example(row))
            advance()
    short = [example for example in examples if len(example.tokens) <= config.max_tokens]
    if not short:
        tasks = ", ".join(config.mix)
        raise UserError(f"{config.corpus}: no row of the tasks in the mix ({tasks}) that is short enough")
    todo = sorted(batches(short, config.batch_tokens, config.seed), key=_padded_tokens)
    with TemporaryDirectory() as nowhere:
        assert latest(Path(nowhere) / LAST) is None
        learner, _ = start(config, Path(nowhere), ranks, limits.checkpointing)
    micro_tokens = limits.micro_tokens or config.batch_tokens
    typical = [todo[len(todo) * (2 * at + 1) // (2 * _TIMED_STEPS)] for at in range(_TIMED_STEPS)]

    def step(batch: Sequence[Example]) -> None:
        parts = objective.split(batch, micro_tokens)
        learner.step([_share(objective, learner, part, batch) for part in parts], 0.0)

    step(todo[-1])  # the largest: it shows the memory, and warms up
    begun = time.monotonic()
    for batch in typical:
        step(batch)
    seconds = time.monotonic() - begun
    tokens_per_second = sum(map(objective.tokens, typical)) / seconds
    lengths = [len(example.tokens) for example in examples]
    total = sum(map(objective.tokens, todo))
    return DryRun(
        rows=len(examples),
        rows_left_out=len(examples) - len(short),
        tokens_median=int(median(lengths)),
        tokens_95th_percentile=int(quantiles(lengths, n=20)[-1]) if len(lengths) > 1 else lengths[0],
        tokens_longest=max(lengths),
        answer_tokens_median=int(median(len(example.tokens) - example.answer_start for example in examples)),
        passes=round(config.tokens / total, 2),
        trainable_parameters=learner.trainable,
        parameters=sum(weight.numel() for weight in learner.model.parameters()),
        steps=round(config.tokens / (total / len(todo))),
        memory_gb=round(_peak_bytes(ranks.device) / 1e9, 2),
        tokens_per_second=round(tokens_per_second, 1),
        hours=round(config.tokens / tokens_per_second / 3600, 2),
    )


def _share(
    objective: SftObjective, learner: Learner, part: Sequence[Example], batch: Sequence[Example]
) -> Callable[[], Tensor]:
    return lambda: objective.loss(learner.model, part, batch)


def _padded_tokens(batch: Sequence[Example]) -> int:
    return len(batch) * max(len(example.tokens) for example in batch)


def _peak_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
