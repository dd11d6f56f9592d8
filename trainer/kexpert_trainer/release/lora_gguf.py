"""Writes a PEFT LoRA as GGUF, which llama.cpp loads beside the base in GGUF.

llama.cpp adds (alpha / rank) B A x to each adapted product, with one alpha for the file and each tensor's own rank.
PEFT scales by alpha / r, rsLoRA by alpha / sqrt(r) (Kalajdzievski 2023, arXiv:2312.03732). The file's alpha gives the
scale of the first module; where another module's scale differs, its B is multiplied by the ratio.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import quantize
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from kexpert_trainer.errors import UserError
from kexpert_trainer.release.gguf_layout import architecture_of, module_name, read_config, stored_rows

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_PREFIX = "base_model.model."
_Q8_0_BLOCK = 32
_STORED = {
    "F32": GGMLQuantizationType.F32, "F16": GGMLQuantizationType.F16, "Q8_0": GGMLQuantizationType.Q8_0,
}  # fmt: skip
#: Settings of PEFT that a LoRA in GGUF cannot express -> the value that leaves them off.
_UNSUPPORTED = {
    "use_dora": False, "lora_bias": False, "fan_in_fan_out": False, "alora_invocation_tokens": None,
    "modules_to_save": None, "trainable_token_indices": None, "layer_replication": None, "target_parameters": None,
}  # fmt: skip

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class LoraModule:
    """The two matrices of one adapted module; it adds ``scale * B A x``."""

    a: Floats  # (rank, inputs)
    b: Floats  # (outputs, rank)
    scale: float

    @property
    def rank(self) -> int:
        return int(self.a.shape[0])


def read_lora(adapter: Path) -> dict[str, LoraModule]:
    """Read a PEFT folder: name of a module in transformers -> its LoRA. Raises UserError if it is no plain LoRA."""
    config = _read_adapter_config(adapter)
    matrices: dict[str, dict[str, Floats]] = {}
    try:
        with safe_open(adapter / ADAPTER_WEIGHTS, "pt") as file:  # numpy has no bfloat16
            for key in file.keys():  # noqa: SIM118 (no mapping)
                name, kind = _module_and_kind(adapter, key)
                matrices.setdefault(name, {})[kind] = file.get_tensor(key).float().numpy()
    except (OSError, SafetensorError) as problem:
        raise UserError(f"{adapter / ADAPTER_WEIGHTS}: cannot be read ({problem}); train the adapter again") from None
    modules: dict[str, LoraModule] = {}
    for name, found in matrices.items():
        a, b = found.get("lora_A"), found.get("lora_B")
        if a is None or b is None or a.ndim != 2 or b.ndim != 2 or a.shape[0] != b.shape[1]:
            raise UserError(f"{adapter}: the LoRA of {name} is incomplete; train the adapter again")
        modules[name] = LoraModule(a, b, _scale(adapter, config, name, a.shape[0]))
    if not modules:
        raise UserError(f"{adapter}: holds no LoRA; train the adapter again")
    return modules


def write_lora_gguf(adapter: Path, base: Path, target: Path, kind: str = "F16", name: str = "") -> None:
    """Write a PEFT folder as one GGUF. ``base``: the Hugging Face folder of its base, for the architecture.

    ``kind`` is F32, F16 or Q8_0. Where rows are no multiple of 32 (B: the rank), Q8_0 falls back to F16.
    Raises UserError.
    """
    if kind not in _STORED:
        raise UserError(f"{kind}: a LoRA is written as {', '.join(_STORED)}")
    config = read_config(base)
    modules = read_lora(adapter)
    first = next(iter(modules.values()))
    alpha = first.scale * first.rank
    writer = GGUFWriter(target, architecture_of(config).name)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha)
    writer.add_name(name or adapter.name)
    for module, lora in modules.items():
        stored_name = module_name(module)
        b = stored_rows(module, lora.b, config) * np.float32(lora.scale * lora.rank / alpha)
        for suffix, matrix in (("lora_a", lora.a), ("lora_b", b)):
            stored = _STORED["F16" if kind == "Q8_0" and matrix.shape[1] % _Q8_0_BLOCK else kind]
            writer.add_tensor(f"{stored_name}.weight.{suffix}", quantize(matrix, stored), raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _read_adapter_config(adapter: Path) -> Mapping[str, Any]:
    if not (adapter / ADAPTER_WEIGHTS).is_file() or not (adapter / ADAPTER_CONFIG).is_file():
        raise UserError(f"{adapter}: no PEFT adapter ({ADAPTER_CONFIG}, {ADAPTER_WEIGHTS}); give `best` of a run")
    try:
        config = json.loads((adapter / ADAPTER_CONFIG).read_bytes())
    except ValueError as problem:
        raise UserError(f"{adapter / ADAPTER_CONFIG}: not JSON ({problem}); train the adapter again") from None
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        raise UserError(f"{adapter}: not a LoRA; only LoRA can be written as GGUF")
    for setting, off in _UNSUPPORTED.items():
        if config.get(setting) not in (off, None, []):
            raise UserError(f"{adapter}: {setting} has no place in a LoRA in GGUF; merge the adapter instead")
    return config


def _module_and_kind(adapter: Path, key: str) -> tuple[str, str]:
    """``base_model.model.NAME.lora_A.weight`` -> (NAME, "lora_A")."""
    name, _, kind = key.removeprefix(_PREFIX).removesuffix(".weight").rpartition(".")
    if not key.startswith(_PREFIX) or not key.endswith(".weight") or kind not in ("lora_A", "lora_B"):
        raise UserError(f"{adapter}: {key} has no place in a LoRA in GGUF; merge the adapter instead")
    return name, kind


def _scale(adapter: Path, config: Mapping[str, Any], module: str, rank: int) -> float:
    """What PEFT multiplies B A with. ``alpha_pattern`` names modules by the ends of their names."""
    alpha = config.get("lora_alpha")
    for pattern, value in (config.get("alpha_pattern") or {}).items():
        if not pattern.replace("_", "").replace(".", "").isalnum():
            raise UserError(f"{adapter}: alpha_pattern {pattern!r} is a regular expression; name modules instead")
        if module == pattern or module.endswith(f".{pattern}"):
            alpha = value
            break
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not alpha > 0:
        raise UserError(f"{adapter / ADAPTER_CONFIG}: lora_alpha is {alpha!r}, not a number above 0")
    return float(alpha) / (math.sqrt(rank) if config.get("use_rslora") else rank)
