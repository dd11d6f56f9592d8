"""Backward pass of attention: three kernels and their launcher.

The kernels recompute the weights from the log-sum-exp instead of storing them. One kernel walks over the queries for
the gradients of K and V, another over the keys for the gradient of Q. This takes seven products of tiles where a single
kernel with atomic additions needs five, but gives the same bits in every run.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

from kexpert_kernels import autotuning
from kexpert_kernels.autotuning import Configuration
from kexpert_kernels.tiles import (
    LOG2E,
    describable,
    descriptor,
    kept,
    load_tile,
    spans,
    store_tile,
    tile_side,
    tiles_of,
    visible_keys,
    within_32_bits,
)

#: The rows of L and delta are padded to a multiple of this, the height of the tallest tile of queries.
PADDED_TO = 128


@triton.jit(do_not_specialize=["heads", "queries"])
def row_terms_kernel(
    Out, Grad, GradLse, Lse, Terms, o_strides, g_strides, heads, queries, padded,
    D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Compute the terms that every gradient of a softmax row needs.

    They are L_i in units of log 2, and delta_i = sum_c dO_ic O_ic - dL_i.

    Rows past the last query have an infinite L, so that their weights are zero without a mask.

    Out, Grad (dO) (batch, heads, queries, D), any strides; Lse (L) and GradLse (dL) (batch, heads, queries) fp32
    Terms          (batch, heads, 2, padded) fp32, padded a multiple of BLOCK_M
    """
    tiles = padded // BLOCK_M
    head = tl.program_id(0) // tiles
    first = tl.program_id(0) % tiles * BLOCK_M
    batch = head // heads
    out = load_tile(Out, o_strides, batch, head % heads, first, queries, BLOCK_M, D, BLOCK_D, True, False)
    grad = load_tile(Grad, g_strides, batch, head % heads, first, queries, BLOCK_M, D, BLOCK_D, True, False)
    rows = first + tl.arange(0, BLOCK_M)
    at = tl.cast(head, tl.int64) * queries + rows
    lse = tl.load(Lse + at, mask=rows < queries, other=float("inf"))
    grad_lse = tl.load(GradLse + at, mask=rows < queries, other=0.0)
    terms = Terms + tl.cast(head, tl.int64) * 2 * padded + rows
    tl.store(terms, lse * LOG2E)
    tl.store(terms + padded, tl.sum(out.to(tl.float32) * grad.to(tl.float32), 1) - grad_lse)


@triton.jit
def _row_terms(Terms, padded, head, first, ROWS: tl.constexpr, TMA: tl.constexpr):
    """Load L and delta of ROWS rows of one head; with TMA, ``Terms`` is a descriptor with blocks of (1, ROWS)."""
    if TMA:
        lse = Terms.load([head * 2, first]).reshape(ROWS)
        delta = Terms.load([head * 2 + 1, first]).reshape(ROWS)
    else:
        terms = Terms + tl.cast(head, tl.int64) * 2 * padded + first + tl.arange(0, ROWS)
        lse = tl.load(terms)
        delta = tl.load(terms + padded)
    return lse, delta


@triton.jit
def _keys_from_queries(
    dk, dv, k, v, Q, Grad, q_strides, g_strides, Terms, padded, Ranges, seed, batch, head, heads, columns, begin,
    end, queries, keys, offset, window, scale, keep,
    D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_D: tl.constexpr, MASKED: tl.constexpr, CAUSAL: tl.constexpr,
    WINDOWED: tl.constexpr, RANGES: tl.constexpr, DROPOUT: tl.constexpr, TMA: tl.constexpr,
):  # fmt: skip
    """Add one span of the queries of one head to the gradients of a tile of keys; tiles are (keys, queries)."""
    for first in tl.range(begin, end, BLOCK_M):
        q = load_tile(Q, q_strides, batch, head % heads, first, queries, BLOCK_M, D, BLOCK_D, True, TMA)
        grad = load_tile(Grad, g_strides, batch, head % heads, first, queries, BLOCK_M, D, BLOCK_D, True, TMA)
        rows = first + tl.arange(0, BLOCK_M)
        lse, delta = _row_terms(Terms, padded, head, first, BLOCK_M, TMA)
        weights = tl.exp2(tl.dot(k, q.T, input_precision="ieee") * scale - lse[None, :])
        if MASKED:
            lo, hi = visible_keys(rows, Ranges, batch, queries, keys, offset, window, CAUSAL, WINDOWED, RANGES)
            visible = columns[:, None] < hi[None, :]
            if WINDOWED or RANGES:
                visible = visible & (columns[:, None] >= lo[None, :])
            weights = tl.where(visible, weights, 0.0)
        grad_weights = tl.dot(v, grad.T, input_precision="ieee")
        dropped = weights
        if DROPOUT:
            keeping = kept(seed, head, rows[None, :], columns[:, None], keep)
            dropped = tl.where(keeping, weights / keep, 0.0)
            grad_weights = tl.where(keeping, grad_weights / keep, 0.0)
        dv = tl.dot(dropped.to(grad.dtype), grad, dv, input_precision="ieee")
        grad_scores = weights * (grad_weights - delta[None, :])
        dk = tl.dot(grad_scores.to(q.dtype), q, dk, input_precision="ieee")
    return dk, dv


@triton.jit(do_not_specialize=["heads", "queries", "keys", "offset", "window"])
def flash_backward_keys_kernel(
    Q, K, V, Grad, Terms, GradK, GradV, Ranges, Seed, q_strides, k_strides, v_strides, g_strides, dk_strides,
    dv_strides, heads, group, queries, padded, keys, offset, window, scale, keep,
    D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr, CAUSAL: tl.constexpr,
    WINDOWED: tl.constexpr, RANGES: tl.constexpr, DROPOUT: tl.constexpr, TMA: tl.constexpr,
):  # fmt: skip
    """dV = (P o Z)^T dO and dK = scale * dS^T Q, with P = exp(scale * Q K^T - L) and dS = P o (Z o (dO V^T) - delta).

    Z is the dropout mask divided by 1 - dropout. One program owns BLOCK_N keys of one key head and walks over the
    queries of every head of its group that can see them, so that no additions are atomic.

    Q, Grad (dO)                 (batch, heads, queries, D)      fp16, bf16 or fp32, any strides
    K, V, GradK (dK), GradV (dV) (batch, key heads, keys, D)     the same dtype, any strides
    Terms (L, delta)             (batch, heads, 2, padded)       fp32, see ``row_terms_kernel``
    Ranges, Seed, offset, window as in ``flash_forward_kernel``

    Source: Dao, "FlashAttention-2", 2023, algorithm 2, the loop over blocks of keys.
    """
    tiles = tl.cdiv(keys, BLOCK_N)
    program = tl.program_id(0)
    key_heads = heads // group
    batch = program // tiles // key_heads
    key_head = program // tiles % key_heads
    low = program % tiles * BLOCK_N
    columns = low + tl.arange(0, BLOCK_N)
    high = tl.minimum(low + BLOCK_N, keys)  # the keys of this program: low to high

    # The queries that can see these keys: [a, b) masked, [b, c) see all of them, [c, d) masked.
    a, b, c, d = 0, 0, queries, queries
    if RANGES:
        firsts = tl.zeros([1024], tl.int32) + queries
        ends = tl.zeros([1024], tl.int32)
        for start in tl.range(0, queries, 1024):
            rows = start + tl.arange(0, 1024)
            lo, hi = visible_keys(rows, Ranges, batch, queries, keys, offset, window, CAUSAL, WINDOWED, RANGES)
            seeing = (rows < queries) & (lo < hi) & (lo < high) & (hi > low)
            firsts = tl.minimum(firsts, tl.where(seeing, rows, queries))
            ends = tl.maximum(ends, tl.where(seeing, rows + 1, 0))
        a, d = queries, 0
        if queries > 0:  # always true; without the branch Triton 3.9 loses the alignment of all pointers from here on
            a, d = tl.min(firsts, 0), tl.max(ends, 0)
        b = tl.cdiv(d, BLOCK_M) * BLOCK_M
    if CAUSAL:
        a = tl.maximum(low - offset, 0)
        b = tl.cdiv(tl.maximum(high - 1 - offset, 0), BLOCK_M) * BLOCK_M
        if WINDOWED:
            d = tl.maximum(tl.minimum(queries, high - 1 + window - offset), 0)
            c = tl.minimum(queries, tl.maximum(low + window - offset, 0)) // BLOCK_M * BLOCK_M
    a = a // BLOCK_M * BLOCK_M
    b = tl.maximum(tl.minimum(b, tl.cdiv(d, BLOCK_M) * BLOCK_M), a)
    c = tl.maximum(c, b)

    k = load_tile(K, k_strides, batch, key_head, low, keys, BLOCK_N, D, BLOCK_D, True, False)
    v = load_tile(V, v_strides, batch, key_head, low, keys, BLOCK_N, D, BLOCK_D, True, False)
    seed = tl.load(Seed) if DROPOUT else 0
    dk = tl.zeros([BLOCK_N, BLOCK_D], tl.float32)
    dv = tl.zeros([BLOCK_N, BLOCK_D], tl.float32)
    scale_log2 = scale * LOG2E
    # fmt: off
    for member in range(group):
        head = batch * heads + key_head * group + member
        if CAUSAL or RANGES:
            dk, dv = _keys_from_queries(
                dk, dv, k, v, Q, Grad, q_strides, g_strides, Terms, padded, Ranges, seed, batch, head, heads, columns,
                a, b, queries, keys, offset, window, scale_log2, keep,
                D, BLOCK_M, BLOCK_D, True, CAUSAL, WINDOWED, RANGES, DROPOUT, TMA,
            )
        if not RANGES:
            dk, dv = _keys_from_queries(
                dk, dv, k, v, Q, Grad, q_strides, g_strides, Terms, padded, Ranges, seed, batch, head, heads, columns,
                b, c, queries, keys, offset, window, scale_log2, keep,
                D, BLOCK_M, BLOCK_D, False, CAUSAL, WINDOWED, RANGES, DROPOUT, TMA,
            )
        if WINDOWED:
            dk, dv = _keys_from_queries(
                dk, dv, k, v, Q, Grad, q_strides, g_strides, Terms, padded, Ranges, seed, batch, head, heads, columns,
                c, d, queries, keys, offset, window, scale_log2, keep,
                D, BLOCK_M, BLOCK_D, True, CAUSAL, WINDOWED, RANGES, DROPOUT, TMA,
            )
    # fmt: on
    store_tile(GradK, dk_strides, dk * scale, batch, key_head, low, keys, BLOCK_N, D, BLOCK_D)
    store_tile(GradV, dv_strides, dv, batch, key_head, low, keys, BLOCK_N, D, BLOCK_D)


@triton.jit
def _queries_from_keys(
    dq, q, grad, lse, delta, K, V, k_strides, v_strides, seed, batch, head, key_head, rows, lo, hi, begin, end,
    keys, scale, keep,
    D: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr, MASKED: tl.constexpr, LOWER: tl.constexpr,
    DROPOUT: tl.constexpr, TMA: tl.constexpr,
):  # fmt: skip
    """Add one span of keys to the gradient of a tile of queries; LOWER as in the forward pass."""
    for first in tl.range(begin, end, BLOCK_N):
        k = load_tile(K, k_strides, batch, key_head, first, keys, BLOCK_N, D, BLOCK_D, MASKED, TMA)
        v = load_tile(V, v_strides, batch, key_head, first, keys, BLOCK_N, D, BLOCK_D, MASKED, TMA)
        columns = first + tl.arange(0, BLOCK_N)
        weights = tl.exp2(tl.dot(q, k.T, input_precision="ieee") * scale - lse[:, None])
        if MASKED:
            visible = columns[None, :] < hi[:, None]
            if LOWER:
                visible = visible & (columns[None, :] >= lo[:, None])
            weights = tl.where(visible, weights, 0.0)
        grad_weights = tl.dot(grad, v.T, input_precision="ieee")
        if DROPOUT:
            keeping = kept(seed, head, rows[:, None], columns[None, :], keep)
            grad_weights = tl.where(keeping, grad_weights / keep, 0.0)
        grad_scores = weights * (grad_weights - delta[:, None])
        dq = tl.dot(grad_scores.to(k.dtype), k, dq, input_precision="ieee")
    return dq


@triton.jit(do_not_specialize=["heads", "group", "queries", "keys", "offset", "window"])
def flash_backward_queries_kernel(
    Q, K, V, Grad, Terms, GradQ, Ranges, Seed, q_strides, k_strides, v_strides, g_strides, dq_strides, heads,
    group, queries, padded, keys, offset, window, scale, keep,
    D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr, CAUSAL: tl.constexpr,
    WINDOWED: tl.constexpr, RANGES: tl.constexpr, DROPOUT: tl.constexpr, TMA: tl.constexpr,
):  # fmt: skip
    """dQ = scale * dS K, with dS as in ``flash_backward_keys_kernel``.

    One program owns BLOCK_M queries of one head and walks over the keys they see, in the same spans as the forward
    pass. GradQ (dQ) is (batch, heads, queries, D) in the dtype of Q; the other arguments are those of
    ``flash_backward_keys_kernel``.

    Source: Dao, "FlashAttention-2", 2023, algorithm 2, with the loops exchanged.
    """
    tiles = tl.cdiv(queries, BLOCK_M)
    program = tl.program_id(0)
    head = program // tiles
    batch = head // heads
    tile = program % tiles
    if CAUSAL:
        tile = tiles - 1 - tile
    first = tile * BLOCK_M
    rows = first + tl.arange(0, BLOCK_M)
    key_head = head % heads // group

    lo, hi = visible_keys(rows, Ranges, batch, queries, keys, offset, window, CAUSAL, WINDOWED, RANGES)
    a, b, c, d = spans(lo, hi, BLOCK_N)
    q = load_tile(Q, q_strides, batch, head % heads, first, queries, BLOCK_M, D, BLOCK_D, True, False)
    grad = load_tile(Grad, g_strides, batch, head % heads, first, queries, BLOCK_M, D, BLOCK_D, True, False)
    lse, delta = _row_terms(Terms, padded, head, first, BLOCK_M, False)
    seed = tl.load(Seed) if DROPOUT else 0
    dq = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
    scale_log2 = scale * LOG2E
    # fmt: off
    if WINDOWED or RANGES:
        dq = _queries_from_keys(
            dq, q, grad, lse, delta, K, V, k_strides, v_strides, seed, batch, head, key_head, rows, lo, hi,
            a, b, keys, scale_log2, keep, D, BLOCK_N, BLOCK_D, True, WINDOWED or RANGES, DROPOUT, TMA,
        )
    dq = _queries_from_keys(
        dq, q, grad, lse, delta, K, V, k_strides, v_strides, seed, batch, head, key_head, rows, lo, hi,
        b, c, keys, scale_log2, keep, D, BLOCK_N, BLOCK_D, False, False, DROPOUT, TMA,
    )
    dq = _queries_from_keys(
        dq, q, grad, lse, delta, K, V, k_strides, v_strides, seed, batch, head, key_head, rows, lo, hi,
        c, d, keys, scale_log2, keep, D, BLOCK_N, BLOCK_D, True, WINDOWED or RANGES, DROPOUT, TMA,
    )
    # fmt: on
    store_tile(GradQ, dq_strides, dq * scale, batch, head % heads, first, queries, BLOCK_M, D, BLOCK_D)


@autotuning.on_its_device
def flash_backward(
    grad: Tensor,
    grad_lse: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    ranges: Tensor | None,
    seed: Tensor | None,
    causal: bool,
    offset: int,
    window: int,
    scale: float,
    dropout: float,
    configurations: tuple[Configuration, Configuration] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of ``q``, ``k`` and ``v``, in their dtypes, from those of the output and the log-sum-exp.

    :param configurations: of the kernels over keys and over queries; the autotuner's choice unless given.
    """
    batch, heads, queries, d = q.shape
    key_heads, keys = k.shape[1], k.shape[2]
    dq, dk, dv = (x.new_empty(x.shape) for x in (q, k, v))
    if not q.numel() or not k.numel():
        return dq.zero_(), dk.zero_(), dv.zero_()
    grad = within_32_bits(grad)
    block_d = tile_side(d)
    padded = tiles_of(queries, PADDED_TO) * PADDED_TO
    terms = lse.new_empty(batch * heads * 2, padded)
    row_terms_kernel[(padded // 64 * batch * heads,)](
        out, grad, grad_lse.contiguous(), lse, terms, out.stride(), grad.stride(), heads, queries, padded,
        D=d, BLOCK_M=64, BLOCK_D=block_d,
    )  # fmt: skip
    numbers = (heads, heads // key_heads, queries, padded, keys, offset, window, scale, 1.0 - dropout)
    switches = {
        "D": d,
        "BLOCK_D": block_d,
        "CAUSAL": causal and ranges is None,
        "WINDOWED": window > 0 and ranges is None,
        "RANGES": ranges is not None,
        "DROPOUT": dropout > 0,
    }
    strides = (q.stride(), k.stride(), v.stride(), grad.stride())

    def launch_keys(c: Configuration, warmup: bool = False) -> None:
        q_source, grad_source = (descriptor(x, c.block_m, block_d) if c.tma else x for x in (q, grad))
        terms_source = TensorDescriptor(terms, terms.shape, terms.stride(), [1, c.block_m]) if c.tma else terms
        flash_backward_keys_kernel.run(
            q_source, k, v, grad_source, terms_source, dk, dv, ranges, seed,
            *strides, dk.stride(), dv.stride(), *numbers,
            BLOCK_M=c.block_m, BLOCK_N=c.block_n, **switches, TMA=c.tma, num_warps=c.warps, num_stages=c.stages,
            grid=(tiles_of(keys, c.block_n) * batch * key_heads,), warmup=warmup,
        )  # fmt: skip

    def launch_queries(c: Configuration, warmup: bool = False) -> None:
        k_source, v_source = (descriptor(x, c.block_n, block_d) if c.tma else x for x in (k, v))
        flash_backward_queries_kernel.run(
            q, k_source, v_source, grad, terms, dq, ranges, seed, *strides, dq.stride(), *numbers,
            BLOCK_M=c.block_m, BLOCK_N=c.block_n, **switches, TMA=c.tma, num_warps=c.warps, num_stages=c.stages,
            grid=(tiles_of(queries, c.block_m) * batch * heads,), warmup=warmup,
        )  # fmt: skip

    if configurations is None:
        case = (block_d, q.dtype, causal, window > 0, ranges is not None, dropout > 0, autotuning.bucket(queries))
        configurations = (
            autotuning.choose("backward_keys", case, q, launch_keys, tma=describable(q) and describable(grad)),
            autotuning.choose("backward_queries", case, q, launch_queries, tma=describable(k) and describable(v)),
        )
    launch_keys(configurations[0])
    launch_queries(configurations[1])
    return dq, dk, dv
