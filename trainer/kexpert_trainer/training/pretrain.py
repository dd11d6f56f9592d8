"""Pre-training: the command ``kexpert-train pretrain``.

The same code runs for minutes on a CPU, in pieces on one GPU, or under torchrun on several. Learning rates follow WSD
(warm-up, stable, decay; Hu et al. 2024, arXiv:2404.06395): until the decay begins, a run may be given another length.
A stopped or killed run continues from its last checkpoint; as everything random follows from seed and step, the result
is the same to the bit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from kexpert.prompt.fim import Marker
from kexpert_trainer.data import shards
from kexpert_trainer.data import tokenizer as tokenizers
from kexpert_trainer.errors import UserError
from kexpert_trainer.models import llama
from kexpert_trainer.models.sizes import named_size
from kexpert_trainer.training import checkpoint
from kexpert_trainer.training.batches import Batch, Cursor, PackedSplit, steps
from kexpert_trainer.training.checkpoint import LAST, RunState
from kexpert_trainer.training.deadline import Deadline
from kexpert_trainer.training.distributed import Ranks, join_ranks
from kexpert_trainer.training.held_out import HeldOutLoss, evaluate
from kexpert_trainer.training.loss import linear_cross_entropy
from kexpert_trainer.training.optimizers import Optimizers, make_optimizers, split_parameters
from kexpert_trainer.training.run_log import RunLog

_LOG_STEPS = 10


@dataclass(frozen=True, slots=True)
class PretrainConfig:
    """Decides the result of a run. Tokens are counted as rows times row length, over all ranks."""

    corpus: str
    size: str = "4m"
    tokens: int = 10_000_000
    batch_rows: int = 16  # of one step, over all ranks
    micro_batch: int = 16  # rows at once on one device
    muon_lr: float = 0.02  # matrices of the layers
    embedding_lr: float = 3e-3  # embedding and norms, by AdamW
    weight_decay: float = 0.0
    warmup: float = 0.02  # fraction of the tokens
    decay: float = 0.3  # fraction of the tokens
    seed: int = 0


@dataclass(frozen=True, slots=True)
class RunLimits:
    """Decides how far one call goes and what it reports, not what it computes."""

    minutes: float = math.inf  # wall time, with start, last evaluation and last save
    steps: int = 0  # of this call; 0 for no limit
    threads: int = 0  # of the CPU; 0 for torch's choice
    attention: str = ""  # a key of llama.ATTENTION; "" for the device's default
    evaluate_every: int = 100  # steps
    evaluation_rows: int = 256
    save_minutes: float = 3.0
    compiled: bool = True  # on a GPU


@dataclass(frozen=True, slots=True)
class _Learner:
    """Everything that one step changes or needs."""

    model: llama.Llama
    forward: Callable[[Tensor, llama.Documents], Tensor]  # the model, compiled on a GPU
    optimizers: Optimizers
    learning_rates: dict[str, float]  # of each optimizer, before the schedule
    clipped: list[nn.Parameter]  # parameters whose gradients are clipped


def run(config: PretrainConfig, folder: Path, limits: RunLimits) -> HeldOutLoss:
    """Train in ``folder``, from its last checkpoint if it has one, until all tokens are read or a limit is reached.

    Raises UserError for a missing corpus, an attention that the device lacks, a checkpoint of another model.
    """
    deadline = Deadline(limits.minutes)
    ranks = join_ranks()
    if limits.threads:
        torch.set_num_threads(limits.threads)
    torch.manual_seed(config.seed)

    # Data: every rank has the same rows in the same order and takes its share of each step.
    source = Path(config.corpus)
    corpus = shards.read_manifest(source)
    tokenizer = tokenizers.load(source / tokenizers.FILE_NAME)
    fim_middle = tokenizers.markers(tokenizer)[Marker.FIM_MIDDLE]
    train, held_out = (
        PackedSplit(shards.load(source, split), corpus.end, fim_middle, corpus.sequence, config.seed)
        for split in ("train", "held-out")
    )
    byte_lengths = torch.tensor(tokenizers.byte_lengths(tokenizer), device=ranks.device)

    # Model, optimizers, and the state of the run.
    size = named_size(config.size, tokenizer.get_vocab_size(), corpus.sequence)
    model = llama.Llama(size, _attention(limits.attention, ranks.device)).to(ranks.device)
    learner = _learner(model, config, compiled=limits.compiled and ranks.device.type == "cuda")
    state = RunState()
    if (previous := checkpoint.latest(folder / LAST)) is not None:
        state = checkpoint.restore(previous, model, learner.optimizers)
    if state.corpus != corpus.identity:  # another corpus, such as the next pack of a large one: read from its beginning
        state.corpus, state.cursor = corpus.identity, Cursor()
    log = RunLog(folder, {"config": asdict(config)}, model, ranks.world) if ranks.is_first else None

    loss = HeldOutLoss()
    last_step = state.step + limits.steps if limits.steps else 1 << 62
    saved = started = time.monotonic()
    for rows, cursor in steps(train, state.cursor, config.batch_rows):
        finished = state.tokens >= config.tokens or state.step >= last_step
        if ranks.any(finished or deadline.is_near()):
            break

        rate = schedule(state.tokens / config.tokens, config.warmup, config.decay)
        batches = train.micro_batches(rows[ranks.rank :: ranks.world], config.micro_batch)
        nats = _step(learner, batches, rate, ranks)
        state.step += 1
        state.tokens += config.batch_rows * corpus.sequence
        state.cursor = cursor

        if state.step % _LOG_STEPS == 0:
            mean_nats = float(ranks.sum(nats))
            if log is not None:
                log.step(state, mean_nats, rate)
        now = time.monotonic()
        deadline.step_took(now - started)
        state.seconds += now - started
        if state.step % limits.evaluate_every == 0:
            loss = evaluate(model, held_out, byte_lengths, limits.evaluation_rows, config.micro_batch)
            deadline.evaluation_took(time.monotonic() - now)
            if log is not None:
                log.evaluation(state, loss)
        if ranks.is_first and time.monotonic() - saved > 60 * limits.save_minutes:
            saved = time.monotonic()
            checkpoint.save(folder / LAST, state, _described(config, loss), model, learner.optimizers, tokenizer)
            deadline.save_took(time.monotonic() - saved)
        started = time.monotonic()

    loss = evaluate(model, held_out, byte_lengths, limits.evaluation_rows, config.micro_batch)
    if log is not None:
        checkpoint.save(folder / LAST, state, _described(config, loss), model, learner.optimizers, tokenizer)
        log.evaluation(state, loss)
        log.close()
    return loss


def schedule(done: float, warmup: float, decay: float) -> float:
    """Factor of the learning rates after a fraction ``done`` of the tokens: up, level, down to 0."""
    return max(min(1.0, (done + 1e-3) / max(warmup, 1e-9), (1 - done) / max(decay, 1e-9)), 0.0)


def _attention(name: str, device: torch.device) -> llama.Attend:
    """The attention of a name, or the device's default."""
    if name == "varlen" and device.type != "cuda":
        raise UserError("--attention varlen needs a CUDA device and torch finds none; use --attention each on a CPU")
    return llama.ATTENTION[name or ("triton" if device.type == "cuda" else "each")]


def _learner(model: llama.Llama, config: PretrainConfig, compiled: bool) -> _Learner:
    parameters = split_parameters(model)
    optimizers = make_optimizers(parameters, config.muon_lr, config.embedding_lr, config.weight_decay)
    learning_rates = {"muon": config.muon_lr, "adam": config.embedding_lr}
    forward = torch.compile(model) if compiled else model
    return _Learner(model, forward, optimizers, learning_rates, parameters.others)


def _step(learner: _Learner, batches: list[Batch], rate: float, ranks: Ranks) -> Tensor:
    """One optimizer step on the mean loss over all targets of all ranks, however these are divided.

    Returns this rank's share of that mean, in nats.
    """
    model, device = learner.model, ranks.device
    targets = ranks.sum(torch.tensor(sum(batch.count for batch in batches), device=device))
    total = torch.zeros((), device=device)
    for batch in batches:
        batch = batch.to(device, model.needs_mask)
        with llama.half_precision(device):
            hidden = learner.forward(batch.tokens, batch.documents)
        loss = linear_cross_entropy(hidden.flatten(0, 1), model.head, batch.targets.flatten()) / targets
        loss.backward()
        total += loss.detach()
    for weight in model.parameters():
        assert weight.grad is not None
        ranks.sum(weight.grad)
    nn.utils.clip_grad_norm_(learner.clipped, 1.0)
    for name, optimizer in learner.optimizers.items():
        for group in optimizer.param_groups:
            group["lr"] = learner.learning_rates[name] * rate
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return total


def _described(config: PretrainConfig, loss: HeldOutLoss) -> dict[str, object]:
    """Entries of a checkpoint besides the state of the run; ``export`` reads the figures."""
    return {"config": asdict(config), "figures": asdict(loss)}
