"""How near is near: flash-attention's own bound."""

from __future__ import annotations

import torch
from torch import Tensor


def assert_as_good(got: Tensor, reference: Tensor, plain: Tensor, what: str = "output") -> None:
    """At most twice as far from the fp32 reference as plain PyTorch in the same dtype is, and a few roundings.

    The bound of flash-attention's tests (tests/test_flash_attn.py): errors are of the dtype and not of the algorithm.
    """
    assert got.dtype == plain.dtype
    got, reference, plain = got.detach().float(), reference.detach(), plain.detach()
    rounding = (16 if plain.dtype == torch.float32 else 2) * torch.finfo(plain.dtype).eps
    bound = 2 * _farthest(plain - reference) + rounding * _farthest(reference) + 1e-6
    assert torch.isfinite(got).all(), what
    assert _farthest(got - reference) <= bound, f"{what}: {_farthest(got - reference)} > {bound}"


def _farthest(x: Tensor) -> float:
    return float(x.abs().max()) if x.numel() else 0.0
