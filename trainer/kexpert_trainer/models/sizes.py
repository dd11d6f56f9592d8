"""The named sizes of language models."""

from __future__ import annotations

from dataclasses import dataclass

HEAD_SIZE = 64


@dataclass(frozen=True, slots=True)
class ModelSize:
    """Dimensions of a Llama. K-quants need a ``width`` and ``mlp_width`` that are multiples of 256."""

    width: int
    layers: int
    mlp_width: int
    kv_heads: int
    vocabulary: int
    sequence: int  # maximum tokens
    rope_theta: float = 10_000.0
    rms_epsilon: float = 1e-5

    @property
    def heads(self) -> int:
        return self.width // HEAD_SIZE


#: Name -> width, layers, mlp_width, kv_heads. Beside it: parameters of the layers, and with an embedding of 16,384.
SIZES: dict[str, tuple[int, int, int, int]] = {
    "tiny": (64, 2, 128, 1),  # for tests
    "2m": (256, 3, 512, 2),  # 1.8M, 6.0M: for minutes of CPU, with a vocabulary of 4,096
    "4m": (256, 4, 768, 2),  # 3.1M, 7.3M
    "8m": (256, 8, 1024, 2),  # 7.9M, 12M
    "30m": (512, 8, 1536, 4),  # 25M, 34M
    "60m": (768, 8, 2048, 6),  # 52M, 64M
    "100m": (768, 14, 2048, 6),  # 91M, 104M
}


def named_size(name: str, vocabulary: int, sequence: int) -> ModelSize:
    """The dimensions of a name in ``SIZES``."""
    width, layers, mlp_width, kv_heads = SIZES[name]
    return ModelSize(width, layers, mlp_width, kv_heads, vocabulary, sequence)
