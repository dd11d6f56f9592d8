"""Checkpoints of a run: weights as transformers reads them, tokenizer, optimizers, and the state of the run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from kexpert_trainer.data import tokenizer as tokenizers
from kexpert_trainer.errors import UserError
from kexpert_trainer.models import llama
from kexpert_trainer.training.batches import Cursor
from kexpert_trainer.training.optimizers import Optimizers

#: The name of a run's checkpoint in its folder.
LAST = "last"
OPTIMIZERS = "optimizers.pt"
STATE = "progress.json"
_PART, _OLD = ".part", ".old"


@dataclass(slots=True)
class RunState:
    """How far a run has come."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0  # of training, over all calls
    corpus: str = ""  # identity of the corpus that ``cursor`` refers to
    cursor: Cursor = field(default_factory=Cursor)


def save(
    folder: Path, state: RunState, described: Mapping[str, Any], model: llama.Llama, optimizers: Optimizers,
    tokenizer: Tokenizer,
) -> None:  # fmt: skip
    """Write a checkpoint; a kill at any time leaves this one or the one before (see ``latest``).

    ``described``: further entries of ``progress.json``.
    """
    part, old = folder.with_suffix(_PART), folder.with_suffix(_OLD)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    llama.save(model, part)
    tokenizer.save(str(part / tokenizers.FILE_NAME))
    torch.save({name: optimizer.state_dict() for name, optimizer in optimizers.items()}, part / OPTIMIZERS)
    (part / STATE).write_text(json.dumps({**described, "progress": asdict(state)}, indent=2))
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    part.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def latest(folder: Path) -> Path | None:
    """The checkpoint to continue from: ``folder``, or the one before if a kill interrupted its replacement."""
    candidates = (folder, folder.with_suffix(_OLD))
    return next((path for path in candidates if path.exists()), None)


def restore(folder: Path, model: llama.Llama, optimizers: Optimizers) -> RunState:
    """Load a checkpoint into model and optimizers. Raises UserError if it does not fit them."""
    found = llama.read_size(folder)
    if found != model.size:
        raise UserError(
            f"{folder} holds a model of another size ({found}, not {model.size}); give the --size and a corpus of the "
            "run that wrote it, or another --out"
        )
    device = model.head.device
    model.load_state_dict(load_file(folder / llama.WEIGHTS, device=str(device)))
    if (folder / OPTIMIZERS).exists():  # absent in a checkpoint that was joined from parts
        states = torch.load(folder / OPTIMIZERS, map_location=device, weights_only=True)
        for name, optimizer in optimizers.items():
            if states[name]["param_groups"][0].keys() != optimizer.state_dict()["param_groups"][0].keys():
                raise UserError(
                    f"{folder / OPTIMIZERS} is of another version's {name}; delete it to continue with new optimizers"
                )
            optimizer.load_state_dict(states[name])
    return read_state(folder)


def read_state(folder: Path) -> RunState:
    """How far the run had come that wrote a checkpoint."""
    found = json.loads((folder / STATE).read_text())["progress"]
    return RunState(**{**found, "cursor": Cursor(**found["cursor"])})
