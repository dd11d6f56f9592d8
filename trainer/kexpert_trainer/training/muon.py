"""Muon: orthogonalised momentum (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/).

For the matrices of the layers; embedding and norms are AdamW's. The update of a matrix is its Nesterov momentum with
all singular values brought near 1 by five Newton-Schulz steps, times sqrt(max(1, rows / columns)).

Not torch.optim.Muon, which computes the same but always in bfloat16: losses are equal within noise, but on a CPU
without bfloat16 instructions its step takes up to 15 times as long (docs/log.md, 2026-11-28). Here a CPU computes in
float32, and matrices of one shape are orthogonalised together, in one batched product.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor

_A, _B, _C = 3.4445, -4.7750, 2.0315  # of the quintic a x + b x^3 + c x^5, from the source above
_STEPS = 5


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum and decoupled weight decay, for tensors (rows, columns)."""

    def __init__(
        self, matrices: Iterable[Tensor], lr: float = 0.02, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for matrix in group["params"]:
                if matrix.grad is not None:
                    by_shape[matrix.shape].append(matrix)
            for matrices in by_shape.values():
                self._update(matrices, group)
        return loss

    def _update(self, matrices: list[Tensor], group: dict[str, Any]) -> None:
        """Update matrices of one shape."""
        momentum = group["momentum"]
        directions = []
        for matrix in matrices:
            gradient = matrix.grad
            assert gradient is not None
            state = self.state[matrix]
            if not state:
                state["momentum"] = torch.zeros_like(matrix)
            state["momentum"].lerp_(gradient, 1 - momentum)
            directions.append(gradient.lerp(state["momentum"], momentum))  # Nesterov
        rows, columns = matrices[0].shape
        scale = max(1.0, rows / columns) ** 0.5
        for matrix, update in zip(matrices, orthogonalise(torch.stack(directions)), strict=True):
            matrix.mul_(1 - group["lr"] * group["weight_decay"])
            matrix.add_(update.to(matrix.dtype), alpha=-group["lr"] * scale)


def orthogonalise(matrices: Tensor) -> Tensor:
    """Bring the singular values of each matrix between about 0.7 and 1.2, keeping its singular vectors.

    ``matrices`` (n, rows, columns) float32; computed and returned in bfloat16 on a GPU, in float32 on a CPU.
    """
    x = matrices.bfloat16() if matrices.is_cuda else matrices
    is_tall = x.shape[1] > x.shape[2]
    x = x.mT if is_tall else x
    norm: Tensor = x.norm(dim=(1, 2), keepdim=True)
    x = x / (norm + 1e-7)
    for _ in range(_STEPS):
        square = x @ x.mT
        x = _A * x + (_B * square + _C * square @ square) @ x
    return x.mT if is_tall else x
