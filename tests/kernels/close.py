"""The error bound of flash-attention's tests."""

from __future__ import annotations

import torch
from torch import Tensor


def assert_as_good(got: Tensor, reference: Tensor, plain: Tensor, what: str = "output") -> None:
    """Assert at most twice the error of plain PyTorch in the same dtype against fp32, plus a few roundings.

    The bound of flash-attention (tests/test_flash_attn.py): errors come from the dtype, not from the algorithm.
    """
    assert got.dtype == plain.dtype
    got, reference, plain = got.detach().float(), reference.detach(), plain.detach()
    rounding = (16 if plain.dtype == torch.float32 else 2) * torch.finfo(plain.dtype).eps
    bound = 2 * _farthest(plain - reference) + rounding * _farthest(reference) + 1e-6
    assert torch.isfinite(got).all(), what
    assert _farthest(got - reference) <= bound, f"{what}: {_farthest(got - reference)} > {bound}"


def _farthest(x: Tensor) -> float:
    return float(x.abs().max()) if x.numel() else 0.0
