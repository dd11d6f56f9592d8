"""A checkpoint's weights as a few files of a limited size, for a machine that gives nothing larger back.

Matrices travel as bfloat16: what a model that was trained in it loses by that is far below what Q8_0 costs.
Optimizers stay behind.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from kexpert_trainer.data import tokenizer as tokenizers
from kexpert_trainer.models import llama

_LIST = "parts.json"
_OTHERS = (llama.CONFIG, tokenizers.FILE_NAME, "progress.json")
_WHOLE = "weights.bf16"


def split(checkpoint: Path, folder: Path, most_bytes: int) -> list[str]:
    """Write the parts of a checkpoint into a folder; returns their names, in order."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = load_file(checkpoint / llama.WEIGHTS)
    halved = {name: tensor.bfloat16() if tensor.ndim == 2 else tensor for name, tensor in weights.items()}
    whole = folder / _WHOLE
    save_file(halved, whole)
    data = whole.read_bytes()
    whole.unlink()
    names = [f"weights-{at:02d}" for at in range(-(-len(data) // most_bytes))]
    for at, name in enumerate(names):
        (folder / name).write_bytes(data[at * most_bytes : (at + 1) * most_bytes])
    record = {"weights": names, "sha256": hashlib.sha256(data).hexdigest()}
    record |= {name: (checkpoint / name).read_text() for name in _OTHERS}
    (folder / _LIST).write_text(json.dumps(record))
    return [_LIST, *names]


def join(folder: Path, checkpoint: Path) -> None:
    """Make a new checkpoint, without optimizers, of its parts. Raises ValueError when one is missing or broken."""
    record = json.loads((folder / _LIST).read_text())
    missing = [name for name in record["weights"] if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"{folder} lacks {', '.join(missing)}")
    data = b"".join((folder / name).read_bytes() for name in record["weights"])
    if hashlib.sha256(data).hexdigest() != record["sha256"]:
        raise ValueError(f"the parts in {folder} are not of one checkpoint, or one is broken")
    checkpoint.mkdir(parents=True)  # which must not be there: it could hold optimizers that belong to other weights
    whole = checkpoint / _WHOLE
    whole.write_bytes(data)
    weights = {name: tensor.to(torch.float32) for name, tensor in load_file(whole).items()}
    whole.unlink()
    save_file(weights, checkpoint / llama.WEIGHTS, metadata={"format": "pt"})
    for name in _OTHERS:
        (checkpoint / name).write_text(record[name])
