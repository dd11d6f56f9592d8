"""Base models that the trainer knows by name: their real names, shapes, licences, and the memory that each way needs.

Shapes are those of each model's ``config.json`` on the Hugging Face hub. Memory is an estimate from the shape; a dry
run of the fine-tuning measures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: ``model_type`` in ``config.json``.
Family = Literal["llama", "qwen2", "granite"]

#: Memory of common cards and machines, in GB (10^9 bytes).
TIERS_GB = (4, 6, 8, 12, 16, 24, 32, 48, 80, 96, 141, 192, 288)

_BF16, _FP32 = 2.0, 4.0
#: Bytes a weight: NF4 with double quantisation keeps 4 bits, and 8 bits + 32/256 bits for each 64 weights.
_NF4 = (4 + (8 + 32 / 256) / 64) / 8
#: Llama.cpp's Q4_K_M and Q8_0, whole file over weights.
_Q4, _Q8 = 4.85 / 8, 8.5 / 8
#: CUDA's context and what the allocator leaves unused.
_DEVICE_BYTES = 1.0e9
#: Tensors of one layer that live during its backward pass, in multiples of the widths of layer and MLP.
_LIVE_WIDTHS, _LIVE_MLP_WIDTHS = 12, 6


@dataclass(frozen=True, slots=True)
class Shape:
    """The numbers of a decoder with grouped-query attention and SwiGLU that memory depends on."""

    layers: int
    width: int
    mlp_width: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    tied: bool  # the head is the embedding
    qkv_bias: bool = False

    @property
    def linear_weights(self) -> int:
        """Weights of all linear layers but the head."""
        return self.layers * sum(rows * columns for rows, columns in self._linears())

    @property
    def parameters(self) -> int:
        biases = (self.heads + 2 * self.kv_heads) * self.head_size if self.qkv_bias else 0
        norms = 2 * self.width
        embeddings = self.vocabulary * self.width * (1 if self.tied else 2)
        return self.linear_weights + self.layers * (biases + norms) + embeddings + self.width

    def lora_parameters(self, rank: int) -> int:
        """Parameters of a LoRA on all linear layers."""
        return self.layers * sum(rank * (rows + columns) for rows, columns in self._linears())

    def _linears(self) -> list[tuple[int, int]]:
        query, kv = self.heads * self.head_size, self.kv_heads * self.head_size
        attention = [(query, self.width), (kv, self.width), (kv, self.width), (self.width, query)]
        return attention + [(self.mlp_width, self.width)] * 2 + [(self.width, self.mlp_width)]


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that a model needs, for training at ``tokens`` a batch and for serving at a context of 4096."""

    lora_bf16: float
    qlora_nf4: float
    serve_q4: float
    serve_q8: float


@dataclass(frozen=True, slots=True)
class Preset:
    """A base model."""

    name: str
    hub: str  # owner/model on the Hugging Face hub
    family: Family
    licence: str  # SPDX where there is one, else the name that its makers gave it
    context: int  # tokens
    shape: Shape

    def memory(self, tokens: int = 2048, rank: int = 16) -> Memory:
        """Estimate memory: checkpointed layers, chunked head, Adam in float32 (LoRA) or paged 8 bits (QLoRA)."""
        shape, adapter = self.shape, self.shape.lora_parameters(rank)
        others = shape.parameters - shape.linear_weights  # never quantised by bitsandbytes
        kept = shape.layers * shape.width
        live = _LIVE_WIDTHS * shape.width + _LIVE_MLP_WIDTHS * shape.mlp_width
        activations = tokens * (kept + live) * _BF16
        training = activations + _DEVICE_BYTES
        cache = 2 * shape.layers * shape.kv_heads * shape.head_size * 4096 * _BF16
        return Memory(
            lora_bf16=shape.parameters * _BF16 + adapter * 4 * _FP32 + training,
            qlora_nf4=shape.linear_weights * _NF4 + others * _BF16 + adapter * (2 * _FP32 + 2) + training,
            serve_q4=shape.parameters * _Q4 + cache,
            serve_q8=shape.parameters * _Q8 + cache,
        )


def tier_gb(needed_bytes: float) -> int:
    """The smallest usual memory that holds so much, in GB; 0 if none does."""
    return next((tier for tier in TIERS_GB if needed_bytes <= tier * 1e9), 0)


def _qwen(size: str, layers: int, width: int, mlp_width: int, heads: int, kv_heads: int, tied: bool) -> Preset:
    vocabulary = 151_936 if tied else 152_064
    return Preset(
        f"qwen2.5-coder-{size.lower()}",
        f"Qwen/Qwen2.5-Coder-{size}-Instruct",
        "qwen2",
        "qwen-research" if size == "3B" else "Apache-2.0",
        32_768,
        Shape(layers, width, mlp_width, heads, kv_heads, width // heads, vocabulary, tied, qkv_bias=True),
    )


PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            "smollm2-135m", "HuggingFaceTB/SmolLM2-135M-Instruct", "llama", "Apache-2.0", 8_192,
            Shape(30, 576, 1_536, 9, 3, 64, 49_152, tied=True),
        ),
        _qwen("0.5B", 24, 896, 4_864, 14, 2, tied=True),
        _qwen("1.5B", 28, 1_536, 8_960, 12, 2, tied=True),
        _qwen("3B", 36, 2_048, 11_008, 16, 2, tied=True),
        _qwen("7B", 28, 3_584, 18_944, 28, 4, tied=False),
        _qwen("14B", 48, 5_120, 13_824, 40, 8, tied=False),
        _qwen("32B", 64, 5_120, 27_648, 40, 8, tied=False),
        Preset(
            "llama-3.1-8b", "meta-llama/Llama-3.1-8B-Instruct", "llama", "llama3.1", 131_072,
            Shape(32, 4_096, 14_336, 32, 8, 128, 128_256, tied=False),
        ),
        Preset(
            "granite-3.1-8b", "ibm-granite/granite-3.1-8b-instruct", "granite", "Apache-2.0", 131_072,
            Shape(40, 4_096, 12_800, 32, 8, 128, 49_155, tied=True),
        ),
    )
}  # fmt: skip
