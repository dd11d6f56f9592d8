"""Log of a run: a line now and then on standard output and in ``log.jsonl``, curves for TensorBoard."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from kexpert_trainer.models.llama import Llama
from kexpert_trainer.training.checkpoint import RunState
from kexpert_trainer.training.held_out import HeldOutLoss

#: Dense bf16 TFLOP/s from the makers' data sheets, for MFU (model FLOP/s utilisation, Chowdhery et al. 2022).
_PEAK_TFLOPS = {"H100": 989.0, "H200": 989.0, "A100": 312.0, "B200": 2250.0, "L40S": 362.0}


class RunLog:
    """Log of one rank for ``world`` ranks."""

    def __init__(self, folder: Path, described: Mapping[str, Any], model: Llama, world: int) -> None:
        """``described``: the first line's entries, such as the run's configuration."""
        from torch.utils.tensorboard import SummaryWriter

        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / "log.jsonl").open("a")
        self._board: Any = SummaryWriter(str(folder / "tensorboard"))
        # Documents fill their rows: a token attends to half a row on average.
        self._flops_per_token = model.flops_per_token(model.size.sequence / 2)
        self._peak_flops = world * _peak_flops(model.head.device)
        self._previous: tuple[int, float] | None = None  # tokens and time of the previous step entry
        parameters = sum(weight.numel() for weight in model.parameters())
        self._write({**described, "parameters": parameters, "peak_gflops": round(self._peak_flops / 1e9)})

    def step(self, state: RunState, nats: float, rate: float) -> None:
        """``nats``: mean loss a token; ``rate``: factor of the learning rates."""
        now = time.monotonic()
        entry = {"step": state.step, "tokens": state.tokens, "loss_nats": round(nats, 4), "rate": round(rate, 4)}
        if self._previous is not None:
            tokens_per_second = (state.tokens - self._previous[0]) / (now - self._previous[1])
            mfu = tokens_per_second * self._flops_per_token / self._peak_flops
            entry |= {"tokens_per_second": round(tokens_per_second), "mfu": round(mfu, 3)}
        self._previous = state.tokens, now
        self._write(entry)
        self._plot(entry)

    def evaluation(self, state: RunState, loss: HeldOutLoss) -> None:
        entry: dict[str, float] = {"step": state.step, "tokens": state.tokens, "seconds": round(state.seconds)}
        entry |= {f"held_out_bits_per_byte_{name}": round(value, 4) for name, value in asdict(loss).items()}
        self._previous = None  # the evaluation's time must not count as a step's
        self._write(entry)
        self._plot(entry)

    def close(self) -> None:
        self._file.close()
        self._board.close()

    def _write(self, entry: Mapping[str, Any]) -> None:
        line = json.dumps(entry)
        print(line, flush=True)
        self._file.write(line + "\n")
        self._file.flush()

    def _plot(self, entry: Mapping[str, float]) -> None:
        for name, value in entry.items():
            if name != "step":
                self._board.add_scalar(name, value, entry["step"])


def _peak_flops(device: torch.device) -> float:
    """Peak FLOP/s of a device: from its data sheet, or measured with a matrix product."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        for known, tflops in _PEAK_TFLOPS.items():
            if known in name:
                return tflops * 1e12
    size = 1024
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    a = torch.randn(size, size, device=device, dtype=dtype)
    best = math.inf
    for _ in range(5):
        begun = time.perf_counter()
        float((a @ a)[0, 0])  # reading an element waits for the product
        best = min(best, time.perf_counter() - begun)
    return 2 * size**3 / best
