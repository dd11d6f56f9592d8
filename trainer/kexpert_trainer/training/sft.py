"""Supervised fine-tuning of an adapter: the command ``kexpert-train sft``.

The loop is ours and short, so that a run resumes exactly, needs no network, and runs the same on a CPU and a GPU. The
base is frozen, in bfloat16 where the hardware has it; the adapter's weights are float32, and are rounded to the base's
type for each step. Padding is on the right under a causal mask, so it needs no mask of its own.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from kexpert.prompt.chat import CHAT_PROMPT_VERSION, END, START, Task
from kexpert_trainer.data.chat_batches import ChatEncoder, Example, batches, epochs
from kexpert_trainer.data.rows import Row, read_rows
from kexpert_trainer.errors import UserError
from kexpert_trainer.models.lora import LoraSettings, add_adapter, compute_dtype, load_adapter, load_base
from kexpert_trainer.training.deadline import Deadline
from kexpert_trainer.training.pretrain import schedule

#: Libraries that would otherwise ask a hub: nothing leaves the machine.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

TRAIN, HELD_OUT = "train.jsonl", "held-out.jsonl"
LAST, BEST = "last", "best"
_STATE, _OPTIMIZER, _MASTERS = "progress.json", "optimizer.pt", "masters.safetensors"


@dataclass(frozen=True, slots=True)
class SftConfig:
    """Decides the result of a run. Tokens are those of prompts and answers, without padding."""

    base: str  # folder of a Hugging Face model
    corpus: str  # folder with ``train.jsonl`` and ``held-out.jsonl``
    tokens: int = 1_000_000
    batch_tokens: int = 1_300  # of one optimizer step, with padding
    learning_rate: float = 5e-4
    warmup: float = 0.02  # fraction of the tokens
    decay: float = 0.4  # fraction of the tokens
    max_tokens: int = 512  # a longer row is left out
    mix: Mapping[str, float] = field(default_factory=lambda: {str(task): 1.0 for task in Task})
    lora: LoraSettings = field(default_factory=LoraSettings)
    seed: int = 0


@dataclass(frozen=True, slots=True)
class SftLimits:
    """Decides how far one call goes, not what it computes."""

    minutes: float = math.inf
    steps: int = 0
    threads: int = 0
    evaluate_every: int = 100  # steps
    evaluation_rows: int = 160
    save_minutes: float = 3.0


@dataclass(slots=True)
class _State:
    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    pool: int = 0  # pools of rows that are done
    batch: int = 0  # batches of the current pool that are done
    best: float = math.inf


def run(config: SftConfig, folder: Path, limits: SftLimits) -> dict[str, float]:
    """Train in ``folder``, from its last checkpoint if there is one. Returns the held-out loss of each task.

    ``folder/best`` and ``folder/last`` hold the adapter as PEFT reads it. Raises UserError, OSError.
    """
    deadline = Deadline(limits.minutes)
    if limits.threads:
        torch.set_num_threads(limits.threads)
    torch.manual_seed(config.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    encoder = chat_encoder(Path(config.base))
    train, held_out = (_rows(Path(config.corpus) / name) for name in (TRAIN, HELD_OUT))
    evaluation = [encoder.example(row) for row in _sample(held_out, limits.evaluation_rows)]

    base = load_base(Path(config.base), device, compute_dtype(device))
    last = folder / LAST
    state = _State()
    if (last / _STATE).is_file():
        model = load_adapter(base, last, trainable=True)
        learner = _Learner(model)
        state = _State(**json.loads((last / _STATE).read_text())["progress"])
        learner.restore(last)
    else:
        model = add_adapter(base, config.lora)
        learner = _Learner(model)
    folder.mkdir(parents=True, exist_ok=True)
    log = (folder / "log.jsonl").open("a")

    def say(entry: dict[str, Any]) -> None:
        print(json.dumps(entry), flush=True)
        log.write(json.dumps(entry) + "\n")
        log.flush()

    say({"config": asdict(config), "rows": len(train), "trainable": sum(m.numel() for m in learner.masters)})
    mix = {Task(task): share for task, share in config.mix.items()}
    last_step = state.step + limits.steps if limits.steps else 1 << 62
    saved = begun = time.monotonic()
    losses: dict[str, float] = {}

    def evaluate_and_save() -> None:
        nonlocal losses, saved
        losses = evaluate(learner, evaluation, config.batch_tokens)
        say({"step": state.step, "tokens": state.tokens, "seconds": round(state.seconds), **losses})
        better = losses["held_out"] < state.best
        state.best = min(state.best, losses["held_out"])
        _save(folder / LAST, learner, state, config, losses)
        if better:
            _save(folder / BEST, learner, state, config, losses)
        saved = time.monotonic()

    running: list[float] = []
    for number, pool in epochs(train, mix, config.seed, state.pool):
        encoded = [example for row in pool if len((example := encoder.example(row)).tokens) <= config.max_tokens]
        todo = batches(encoded, config.batch_tokens, config.seed + number)
        if number != state.pool:
            state.pool, state.batch = number, 0
        for at in range(state.batch, len(todo)):
            if state.tokens >= config.tokens or state.step >= last_step or deadline.is_near():
                evaluate_and_save()
                log.close()
                return losses
            rate = schedule(state.tokens / config.tokens, config.warmup, config.decay)
            running.append(learner.step(todo[at], config.learning_rate * rate))
            state.step += 1
            state.tokens += sum(len(example.tokens) for example in todo[at])
            state.batch = at + 1
            now = time.monotonic()
            deadline.step_took(now - begun)
            state.seconds += now - begun
            if state.step % 20 == 0:
                mean = sum(running) / len(running)
                speed = state.tokens / max(state.seconds, 1e-9)
                say({"step": state.step, "tokens": state.tokens, "loss": round(mean, 4), "rate": round(rate, 3),
                     "tokens_per_second": round(speed)})  # fmt: skip
                running.clear()
            if state.step % limits.evaluate_every == 0:
                evaluate_and_save()
                deadline.evaluation_took(time.monotonic() - now)
            elif time.monotonic() - saved > 60 * limits.save_minutes:
                _save(folder / LAST, learner, state, config, losses)
                saved = time.monotonic()
            begun = time.monotonic()
    raise UserError(f"{config.corpus}: no row of the tasks in the mix ({', '.join(config.mix)})")


class _Learner:
    """Model, float32 copies of the adapter's weights ("masters"), and their optimizer."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.names, self.weights = map(
            list, zip(*((n, w) for n, w in model.named_parameters() if w.requires_grad), strict=True)
        )
        self.masters = [weight.detach().float().clone().requires_grad_() for weight in self.weights]
        self.optimizer = torch.optim.AdamW(self.masters, lr=0.0, betas=(0.9, 0.98), weight_decay=0.0)

    def step(self, batch: Sequence[Example], learning_rate: float) -> float:
        """One optimizer step. Returns the mean loss of an answer's token, in nats."""
        self.model.train()
        total, count = self.loss(batch)
        (total / count).backward()
        for master, weight in zip(self.masters, self.weights, strict=True):
            master.grad = weight.grad.float()
            weight.grad = None
        torch.nn.utils.clip_grad_norm_(self.masters, 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.publish()
        return float(total.detach()) / count

    def publish(self) -> None:
        """Round the masters into the model."""
        with torch.no_grad():
            for master, weight in zip(self.masters, self.weights, strict=True):
                weight.copy_(master)

    def loss(self, batch: Sequence[Example]) -> tuple[Tensor, int]:
        """(sum of the losses of the answers' tokens, in nats; their number). The head sees those tokens alone."""
        length = max(len(example.tokens) for example in batch)
        device = self.weights[0].device
        tokens = torch.zeros(len(batch), length, dtype=torch.long)
        rows: list[int] = []
        places: list[int] = []
        for row, example in enumerate(batch):
            tokens[row, : len(example.tokens)] = torch.tensor(example.tokens)
            wanted = range(example.answer_start - 1, len(example.tokens) - 1)
            rows += [row] * len(wanted)
            places += wanted
        tokens = tokens.to(device)
        causal = self.model.get_base_model()
        hidden = causal.model(tokens, use_cache=False).last_hidden_state
        at = (torch.tensor(rows, device=device), torch.tensor(places, device=device))
        logits = causal.lm_head(hidden[at]).float()
        targets = tokens[at[0], at[1] + 1]
        return cross_entropy(logits, targets, reduction="sum"), len(rows)

    def save(self, folder: Path) -> None:
        from safetensors.torch import save_file

        self.model.save_pretrained(str(folder), safe_serialization=True)
        save_file(dict(zip(self.names, (m.detach() for m in self.masters), strict=True)), str(folder / _MASTERS))
        torch.save(self.optimizer.state_dict(), folder / _OPTIMIZER)

    def restore(self, folder: Path) -> None:
        from safetensors.torch import load_file

        stored = load_file(str(folder / _MASTERS))
        with torch.no_grad():
            for name, master in zip(self.names, self.masters, strict=True):
                master.copy_(stored[name])
        self.publish()
        self.optimizer.load_state_dict(torch.load(folder / _OPTIMIZER, weights_only=True))


def evaluate(learner: _Learner, examples: Sequence[Example], batch_tokens: int) -> dict[str, float]:
    """Loss in nats a token of the answers, of each task and (mean of the tasks) as ``held_out``."""
    learner.model.eval()
    found: dict[str, float] = {}
    with torch.no_grad():
        for task in Task:
            own = [example for example in examples if example.task is task]
            sums = [learner.loss(batch) for batch in batches(own, 2 * batch_tokens, 0)]
            if sums:
                found[str(task)] = round(sum(float(total) for total, _ in sums) / sum(count for _, count in sums), 4)
    found["held_out"] = round(sum(found.values()) / max(len(found), 1), 4)
    return found


def chat_encoder(base: Path) -> ChatEncoder:
    """The encoder of a base's tokenizer. Raises UserError if it lacks the markers of ChatML."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    found = {marker: tokenizer.token_to_id(marker) for marker in (START, END)}
    special = {marker: number for marker, number in found.items() if number is not None}
    if len(special) < len(found):
        raise UserError(f"{base}: its tokenizer has no {START} and {END}")
    tokenizer.encode_special_tokens = True
    return ChatEncoder(lambda text: list(tokenizer.encode(text, add_special_tokens=False).ids), special)


def _rows(path: Path) -> list[Row]:
    if not path.is_file():
        raise UserError(f"{path}: no such file; kexpert-train mine makes it")
    return list(read_rows(path))


def _sample(rows: Sequence[Row], count: int) -> list[Row]:
    """The first rows of each task, an equal number of each."""
    tasks = [[row for row in rows if row.task is task] for task in Task]
    present = [own for own in tasks if own]
    return [row for own in present for row in own[: count // len(present)]]


def _save(folder: Path, learner: _Learner, state: _State, config: SftConfig, losses: Mapping[str, float]) -> None:
    """Write a checkpoint; a kill at any time leaves a whole one."""
    part, old = folder.with_suffix(".part"), folder.with_suffix(".old")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    learner.save(part)
    entries = {"config": asdict(config), "chat_prompt_version": CHAT_PROMPT_VERSION, "progress": asdict(state),
               "losses": dict(losses)}  # fmt: skip
    (part / _STATE).write_text(json.dumps(entries, indent=2))
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    part.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
