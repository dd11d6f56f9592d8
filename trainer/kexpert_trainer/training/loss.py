"""Cross entropy of a linear head without its logits: they are made, used and forgotten a few rows at a time.

    loss = sum over tokens of  logsumexp(W h) - (W h)[target]        dloss/d(W h) = softmax(W h) - onehot(target)

The gradients of ``h`` and ``W`` are taken in the forward pass, while the logits are there (as Liger-Kernel does).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

IGNORED = -100
#: Logits of so many bytes are held at once: what a cache or a small part of a GPU's memory holds.
_CHUNK_BYTES = {"cpu": 4 << 20, "cuda": 1 << 30}


class _HeadLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        head = weight.to(hidden.dtype)
        total = hidden.new_zeros((), dtype=torch.float32)
        hidden_gradient = torch.empty_like(hidden)
        weight_gradient = torch.zeros_like(weight)
        for rows in _chunks(hidden, weight):
            h, target = hidden[rows], targets[rows]
            gradient = (h @ head.T).float().log_softmax(1)
            ignored = (target == IGNORED).nonzero().squeeze(1)
            index = target.clamp(min=0).unsqueeze(1)
            nats = gradient.gather(1, index).index_fill_(0, ignored, 0.0)
            total -= nats.sum()
            gradient.exp_().scatter_add_(1, index, torch.full_like(nats, -1.0))
            gradient = gradient.index_fill_(0, ignored, 0.0).to(hidden.dtype)
            hidden_gradient[rows] = gradient @ head
            weight_gradient += gradient.T @ h
        ctx.save_for_backward(hidden_gradient, weight_gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, Tensor, None]:
        hidden_gradient, weight_gradient = ctx.saved_tensors
        return hidden_gradient * upstream[0].to(hidden_gradient.dtype), weight_gradient * upstream[0], None


def head_loss(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Sum of the cross entropies, in nats. ``hidden`` (N, width), ``weight`` (vocabulary, width), ``targets`` (N,)."""
    with torch.autocast(hidden.device.type, enabled=False):
        loss = _HeadLoss.apply(hidden, weight, targets)
    assert isinstance(loss, Tensor)
    return loss


@torch.no_grad()
def token_losses(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy of every token, in nats; 0 where the target is ignored."""
    head = weight.to(hidden.dtype)
    return torch.cat(
        [
            F.cross_entropy((hidden[rows] @ head.T).float(), targets[rows], ignore_index=IGNORED, reduction="none")
            for rows in _chunks(hidden, weight)
        ]
    )


def _chunks(hidden: Tensor, weight: Tensor) -> list[slice]:
    most = _CHUNK_BYTES.get(hidden.device.type, 64 << 20)
    rows = max(most // (4 * weight.shape[0]), 64)
    return [slice(start, start + rows) for start in range(0, hidden.shape[0], rows)]
