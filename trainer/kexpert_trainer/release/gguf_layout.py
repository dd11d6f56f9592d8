"""How GGUF names and orders the weights of a Hugging Face model, by architecture.

Source: ``gguf-py/gguf/constants.py`` and ``src/llama-model.cpp`` of llama.cpp.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kexpert_trainer.errors import UserError

CONFIG = "config.json"
_MAX_CONFIG_BYTES = 1 << 20

_MODULES = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip
_OUTSIDE_LAYERS = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
_LAYER = re.compile(r"model\.layers\.(\d{1,4})\.([\w.]+)")


@dataclass(frozen=True, slots=True)
class Architecture:
    """One architecture of llama.cpp."""

    name: str  # general.architecture
    #: Rotary positions rotate neighbouring pairs, so that the rows of Q and K are stored interleaved.
    interleaved: bool


#: ``model_type`` of transformers -> architecture.
ARCHITECTURES = {
    "llama": Architecture("llama", True),
    "mistral": Architecture("llama", True),
    "qwen2": Architecture("qwen2", False),
    "granite": Architecture("granite", True),
}


def read_config(base: Path) -> dict[str, Any]:
    """``config.json`` of a Hugging Face folder. Raises UserError if there is none that can be read."""
    file = base / CONFIG
    if not file.is_file() or file.stat().st_size > _MAX_CONFIG_BYTES:
        raise UserError(f"{base}: no Hugging Face model (it lacks {CONFIG}); make one with kexpert-train base")
    try:
        config = json.loads(file.read_bytes())
    except ValueError as problem:
        raise UserError(f"{file}: not JSON ({problem}); make the folder again") from None
    if not isinstance(config, dict):
        raise UserError(f"{file}: not a JSON object; make the folder again")
    return config


def architecture_of(config: Mapping[str, Any]) -> Architecture:
    """The architecture of a ``config.json``. Raises UserError for one that cannot be written as GGUF here."""
    model_type = config.get("model_type")
    if model_type not in ARCHITECTURES:
        raise UserError(f"a model of type {model_type!r} cannot be written as GGUF; known: {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[model_type]


def module_name(name: str) -> str:
    """Name of a module in transformers -> in GGUF.

    >>> module_name("model.layers.3.self_attn.q_proj")
    'blk.3.attn_q'

    Raises UserError for a module that has no place in GGUF.
    """
    if name in _OUTSIDE_LAYERS:
        return _OUTSIDE_LAYERS[name]
    found = _LAYER.fullmatch(name)
    if found is None or found[2] not in _MODULES:
        raise UserError(f"{name}: a module that has no place in GGUF")
    return f"blk.{found[1]}.{_MODULES[found[2]]}"


def heads_of(name: str, config: Mapping[str, Any]) -> int:
    """The number of heads of a Q or K projection; 0 for any other module."""
    heads = int(config["num_attention_heads"])
    if name.endswith("q_proj"):
        return heads
    return int(config.get("num_key_value_heads") or heads) if name.endswith("k_proj") else 0


def interleave(rows: NDArray[Any], heads: int) -> NDArray[Any]:
    """Reorder each head's rows from (0, 1, …, D - 1) to (0, D / 2, 1, D / 2 + 1, …): the rotary order of llama.cpp.

    ``rows`` (heads * D, columns) or (heads * D,).
    """
    return rows.reshape(heads, 2, -1, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def stored_rows(name: str, rows: NDArray[Any], config: Mapping[str, Any]) -> NDArray[Any]:
    """The rows of a module's output (weight, bias, or the B of a LoRA) in the order in which GGUF stores them."""
    heads = heads_of(name, config) if architecture_of(config).interleaved else 0
    return np.ascontiguousarray(interleave(rows, heads)) if heads else rows
