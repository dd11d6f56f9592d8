"""Forward pass of attention: one kernel and its launcher."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kexpert_kernels import autotuning
from kexpert_kernels.autotuning import Configuration
from kexpert_kernels.tiles import (
    LN2,
    LOG2E,
    describable,
    descriptor,
    kept,
    load_tile,
    new_output,
    spans,
    store_tile,
    tile_side,
    tiles_of,
    visible_keys,
)


@triton.jit
def _attend(
    out, total, peak, q, K, V, k_strides, v_strides, seed, batch, head, key_head, rows, lo, hi, begin, end, keys,
    scale, keep,
    D: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr, MASKED: tl.constexpr, LOWER: tl.constexpr,
    DROPOUT: tl.constexpr, TMA: tl.constexpr,
):  # fmt: skip
    """Fold one span of keys into the running output, sum and peak of the online softmax.

    LOWER: masked keys have a lower bound as well as an upper bound.
    """
    for first in tl.range(begin, end, BLOCK_N):
        k = load_tile(K, k_strides, batch, key_head, first, keys, BLOCK_N, D, BLOCK_D, MASKED, TMA)
        scores = tl.dot(q, k.T, input_precision="ieee")
        columns = first + tl.arange(0, BLOCK_N)
        if MASKED:
            visible = columns[None, :] < hi[:, None]
            if LOWER:
                visible = visible & (columns[None, :] >= lo[:, None])
            scores = tl.where(visible, scores, float("-inf"))
        new_peak = tl.maximum(peak, tl.max(scores, 1) * scale)
        # A row that has seen no key yet has peak minus infinity; subtracting it from itself would give NaN.
        shift = tl.where(new_peak == float("-inf"), 0.0, new_peak) if MASKED else new_peak
        weights = tl.exp2(scores * scale - shift[:, None])
        decay = tl.exp2(peak - shift)
        total = total * decay + tl.sum(weights, 1)
        if DROPOUT:
            weights = tl.where(kept(seed, head, rows[:, None], columns[None, :], keep), weights, 0.0)
        v = load_tile(V, v_strides, batch, key_head, first, keys, BLOCK_N, D, BLOCK_D, MASKED, TMA)
        out = tl.dot(weights.to(v.dtype), v, out * decay[:, None], input_precision="ieee")
        peak = new_peak
    return out, total, peak


@triton.jit(do_not_specialize=["heads", "group", "queries", "keys", "offset", "window"])
def flash_forward_kernel(
    Q, K, V, Out, Lse, Ranges, Seed, q_strides, k_strides, v_strides, o_strides, heads, group, queries, keys,
    offset, window, scale, keep,
    D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr, CAUSAL: tl.constexpr,
    WINDOWED: tl.constexpr, RANGES: tl.constexpr, DROPOUT: tl.constexpr, TMA: tl.constexpr,
):  # fmt: skip
    """O = dropout(softmax(scale * Q K^T)) V and L = logsumexp(scale * Q K^T), over the keys a query sees.

    One program computes BLOCK_M queries of one head; it walks over the keys in tiles of BLOCK_N with the online softmax

        m' = max(m, max_j s_j)    p_j = 2^(s_j - m')    l' = 2^(m - m') l + sum_j p_j    O' = 2^(m - m') O + p V

    in fp32, with s in units of log 2. Tiles that no query sees are skipped; tiles that every query sees are not masked.
    Several query heads share a key head: head h reads key head h // group, without a copy in memory.

    Q, Out  (batch, heads, queries, D)       fp16, bf16 or fp32, any strides
    K, V    (batch, key heads, keys, D)      the same dtype, any strides; descriptors with TMA
    Lse     (batch, heads, queries)          fp32, natural logarithm, minus infinity for a query that sees no key
    Ranges  (batch, 2, queries)              int32, see ``ranges``; otherwise causal (key <= query + offset) and window
    Seed    (1,)                             int64, for dropout with probability 1 - keep

    Source: Dao, "FlashAttention-2: Faster Attention with Better Parallelism and Work Partitioning", 2023, algorithm 1.
    """
    tiles = tl.cdiv(queries, BLOCK_M)
    program = tl.program_id(0)
    head = program // tiles  # over batch and heads
    batch = head // heads
    tile = program % tiles
    if CAUSAL:
        tile = tiles - 1 - tile  # the longest rows first
    first = tile * BLOCK_M
    rows = first + tl.arange(0, BLOCK_M)
    key_head = head % heads // group

    lo, hi = visible_keys(rows, Ranges, batch, queries, keys, offset, window, CAUSAL, WINDOWED, RANGES)
    a, b, c, d = spans(lo, hi, BLOCK_N)
    q = load_tile(Q, q_strides, batch, head % heads, first, queries, BLOCK_M, D, BLOCK_D, True, False)
    seed = tl.load(Seed) if DROPOUT else 0
    out = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
    total = tl.zeros([BLOCK_M], tl.float32)
    peak = tl.full([BLOCK_M], float("-inf"), tl.float32)
    scale_log2 = scale * LOG2E
    # fmt: off
    if WINDOWED or RANGES:
        out, total, peak = _attend(
            out, total, peak, q, K, V, k_strides, v_strides, seed, batch, head, key_head, rows, lo, hi, a, b, keys,
            scale_log2, keep,
            D, BLOCK_N, BLOCK_D, True, WINDOWED or RANGES, DROPOUT, TMA,
        )
    out, total, peak = _attend(
        out, total, peak, q, K, V, k_strides, v_strides, seed, batch, head, key_head, rows, lo, hi, b, c, keys,
        scale_log2, keep,
        D, BLOCK_N, BLOCK_D, False, False, DROPOUT, TMA,
    )
    out, total, peak = _attend(
        out, total, peak, q, K, V, k_strides, v_strides, seed, batch, head, key_head, rows, lo, hi, c, d, keys,
        scale_log2, keep,
        D, BLOCK_N, BLOCK_D, True, WINDOWED or RANGES, DROPOUT, TMA,
    )
    # fmt: on
    seen = total > 0
    total = tl.where(seen, total, 1.0)
    lse = tl.where(seen, (peak + tl.log2(total)) * LN2, float("-inf"))
    tl.store(Lse + tl.cast(head, tl.int64) * queries + rows, lse, mask=rows < queries)
    out = out * (1.0 / (total * keep))[:, None]
    store_tile(Out, o_strides, out, batch, head % heads, first, queries, BLOCK_M, D, BLOCK_D)


@autotuning.on_its_device
def flash_forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    ranges: Tensor | None,
    seed: Tensor | None,
    causal: bool,
    offset: int,
    window: int,
    scale: float,
    dropout: float,
    configuration: Configuration | None = None,
) -> tuple[Tensor, Tensor]:
    """Return output and log-sum-exp, laid out as by ``new_output``.

    :param window: 0 for none.
    :param configuration: the autotuner's choice unless given.
    """
    batch, heads, queries, d = q.shape
    keys = k.shape[2]
    out, lse = new_output(q)
    if out.numel() == 0:
        return out, lse
    if keys == 0:
        return out.zero_(), lse.fill_(-torch.inf)
    block_d = tile_side(d)

    def launch(c: Configuration, warmup: bool = False) -> None:
        k_source, v_source = (descriptor(x, c.block_n, block_d) if c.tma else x for x in (k, v))
        flash_forward_kernel.run(
            q, k_source, v_source, out, lse, ranges, seed, q.stride(), k.stride(), v.stride(), out.stride(),
            heads, heads // k.shape[1], queries, keys, offset, window, scale, 1.0 - dropout,
            D=d, BLOCK_M=c.block_m, BLOCK_N=c.block_n, BLOCK_D=block_d, CAUSAL=causal and ranges is None,
            WINDOWED=window > 0 and ranges is None, RANGES=ranges is not None, DROPOUT=dropout > 0, TMA=c.tma,
            num_warps=c.warps, num_stages=c.stages,
            grid=(tiles_of(queries, c.block_m) * batch * heads,), warmup=warmup,
        )  # fmt: skip

    if configuration is None:
        case = (block_d, q.dtype, causal, window > 0, ranges is not None, dropout > 0, autotuning.bucket(queries))
        configuration = autotuning.choose("forward", case, q, launch, tma=describable(k) and describable(v))
    launch(configuration)
    return out, lse
