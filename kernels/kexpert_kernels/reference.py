"""Attention in plain PyTorch, the reference for the kernels.

    O = dropout(softmax(scale * Q K^T + mask)) V        L = logsumexp(scale * Q K^T + mask)

A query that sees no key has output 0 and log-sum-exp minus infinity. The layouts are those of the kernels: q (batch,
heads, queries, d), k and v (batch, key heads, keys, d); heads are a multiple of key heads.
"""

from __future__ import annotations

import torch
from torch import Tensor


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    visible: Tensor | None = None,
    *,
    scale: float | None = None,
    keep: Tensor | None = None,
    dropout: float = 0.0,
    upcast: bool = True,
) -> tuple[Tensor, Tensor]:
    """Return the output in the dtype of ``q`` and log-sum-exp (batch, heads, queries) in fp32.

    :param visible: boolean, broadcast to (batch, heads, queries, keys); True where a query sees a key.
    :param keep: boolean of the same shape, True where dropout keeps a weight.
    :param upcast: compute in fp32. Without it every step rounds to the dtype of the inputs.
    """
    dtype = q.dtype
    if upcast:
        q, k, v = q.float(), k.float(), v.float()
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
    scores = (q @ k.mT) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if visible is not None:
        scores = scores.masked_fill(~visible, -torch.inf)
    lse = torch.logsumexp(scores.float(), dim=-1)
    seen = lse > -torch.inf
    weights = torch.softmax(torch.where(seen[..., None], scores, 0.0), dim=-1) * seen[..., None].to(scores.dtype)
    if keep is not None:
        weights = weights * keep / (1 - dropout)
    return (weights @ v).to(dtype), lse
