"""The keys that each query sees, as one interval per query.

Causal, sliding-window, padded, packed and cached attention all have this form: query ``i`` of row ``b`` sees the keys
``lo[b, i] <= j < hi[b, i]``. The kernels take the intervals as an int32 tensor (batch, 2, queries) that holds ``lo``
and ``hi``. A query with an empty interval sees no key; its output is zero.
"""

from __future__ import annotations

import torch
from torch import Tensor


def causal_ranges(
    batch: int,
    queries: int,
    keys: int,
    *,
    offset: int | None = None,
    window: int | None = None,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Return intervals: query ``i`` sees keys up to ``i + offset``, only the last ``window`` of them if given.

    ``offset=None`` aligns the last query with the last key (bottom right), ``offset=0`` the first with the first.
    """
    last = torch.arange(queries, device=device, dtype=torch.int32) + (keys - queries if offset is None else offset)
    lo = torch.zeros_like(last) if window is None else last - (window - 1)
    return torch.stack([lo.clamp(min=0), (last + 1).clamp(0, keys)]).expand(batch, 2, queries).contiguous()


def packed_ranges(
    starts_q: Tensor, starts_k: Tensor, queries: int, *, causal: bool = True, window: int | None = None
) -> Tensor:
    """Return intervals (1, 2, queries) for sequences laid end to end in one row.

    ``starts_q`` and ``starts_k`` are the int32 ``cu_seqlens`` of flash-attention: (sequences + 1,) running sums that
    begin with 0. Causal attention aligns the last query of each sequence with its last key. Queries after the last
    sequence see nothing. The values stay on the device; the host does not wait for it.
    """
    position = torch.arange(queries, device=starts_q.device, dtype=starts_q.dtype)
    sequence = torch.searchsorted(starts_q, position, right=True) - 1
    inside = sequence < len(starts_q) - 1
    sequence = sequence.clamp(max=len(starts_q) - 2)
    lo, hi = starts_k[sequence], starts_k[sequence + 1]
    if causal:
        last = hi - starts_q[sequence + 1] + position
        hi = torch.minimum(hi, last + 1)
        if window is not None:
            lo = torch.maximum(lo, last - (window - 1))
    hi = torch.where(inside, hi, lo)
    return torch.stack([lo, hi]).to(torch.int32)[None]


def ranges_of_mask(mask: Tensor) -> Tensor:
    """Return the smallest intervals around the visible keys of a boolean mask (batch, queries, keys)."""
    keys = mask.shape[-1]
    seen = mask.any(-1)
    bits = mask.to(torch.int32)
    lo = bits.argmax(-1)
    hi = keys - bits.flip(-1).argmax(-1)
    return torch.stack([lo * seen, hi * seen], dim=1).to(torch.int32)


def mask_of_ranges(ranges: Tensor, keys: int) -> Tensor:
    """Return the boolean mask (batch, queries, keys) that is equivalent to the intervals."""
    key = torch.arange(keys, device=ranges.device, dtype=torch.int32)
    lo, hi = ranges[:, 0, :, None], ranges[:, 1, :, None]
    return (key >= lo) & (key < hi)
