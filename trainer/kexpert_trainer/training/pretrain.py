"""Pre-training, from top to bottom: the command ``kexpert-train pretrain``.

The same command runs for minutes on a CPU and in pieces of ten minutes on one GPU or, under torchrun, on several.
Learning rates are held after a short warm-up and brought to nothing over the last part of ``--tokens`` (WSD), so as
long as that part has not begun a run may be given another length. A run that is stopped (``--minutes``, or killed)
goes on from its last checkpoint as if it had never stopped: all that is random follows from seed and step.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from kexpert.prompt.fim import Marker
from kexpert_trainer.data import shards
from kexpert_trainer.data import tokenizer as tokenizers
from kexpert_trainer.models import llama
from kexpert_trainer.models.sizes import shape_of
from kexpert_trainer.training.batches import Batch, Cursor, Packed, steps
from kexpert_trainer.training.loss import IGNORED, head_loss, token_losses
from kexpert_trainer.training.muon import Muon

#: The name of a run's checkpoint in its folder.
LAST = "last"
OPTIMIZERS = "optimizers.pt"
_LOG_EVERY = 10  # steps
#: Dense bf16 TFLOP/s by the makers' data sheets, for MFU.
_PEAK_TFLOPS = {"H100": 989.0, "H200": 989.0, "A100": 312.0, "B200": 2250.0, "L40S": 362.0}


@dataclass(frozen=True, slots=True)
class Plan:
    """What decides the result of a run. Tokens are counted as rows times row length, all GPUs together."""

    corpus: str
    size: str = "4m"
    tokens: int = 10_000_000
    batch_rows: int = 16  # of one step, all GPUs together
    micro_rows: int = 16  # at once on one device
    matrix_rate: float = 0.02  # Muon
    embedding_rate: float = 3e-3  # AdamW
    weight_decay: float = 0.0
    warmup: float = 0.02  # part of the tokens
    decay: float = 0.3  # part of the tokens
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """What decides how far one call goes and what it says, not what it computes."""

    minutes: float = math.inf  # of wall clock, start, last evaluation and last save included
    steps: int = 0  # of this call; 0 for no limit
    threads: int = 0  # of the CPU; 0 for torch's choice
    attention: str = ""  # a key of llama.ATTENTION; "" for what the device has
    evaluate_every: int = 100  # steps
    evaluation_rows: int = 256
    save_minutes: float = 3.0
    compiled: bool = True  # on a GPU


@dataclass(slots=True)
class Progress:
    """Where a run stands."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0  # of training, over all pieces
    corpus: str = ""  # identity of the one that ``cursor`` stands in
    cursor: Cursor = field(default_factory=Cursor)


@dataclass(frozen=True, slots=True)
class Figures:
    """Loss on held-out files in bits per byte of text.

    ``plain`` is of windows read left to right, to compare with other models; ``filled`` of what stands behind
    ``<|fim_middle|>`` in windows with a hole, that is with the text behind the hole already known.
    """

    plain: float = math.nan
    filled: float = math.nan


def run(plan: Plan, folder: Path, limits: Limits) -> Figures:
    """Train in ``folder``, from its last checkpoint if it holds one, until the plan or a limit is reached."""
    began = time.monotonic()
    rank, world, device = _device()
    if limits.threads:
        torch.set_num_threads(limits.threads)
    torch.manual_seed(plan.seed)

    # Data: the same rows in the same order for every rank, which takes its share of each step.
    corpus = shards.read_corpus(Path(plan.corpus))
    tokenizer = tokenizers.load(Path(plan.corpus) / tokenizers.FILE_NAME)
    hole = tokenizers.markers(tokenizer)[Marker.FIM_MIDDLE]
    train, held_out = (
        Packed(shards.load(Path(plan.corpus), split), corpus.end, hole, corpus.sequence, plan.seed)
        for split in ("train", "held-out")
    )
    byte_lengths = torch.tensor(tokenizers.byte_lengths(tokenizer), device=device)

    # Model and optimizers. Weights are float32; on a GPU the layers compute in bfloat16.
    shape = shape_of(plan.size, tokenizer.get_vocab_size(), corpus.sequence)
    attention = limits.attention or ("triton" if device.type == "cuda" else "each")
    model = llama.Llama(shape, llama.ATTENTION[attention]).to(device)
    matrices = [weight for name, weight in model.named_parameters() if "proj" in name]
    others = [weight for name, weight in model.named_parameters() if "proj" not in name]
    muon = Muon(matrices, lr=plan.matrix_rate, weight_decay=plan.weight_decay)
    adam = torch.optim.AdamW(others, lr=plan.embedding_rate, betas=(0.9, 0.95), weight_decay=0.0)
    progress = Progress()
    if (folder / LAST).exists():
        progress = _restore(folder / LAST, model, muon, adam)
    if progress.corpus != corpus.identity:  # the next load of a corpus that is too large for one
        progress.corpus, progress.cursor = corpus.identity, Cursor()
    forward = torch.compile(model) if device.type == "cuda" and limits.compiled else model

    def loss_of(batch: Batch) -> Tensor:
        with _half(device):
            hidden = forward(batch.tokens, batch.documents)
        return head_loss(hidden.flatten(0, 1), model.head, batch.targets.flatten())

    log = _Log(folder, plan, model, world) if rank == 0 else None
    figures, slow = Figures(), _Slowest()
    stop_after = progress.step + limits.steps if limits.steps else 1 << 62
    saved = now = time.monotonic()
    for rows, after in steps(train, progress.cursor, plan.batch_rows):
        finished = progress.tokens >= plan.tokens or progress.step >= stop_after
        if _any(finished or now + slow.total > began + 60 * limits.minutes, device):
            break

        # One step: the gradient of the mean over all targets of all its rows, however these are divided.
        own = rows[rank::world]
        batches = [train.batch(own[at : at + plan.micro_rows]) for at in range(0, len(own), plan.micro_rows)]
        targets = _sum(torch.tensor(sum(batch.count for batch in batches), device=device))
        loss = torch.zeros((), device=device)
        for batch in batches:
            part = loss_of(batch.to(device, model.attend is llama.attend_masked)) / targets
            part.backward()
            loss += part.detach()
        for weight in model.parameters():
            _sum(weight.grad)
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        rate = schedule(progress.tokens / plan.tokens, plan.warmup, plan.decay)
        for optimizer, full in ((muon, plan.matrix_rate), (adam, plan.embedding_rate)):
            for group in optimizer.param_groups:
                group["lr"] = full * rate
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        progress.step += 1
        progress.tokens += plan.batch_rows * corpus.sequence
        progress.cursor = after

        if progress.step % _LOG_EVERY == 0:
            nats = float(_sum(loss))
            if log is not None:
                log.step(progress, nats, rate)
        begun, now = now, time.monotonic()
        slow.step = max(slow.step / 2, now - begun)  # the first one may hold a compilation
        progress.seconds += now - begun
        if progress.step % limits.evaluate_every == 0:
            figures = evaluate(model, held_out, byte_lengths, limits.evaluation_rows, plan.micro_rows)
            slow.evaluation = time.monotonic() - now
            if log is not None:
                log.evaluation(progress, figures)
        if rank == 0 and time.monotonic() - saved > 60 * limits.save_minutes:
            saved = time.monotonic()
            _save(folder / LAST, plan, progress, figures, model, muon, adam, tokenizer)
            slow.saving = time.monotonic() - saved
        now = time.monotonic()

    figures = evaluate(model, held_out, byte_lengths, limits.evaluation_rows, plan.micro_rows)
    if log is not None:
        _save(folder / LAST, plan, progress, figures, model, muon, adam, tokenizer)
        log.evaluation(progress, figures)
        log.close()
    return figures


def schedule(done: float, warmup: float, decay: float) -> float:
    """The factor of the learning rates when ``done`` of the tokens are: up, level, down to nothing."""
    return max(min(1.0, (done + 1e-3) / max(warmup, 1e-9), (1 - done) / max(decay, 1e-9)), 0.0)


@torch.no_grad()
def evaluate(model: llama.Llama, data: Packed, byte_lengths: Tensor, rows_at_most: int, micro_rows: int) -> Figures:
    """Bits per byte on the first rows of ``data``, always the same ones. Every rank computes all of them."""
    device = byte_lengths.device
    rows = data.rows(0)[:rows_at_most]
    nats, read = torch.zeros(2, device=device), torch.zeros(2, device=device)
    for at in range(0, len(rows), micro_rows):
        batch = data.batch(rows[at : at + micro_rows])
        kinds = batch.kinds(data.hole).to(device)
        batch = batch.to(device, model.attend is llama.attend_masked)
        with _half(device):
            hidden = model(batch.tokens, batch.documents)
        losses = token_losses(hidden.flatten(0, 1), model.head, batch.targets.flatten())
        lengths = byte_lengths[batch.targets.clamp(min=0)].flatten() * (batch.targets.flatten() != IGNORED)
        for kind in (0, 1):
            counted = (kinds.flatten() == kind) & (lengths > 0)
            nats[kind] += losses[counted].sum()
            read[kind] += lengths[counted].sum()
    plain, filled = (nats / read / math.log(2)).tolist()
    return Figures(plain, filled)


def _half(device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def _device() -> tuple[int, int, torch.device]:
    """Rank, number of ranks, and the device of this one (torchrun sets the environment)."""
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    cuda = torch.cuda.is_available()
    if world > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if cuda else "gloo")
    if not cuda:
        return rank, world, torch.device("cpu")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return rank, world, device


def _sum(tensor: Tensor) -> Tensor:
    """The sum over all ranks, in place."""
    if dist.is_initialized():
        dist.all_reduce(tensor)
    return tensor


def _any(condition: bool, device: torch.device) -> bool:
    """Whether it holds for any rank: all stop at the same step."""
    return bool(_sum(torch.tensor(float(condition), device=device))) if dist.is_initialized() else condition


def _save(
    folder: Path, plan: Plan, progress: Progress, figures: Figures, model: llama.Llama, muon: Muon,
    adam: torch.optim.AdamW, tokenizer: Tokenizer,
) -> None:  # fmt: skip
    """A checkpoint: there whole or not at all. What it replaces is kept until it is there."""
    part, old = folder.with_suffix(".part"), folder.with_suffix(".old")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    llama.save(model, part)
    tokenizer.save(str(part / tokenizers.FILE_NAME))
    torch.save({"muon": muon.state_dict(), "adam": adam.state_dict()}, part / OPTIMIZERS)
    state = {"plan": asdict(plan), "progress": asdict(progress), "figures": asdict(figures)}
    (part / "progress.json").write_text(json.dumps(state, indent=2))
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    part.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _restore(folder: Path, model: llama.Llama, muon: Muon, adam: torch.optim.AdamW) -> Progress:
    device = model.head.device
    model.load_state_dict(load_file(folder / llama.WEIGHTS, device=str(device)))
    if (folder / OPTIMIZERS).exists():  # weights that travelled in parts come without
        optimizers = torch.load(folder / OPTIMIZERS, map_location=device, weights_only=True)
        muon.load_state_dict(optimizers["muon"])
        adam.load_state_dict(optimizers["adam"])
    return read_progress(folder)


def read_progress(folder: Path) -> Progress:
    """Where the run that wrote a checkpoint stood."""
    found = json.loads((folder / "progress.json").read_text())["progress"]
    return Progress(**{**found, "cursor": Cursor(**found["cursor"])})


@dataclass(slots=True)
class _Slowest:
    """Seconds that are still needed when the last step begins; guesses until there is something to go by."""

    step: float = 1.0
    evaluation: float = 5.0
    saving: float = 5.0

    @property
    def total(self) -> float:
        return self.step + self.evaluation + self.saving


class _Log:
    """What a run says: a line now and then, the same to ``log.jsonl``, curves for TensorBoard."""

    def __init__(self, folder: Path, plan: Plan, model: llama.Llama, world: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / "log.jsonl").open("a")
        self._board = SummaryWriter(str(folder / "tensorboard"))
        # Windows fill their rows: a token sees half a row on average.
        self._operations = model.operations(model.shape.sequence / 2)
        self._peak = world * _peak_flops(model.head.device)
        self._before: tuple[int, float] | None = None
        parameters = sum(weight.numel() for weight in model.parameters())
        self._write({"plan": asdict(plan), "parameters": parameters, "peak_gflops": round(self._peak / 1e9)})

    def step(self, progress: Progress, nats: float, rate: float) -> None:
        now = time.monotonic()
        entry = {"step": progress.step, "tokens": progress.tokens, "loss_nats": round(nats, 4), "rate": round(rate, 4)}
        if self._before is not None:
            speed = (progress.tokens - self._before[0]) / (now - self._before[1])
            mfu = speed * self._operations / self._peak
            entry |= {"tokens_per_second": round(speed), "mfu": round(mfu, 3)}
        self._before = progress.tokens, now
        self._write(entry)
        self._plot(entry)

    def evaluation(self, progress: Progress, figures: Figures) -> None:
        entry = {"step": progress.step, "tokens": progress.tokens, "seconds": round(progress.seconds)}
        entry |= {f"held_out_bits_per_byte_{name}": round(value, 4) for name, value in asdict(figures).items()}
        self._before = None  # the time this took is not the steps'
        self._write(entry)
        self._plot(entry)

    def _write(self, entry: dict[str, Any]) -> None:
        line = json.dumps(entry)
        print(line, flush=True)
        self._file.write(line + "\n")
        self._file.flush()

    def _plot(self, entry: dict[str, Any]) -> None:
        for name, value in entry.items():
            if name != "step":
                self._board.add_scalar(name, value, entry["step"])

    def close(self) -> None:
        self._file.close()
        self._board.close()


def _peak_flops(device: torch.device) -> float:
    """What a device can do at most: by its data sheet, or measured with a matrix product where there is none."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        for known, tflops in _PEAK_TFLOPS.items():
            if known in name:
                return tflops * 1e12
    size = 1024
    kind = torch.bfloat16 if device.type == "cuda" else torch.float32
    a = torch.randn(size, size, device=device, dtype=kind)
    best = math.inf
    for _ in range(5):
        begun = time.perf_counter()
        float((a @ a)[0, 0])  # a number is asked for, so the product has been made
        best = min(best, time.perf_counter() - begun)
    return 2 * size**3 / best
