"""Cross entropy of a linear head, computed in chunks of rows so that the logits (N, vocabulary) never exist as a whole.

    loss = sum over tokens of  logsumexp(W h) - (W h)[target]        dloss/d(W h) = softmax(W h) - onehot(target)

The gradients of ``h`` and ``W`` are computed in the forward pass, while a chunk's logits exist (as in Liger-Kernel,
arXiv:2410.10989). Not taken from a library: Liger-Kernel and cut-cross-entropy (arXiv:2411.09009) need Triton and a
GPU; this also trains on a CPU, where the tests compare it with ``F.cross_entropy``.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

IGNORED = -100
#: Bytes of logits held at once, by type of device: a CPU's cache, a small part of a GPU's memory.
_CHUNK_BYTES = {"cpu": 4 << 20, "cuda": 1 << 30}


class _LinearCrossEntropy(torch.autograd.Function):
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


def linear_cross_entropy(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Sum of the tokens' cross entropies, in nats, as float32.

    ``hidden`` (N, width) float32 or bfloat16, ``weight`` (vocabulary, width) float32, ``targets`` (N,) int64, IGNORED
    where there is none.
    """
    with torch.autocast(hidden.device.type, enabled=False):
        loss = _LinearCrossEntropy.apply(hidden, weight, targets)  # type: ignore[no-untyped-call]
    assert isinstance(loss, Tensor)
    return loss


@torch.no_grad()
def token_losses(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Cross entropy of each token (N,), in nats; 0 where the target is IGNORED. Arguments as above; no gradient."""
    head = weight.to(hidden.dtype)
    return torch.cat(
        [
            F.cross_entropy((hidden[rows] @ head.T).float(), targets[rows], ignore_index=IGNORED, reduction="none")
            for rows in _chunks(hidden, weight)
        ]
    )


def _chunks(hidden: Tensor, weight: Tensor) -> list[slice]:
    max_bytes = _CHUNK_BYTES.get(hidden.device.type, 64 << 20)
    rows = max(max_bytes // (4 * weight.shape[0]), 64)
    return [slice(start, start + rows) for start in range(0, hidden.shape[0], rows)]
