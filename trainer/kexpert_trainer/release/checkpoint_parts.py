"""A checkpoint's weights as files of a limited size, for transfers that take nothing larger, and back.

Matrices are stored as bfloat16; for a model that was trained in it, the loss is far below that of Q8_0. Optimizers are
left out.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from kexpert_trainer.data import tokenizer as tokenizers
from kexpert_trainer.errors import UserError
from kexpert_trainer.models import llama
from kexpert_trainer.training.checkpoint import STATE

_LIST = "parts.json"
_TEXT_FILES = (llama.CONFIG, tokenizers.FILE_NAME, STATE)
_JOINED = "weights.bf16"


def split(checkpoint: Path, folder: Path, max_bytes: int) -> list[str]:
    """Write the parts of a checkpoint into a folder; returns their names, in order. Raises UserError, OSError."""
    llama.read_size(checkpoint)
    folder.mkdir(parents=True, exist_ok=True)
    weights = load_file(checkpoint / llama.WEIGHTS)
    half = {name: tensor.bfloat16() if tensor.ndim == 2 else tensor for name, tensor in weights.items()}
    joined = folder / _JOINED
    save_file(half, joined)
    data = joined.read_bytes()
    joined.unlink()
    names = [f"weights-{at:02d}" for at in range(-(-len(data) // max_bytes))]
    for at, name in enumerate(names):
        (folder / name).write_bytes(data[at * max_bytes : (at + 1) * max_bytes])
    record = {"weights": names, "sha256": hashlib.sha256(data).hexdigest()}
    record |= {name: (checkpoint / name).read_text() for name in _TEXT_FILES}
    (folder / _LIST).write_text(json.dumps(record))
    return [_LIST, *names]


def join(folder: Path, checkpoint: Path) -> None:
    """Make a new checkpoint, without optimizers, from its parts. Raises UserError if one is missing or broken."""
    if not (folder / _LIST).is_file():
        raise UserError(f"{folder}: no parts of a checkpoint (it lacks {_LIST}); kexpert-train parts writes them")
    record = json.loads((folder / _LIST).read_text())
    missing = [name for name in record["weights"] if not (folder / name).is_file()]
    if missing:
        raise UserError(f"{folder} lacks {', '.join(missing)}; copy the missing parts")
    data = b"".join((folder / name).read_bytes() for name in record["weights"])
    if hashlib.sha256(data).hexdigest() != record["sha256"]:
        raise UserError(f"the parts in {folder} are not of one checkpoint, or one is broken; copy them again")
    if checkpoint.exists():  # it could hold optimizers of other weights
        raise UserError(f"{checkpoint}: exists already; give a new folder")
    checkpoint.mkdir(parents=True)
    joined = checkpoint / _JOINED
    joined.write_bytes(data)
    weights = {name: tensor.to(torch.float32) for name, tensor in load_file(joined).items()}
    joined.unlink()
    save_file(weights, checkpoint / llama.WEIGHTS, metadata={"format": "pt"})
    for name in _TEXT_FILES:
        (checkpoint / name).write_text(record[name])
