"""The named sizes of models."""

from __future__ import annotations

from dataclasses import dataclass

HEAD_SIZE = 64


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a model. K-quants want widths that are multiples of 256."""

    width: int
    layers: int
    hidden: int
    kv_heads: int
    vocabulary: int
    sequence: int
    theta: float = 10_000.0
    epsilon: float = 1e-5

    @property
    def heads(self) -> int:
        return self.width // HEAD_SIZE


#: Name -> width, layers, hidden, kv_heads. Beside it: parameters of the layers, and with an embedding of 16,384.
SIZES: dict[str, tuple[int, int, int, int]] = {
    "tiny": (64, 2, 128, 1),  # for tests
    "2m": (256, 3, 512, 2),  # 1.8M, 6.0M: for minutes of CPU, with a vocabulary of 4,096
    "4m": (256, 4, 768, 2),  # 3.1M, 7.3M
    "8m": (256, 8, 1024, 2),  # 7.9M, 12M
    "30m": (512, 8, 1536, 4),  # 25M, 34M
    "60m": (768, 8, 2048, 6),  # 52M, 64M
    "100m": (768, 14, 2048, 6),  # 91M, 104M
}


def shape_of(size: str, vocabulary: int, sequence: int) -> Shape:
    """The shape of a named size."""
    width, layers, hidden, kv_heads = SIZES[size]
    return Shape(width, layers, hidden, kv_heads, vocabulary, sequence)
