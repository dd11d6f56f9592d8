"""Writes a Hugging Face folder (Llama, Mistral, Qwen2, Granite with a byte-level BPE) as GGUF.

Weights go from safetensors to the file one tensor at a time. Embedding and head are stored in eight bits at least, as
llama.cpp does for its smaller kinds.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType
from gguf.quants import quant_shape_to_byte_shape, quantize
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from kexpert_trainer.errors import UserError
from kexpert_trainer.release.gguf_layout import architecture_of, module_name, read_config, stored_rows
from kexpert_trainer.release.gguf_tokenizer import add_tokenizer

_INDEX, _SINGLE = "model.safetensors.index.json", "model.safetensors"
_BLOCK = 32  # weights of a block of Q8_0, Q4_1, Q5_1

_Types = GGMLQuantizationType
#: Kinds that the ``gguf`` package writes: type of matrices, type of embedding and head, type of the file.
WRITTEN = {
    "F32": (_Types.F32, _Types.F32, LlamaFileType.ALL_F32),
    "F16": (_Types.F16, _Types.F16, LlamaFileType.MOSTLY_F16),
    "BF16": (_Types.BF16, _Types.BF16, LlamaFileType.MOSTLY_BF16),
    "Q8_0": (_Types.Q8_0, _Types.Q8_0, LlamaFileType.MOSTLY_Q8_0),
    "Q5_1": (_Types.Q5_1, _Types.Q8_0, LlamaFileType.MOSTLY_Q5_1),
    "Q4_1": (_Types.Q4_1, _Types.Q8_0, LlamaFileType.MOSTLY_Q4_1),
}


@dataclass(frozen=True, slots=True)
class Description:
    """What a GGUF says about itself."""

    name: str
    licence: str = ""
    provenance: str = ""


class SafetensorsFolder:
    """The weights of a Hugging Face folder, in one file or several. Raises UserError if one cannot be read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, Path] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self._open = ExitStack()
        for file in _weight_files(folder):
            try:
                with safe_open(file, "pt") as tensors:  # numpy has no bfloat16
                    for name in tensors.keys():  # noqa: SIM118 (no mapping)
                        self._files[name] = file
                        self.shapes[name] = tuple(tensors.get_slice(name).get_shape())
            except (OSError, SafetensorError) as problem:
                raise UserError(f"{file}: cannot be read ({problem}); make the folder again") from None

    def read(self, name: str) -> NDArray[np.float32]:
        """One tensor as float32."""
        with safe_open(self._files[name], "pt") as tensors:
            values: NDArray[np.float32] = tensors.get_tensor(name).float().numpy()
            return values


def write_hf_gguf(
    base: Path, target: Path, kind: str, description: Description, report: Callable[[int, int], None] = lambda *_: None,
    template: str = "",
) -> None:  # fmt: skip
    """Write ``base`` as GGUF of a kind in ``WRITTEN``. ``report(done, total)`` counts tensors.

    ``template``: the chat template, "" for that of ``base``.

    Raises UserError for a model, a tokenizer or a kind that cannot be written.
    """
    if kind not in WRITTEN:
        raise UserError(f"{kind}: written here are {', '.join(WRITTEN)}")
    config = read_config(base)
    weights = SafetensorsFolder(base)
    matrices, outer, file_type = WRITTEN[kind]
    part = target.with_name(target.name + ".part")
    writer = GGUFWriter(part, architecture_of(config).name)
    _add_description(writer, description, file_type)
    _add_dimensions(writer, config)
    add_tokenizer(writer, base, int(config["vocab_size"]), template)
    tensors = list(_tensors(config, weights, matrices, outer))
    for tensor in tensors:
        writer.add_tensor_info(
            tensor.name, _byte_shape(tensor), np.dtype(np.uint8), tensor.bytes, raw_dtype=tensor.stored
        )  # fmt: skip
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for done, tensor in enumerate(tensors, 1):
        writer.write_tensor_data(quantize(tensor.load(), tensor.stored))
        report(done, len(tensors))
    writer.close()
    os.replace(part, target)


@dataclass(frozen=True, slots=True)
class _Tensor:
    name: str
    shape: tuple[int, ...]
    stored: GGMLQuantizationType
    load: Callable[[], NDArray[np.float32]]

    @property
    def bytes(self) -> int:
        return math.prod(_byte_shape(self))


def _byte_shape(tensor: _Tensor) -> tuple[int, ...]:
    return quant_shape_to_byte_shape(tensor.shape, tensor.stored)


def _tensors(
    config: Mapping[str, Any], weights: SafetensorsFolder, matrices: GGMLQuantizationType, outer: GGMLQuantizationType
) -> Iterator[_Tensor]:
    tied = bool(config.get("tie_word_embeddings"))
    for name, shape in weights.shapes.items():
        module, _, kind = name.rpartition(".")
        if kind not in ("weight", "bias"):
            continue  # buffers, such as rotary frequencies
        if module == "lm_head" and tied:
            continue
        stored = matrices if module.startswith("model.layers.") else outer
        if len(shape) == 1:
            stored = _Types.F32
        elif shape[-1] % _BLOCK and stored not in (_Types.F32, _Types.F16, _Types.BF16):
            stored = _Types.F16

        def load(name: str = name, module: str = module) -> NDArray[np.float32]:
            return stored_rows(module, weights.read(name), config)

        yield _Tensor(f"{module_name(module)}.{kind}", shape, stored, load)
    factors = _rope_factors(config)
    if factors is not None:
        yield _Tensor("rope_freqs.weight", factors.shape, _Types.F32, lambda: factors)


def _weight_files(folder: Path) -> list[Path]:
    if (folder / _INDEX).is_file():
        try:
            names = sorted(set(json.loads((folder / _INDEX).read_bytes())["weight_map"].values()))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UserError(f"{folder / _INDEX}: not an index of weights; make the folder again") from None
        if any(Path(name).name != name for name in names):
            raise UserError(f"{folder / _INDEX}: names a file outside its folder")
        return [folder / name for name in names]
    if not (folder / _SINGLE).is_file():
        raise UserError(f"{folder}: has no {_SINGLE}; make the folder again")
    return [folder / _SINGLE]


def _add_description(writer: GGUFWriter, description: Description, file_type: LlamaFileType) -> None:
    writer.add_type("model")
    writer.add_name(description.name)
    if description.licence:
        writer.add_license(description.licence)
    if description.provenance:
        writer.add_description(description.provenance)
    writer.add_file_type(file_type)
    writer.add_quantization_version(2)


def _add_dimensions(writer: GGUFWriter, config: Mapping[str, Any]) -> None:
    heads, width = int(config["num_attention_heads"]), int(config["hidden_size"])
    head = int(config.get("head_dim") or width // heads)
    writer.add_context_length(int(config["max_position_embeddings"]))
    writer.add_embedding_length(width)
    writer.add_block_count(int(config["num_hidden_layers"]))
    writer.add_feed_forward_length(int(config["intermediate_size"]))
    writer.add_head_count(heads)
    writer.add_head_count_kv(int(config.get("num_key_value_heads") or heads))
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(float(_rope(config).get("rope_theta") or config.get("rope_theta") or 10_000.0))
    writer.add_layer_norm_rms_eps(float(config["rms_norm_eps"]))
    writer.add_vocab_size(int(config["vocab_size"]))
    if config["model_type"] == "granite":
        writer.add_embedding_scale(float(config["embedding_multiplier"]))
        writer.add_residual_scale(float(config["residual_multiplier"]))
        writer.add_attention_scale(float(config["attention_multiplier"]))
        writer.add_logit_scale(float(config["logits_scaling"]))


def _rope(config: Mapping[str, Any]) -> Mapping[str, Any]:
    return config.get("rope_parameters") or config.get("rope_scaling") or {}


def _rope_factors(config: Mapping[str, Any]) -> NDArray[np.float32] | None:
    """The factors that divide rotary frequencies; None if all are 1. Raises UserError for an unknown kind.

    Llama 3.1 stretches the slow ones (``_compute_llama3_parameters`` of transformers).
    """
    rope = _rope(config)
    kind = rope.get("rope_type") or rope.get("type") or "default"
    if kind == "default":
        return None
    if kind != "llama3":
        raise UserError(f"rotary positions of type {kind!r} cannot be written as GGUF; known: default, llama3")
    head = int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])
    theta = float(rope.get("rope_theta") or config.get("rope_theta") or 10_000.0)
    factor, low, high = (float(rope[key]) for key in ("factor", "low_freq_factor", "high_freq_factor"))
    original = float(rope["original_max_position_embeddings"])
    turns = original / (2 * math.pi * theta ** (np.arange(0, head, 2) / head))  # of each pair, in the first context
    smooth = np.clip((turns - low) / (high - low), 0, 1)
    return (1 / ((1 - smooth) / factor + smooth)).astype(np.float32)
