"""Attention of few queries over many keys, for generating tokens. No gradients.

The cost is reading the keys and values once. The work is therefore split along the keys until every multiprocessor is
busy, and the heads that share a key head form one tile, so that each key is read once.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from kexpert_kernels import autotuning
from kexpert_kernels.autotuning import INTERPRETED, Configuration, Device
from kexpert_kernels.tiles import LN2, LOG2E, new_output, tile_side, tiles_of

#: Maximum rows of a tile (queries x heads of a group); a taller tile is no longer bound by memory.
MAX_ROWS = 64
MAX_SPLITS = 128


@triton.jit
def load_keys(
    source, strides, table, batch, key_head, columns, end, page_size,
    D: tl.constexpr, BLOCK_D: tl.constexpr, PAGED: tl.constexpr,
):  # fmt: skip
    """Load rows ``columns`` of the keys or values of one sequence, zero from ``end`` on: (len(columns), BLOCK_D)."""
    inside = columns < end
    if PAGED:
        page = tl.load(table + columns // page_size, mask=inside, other=0).to(tl.int64)
        rows = page * strides[0] + (columns % page_size).to(tl.int64) * strides[2]
    else:
        rows = tl.cast(batch, tl.int64) * strides[0] + columns.to(tl.int64) * strides[2]
    c = tl.arange(0, BLOCK_D)
    pointers = source + tl.cast(key_head, tl.int64) * strides[1] + rows[:, None] + (c * strides[3])[None, :]
    return tl.load(pointers, mask=inside[:, None] & (c < D)[None, :], other=0.0)


@triton.jit(do_not_specialize=["mask_batch", "mask_query", "keys", "splits", "window"])
def decode_kernel(
    Q, K, V, Out, Lse, Lengths, Mask, Table, q_strides, k_strides, v_strides, o_strides, mask_batch, mask_query,
    mask_key, table_stride, split_stride, heads, group, queries, keys, splits, window, page_size, scale,
    D: tl.constexpr, ROWS: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_D: tl.constexpr, CAUSAL: tl.constexpr,
    WINDOWED: tl.constexpr, LENGTHS: tl.constexpr, MASK: tl.constexpr, PAGED: tl.constexpr,
):  # fmt: skip
    """O_s = softmax(scale * Q K_s^T) V_s and L_s = logsumexp(scale * Q K_s^T) for each part s of the keys.

    One program computes one part for all queries of all heads that share a key head; row r of its tile is query
    r // group of head r % group. The parts are equal shares of the keys of the sequence that its mask does not hide.

    Q        (batch, heads, queries, D)            fp16, bf16 or fp32, any strides; queries x group <= ROWS
    K, V     (batch, key heads, keys, D)           any strides; with PAGED (pages, key heads, page size, D)
    Table    (batch, pages of a sequence)          int32: key j is row j % page size of page Table[b, j // page size]
    Lengths  (batch,)                              int32, keys of each sequence; otherwise all
    Mask     (batch, queries, keys)                bool, any strides; those of batch and query are not specialized
    Out, Lse (splits, batch, heads, queries[, D])  fp32; the final result if there is one part

    Causal: the last query sees the last key. Source: Dao et al., "Flash-Decoding for long-context inference", 2023.
    """
    program = tl.program_id(0)
    split = program % splits
    key_heads = heads // group
    batch = program // splits // key_heads
    key_head = program // splits % key_heads
    length = tl.load(Lengths + batch) if LENGTHS else keys

    row = tl.arange(0, ROWS)
    query = row // group
    head = key_head * group + row % group
    real = query < queries
    hi = query * 0 + length
    lo = query * 0
    if CAUSAL:
        hi = length - queries + query + 1
    if WINDOWED:
        lo = tl.maximum(hi - window, 0)
    hi = tl.where(real, hi, 0)
    begin, end = tl.min(tl.where(real, lo, length), 0), tl.max(hi, 0)
    if MASK:
        begin, end = _visible_part(Mask, mask_batch, mask_query, mask_key, batch, queries, begin, end)
    share = tl.cdiv(tl.cdiv(tl.maximum(end - begin, 0), splits), BLOCK_N) * BLOCK_N
    begin += split * share
    end = tl.minimum(begin + share, end)

    c = tl.arange(0, BLOCK_D)
    offsets = head.to(tl.int64) * q_strides[1] + query.to(tl.int64) * q_strides[2]
    pointers = Q + tl.cast(batch, tl.int64) * q_strides[0] + offsets[:, None] + (c * q_strides[3])[None, :]
    q = tl.load(pointers, mask=real[:, None] & (c < D)[None, :], other=0.0)
    table = Table + tl.cast(batch, tl.int64) * table_stride if PAGED else Table

    out = tl.zeros([ROWS, BLOCK_D], tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    peak = tl.full([ROWS], float("-inf"), tl.float32)
    scale_log2 = scale * LOG2E
    for first in tl.range(begin, end, BLOCK_N):
        columns = first + tl.arange(0, BLOCK_N)
        k = load_keys(K, k_strides, table, batch, key_head, columns, end, page_size, D, BLOCK_D, PAGED)
        v = load_keys(V, v_strides, table, batch, key_head, columns, end, page_size, D, BLOCK_D, PAGED)
        scores = tl.dot(q, k.T, input_precision="ieee")
        visible = (columns[None, :] >= lo[:, None]) & (columns[None, :] < tl.minimum(hi, end)[:, None])
        if MASK:
            bits = Mask + tl.cast(batch, tl.int64) * mask_batch + query.to(tl.int64)[:, None] * mask_query
            visible = visible & tl.load(bits + columns[None, :] * mask_key, mask=visible, other=0).to(tl.int1)
        scores = tl.where(visible, scores, float("-inf"))
        new_peak = tl.maximum(peak, tl.max(scores, 1) * scale_log2)
        shift = tl.where(new_peak == float("-inf"), 0.0, new_peak)
        weights = tl.exp2(scores * scale_log2 - shift[:, None])
        decay = tl.exp2(peak - shift)
        total = total * decay + tl.sum(weights, 1)
        out = tl.dot(weights.to(v.dtype), v, out * decay[:, None], input_precision="ieee")
        peak = new_peak

    seen = total > 0
    total = tl.where(seen, total, 1.0)
    lse = tl.where(seen, (peak + tl.log2(total)) * LN2, float("-inf"))
    at = ((tl.cast(split, tl.int64) * (tl.num_programs(0) // splits // key_heads) + batch) * heads + head) * queries
    tl.store(Lse + at + query, lse, mask=real)
    target = Out + tl.cast(split, tl.int64) * split_stride + tl.cast(batch, tl.int64) * o_strides[0]
    offsets = head.to(tl.int64) * o_strides[1] + query.to(tl.int64) * o_strides[2]
    pointers = target + offsets[:, None] + (c * o_strides[3])[None, :]
    value = (out / total[:, None]).to(Out.dtype.element_ty)
    tl.store(pointers, value, mask=real[:, None] & (c < D)[None, :])


@triton.jit
def _visible_part(Mask, mask_batch, mask_query, mask_key, batch, queries, begin, end):
    """Return the smallest interval in [begin, end) with all visible keys; most of a static cache is not visible."""
    first, last = end, begin
    for query in tl.range(0, queries):
        row = Mask + tl.cast(batch, tl.int64) * mask_batch + tl.cast(query, tl.int64) * mask_query
        for start in tl.range(begin, end, 2048):
            columns = start + tl.arange(0, 2048)
            seen = tl.load(row + columns * mask_key, mask=columns < end, other=0) != 0
            first = tl.minimum(first, tl.min(tl.where(seen, columns, end), 0))
            last = tl.maximum(last, tl.max(tl.where(seen, columns + 1, begin), 0))
    return first, last


@triton.jit(do_not_specialize=["splits"])
def reduce_kernel(
    Parts, PartLse, Out, Lse, o_strides, heads, queries, splits,
    D: tl.constexpr, BLOCK_S: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """L = logsumexp_s L_s and O = sum_s exp(L_s - L) O_s, one program for each query of each head.

    Parts (splits, batch, heads, queries, D) and PartLse (splits, batch, heads, queries) fp32, contiguous; Out and Lse
    as in ``decode_kernel``.
    """
    row = tl.program_id(0)
    rows = tl.num_programs(0)
    part = tl.arange(0, BLOCK_S)
    c = tl.arange(0, BLOCK_D)
    at = part.to(tl.int64) * rows + row
    lse = tl.load(PartLse + at, mask=part < splits, other=float("-inf"))
    peak = tl.max(lse, 0)
    shift = tl.where(peak == float("-inf"), 0.0, peak)
    weights = tl.exp2((lse - shift) * LOG2E)
    total = tl.sum(weights, 0)
    inside = (part < splits)[:, None] & (c < D)[None, :]
    parts = tl.load(Parts + at[:, None] * D + c[None, :], mask=inside, other=0.0)
    seen = total > 0
    total = tl.where(seen, total, 1.0)
    out = tl.sum(parts * weights[:, None], 0) / total
    tl.store(Lse + row, tl.where(seen, shift + tl.log2(total) * LN2, float("-inf")))
    head = row // queries
    pointers = Out + tl.cast(head // heads, tl.int64) * o_strides[0] + tl.cast(head % heads, tl.int64) * o_strides[1]
    pointers += tl.cast(row % queries, tl.int64) * o_strides[2] + c * o_strides[3]
    tl.store(pointers, out.to(Out.dtype.element_ty), mask=c < D)


def decode_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    causal: bool = True,
    window: int | None = None,
    lengths: Tensor | None = None,
    mask: Tensor | None = None,
    table: Tensor | None = None,
    scale: float | None = None,
) -> tuple[Tensor, Tensor]:
    """softmax(scale * Q K^T) V for few queries, and its log-sum-exp.

    :param q: (batch, heads, queries, d), fp16, bf16 or fp32, any strides; queries x (heads / key heads) up to 64.
    :param k: (batch, key heads, keys, d), or with ``table`` the pages (pages, key heads, page size, d).
    :param causal: the last query sees all keys, the query before it all but the last key.
    :param window: a query sees only the last ``window`` of its keys.
    :param lengths: int32 (batch,), the number of keys of each sequence; otherwise all of them. Read on the device.
    :param mask: boolean (batch, queries, keys), True where a query sees a key; applies in addition to the other rules.
    :param table: int32 (batch, pages of a sequence); entry n is the page that holds keys from ``n * page size`` on.
    :return: the output, shaped like ``q``, and log-sum-exp (batch, heads, queries) in fp32; 0 and minus infinity for a
        query that sees no key.
    :raises ValueError: shapes, dtypes or scale are not supported.
    """
    batch, heads, queries, d = q.shape
    if k.shape != v.shape or k.shape[3] != d or heads % k.shape[1] or (table is None and k.shape[0] != batch):
        raise ValueError(f"q {tuple(q.shape)}, k {tuple(k.shape)} and v {tuple(v.shape)} do not belong together")
    if not q.dtype == k.dtype == v.dtype:
        raise ValueError(f"dtypes {q.dtype}, {k.dtype}, {v.dtype} differ")
    if not fits(queries, heads // k.shape[1], d):
        raise ValueError(f"{queries} queries x {heads // k.shape[1]} heads of {d} are for flash_attention")
    scale = d**-0.5 if scale is None else float(scale)
    if scale <= 0:
        raise ValueError(f"scale {scale} must be positive")
    run = _decode_attention if torch.compiler.is_compiling() else launch_decode
    return run(q, k, v, lengths, mask, table, causal, window or 0, scale)


def fits(queries: int, group: int, d: int) -> bool:
    """Return True if ``queries`` x ``group`` rows of width ``d`` fit in one tile of ``decode_kernel``."""
    return queries * group <= MAX_ROWS and d <= 256


@autotuning.on_its_device
def launch_decode(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    lengths: Tensor | None,
    mask: Tensor | None,
    table: Tensor | None,
    causal: bool,
    window: int,
    scale: float,
    splits: int | None = None,
    configuration: Configuration | None = None,
) -> tuple[Tensor, Tensor]:
    """Launch the decoding kernel and, if the keys are split, the reduction.

    :param window: 0 for none.
    :param splits: number of parts of the keys; ``split_count`` unless given.
    :param configuration: the autotuner's choice unless given.
    """
    batch, heads, queries, d = q.shape
    key_heads = k.shape[1]
    keys = k.shape[2] if table is None else k.shape[2] * table.shape[1]
    out, lse = new_output(q)
    if out.numel() == 0:
        return out, lse
    rows, block_d = tile_side(queries * heads // key_heads), tile_side(d)
    if splits is None:
        splits = split_count(batch * key_heads, keys, q)
    parts, part_lse = out, lse
    if splits > 1:
        parts = q.new_empty(splits, batch, heads, queries, d, dtype=torch.float32)
        part_lse = q.new_empty(splits, batch, heads, queries, dtype=torch.float32)

    def launch(c: Configuration, warmup: bool = False) -> None:
        decode_kernel.run(
            q, k, v, parts, part_lse, lengths, mask, table,
            q.stride(), k.stride(), v.stride(), parts.stride()[-4:],
            *((0, 0, 0) if mask is None else mask.stride()), 0 if table is None else table.stride(0),
            parts.stride(0) if splits > 1 else 0, heads, heads // key_heads, queries, keys, splits, window,
            1 if table is None else k.shape[2], scale,
            D=d, ROWS=rows, BLOCK_N=c.block_n, BLOCK_D=block_d, CAUSAL=causal, WINDOWED=window > 0,
            LENGTHS=lengths is not None, MASK=mask is not None, PAGED=table is not None,
            num_warps=c.warps, num_stages=c.stages, grid=(batch * key_heads * splits,), warmup=warmup,
        )  # fmt: skip

    if configuration is None:
        case = (block_d, q.dtype, mask is not None, table is not None, autotuning.bucket(keys))
        configuration = autotuning.choose("decode", case, q, launch, rows=rows)
    launch(configuration)
    if splits > 1:
        reduce_kernel[(batch * heads * queries,)](
            parts, part_lse, out, lse, out.stride(), heads, queries, splits, d, 1 << (splits - 1).bit_length(), block_d
        )
    return out, lse


def split_count(programs: int, keys: int, like: Tensor) -> int:
    """Return the number of parts that gives each multiprocessor two programs; no part is shorter than 128 keys."""
    processors = 8 if INTERPRETED else Device.of(like.device.index).processors
    return max(1, min(2 * processors // programs, tiles_of(keys, 128), MAX_SPLITS))


@torch.library.custom_op("kexpert::decode_attention", mutates_args=())
def _decode_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    lengths: Tensor | None,
    mask: Tensor | None,
    table: Tensor | None,
    causal: bool,
    window: int,
    scale: float,
) -> tuple[Tensor, Tensor]:
    return launch_decode(q, k, v, lengths, mask, table, causal, window, scale)


@_decode_attention.register_fake
def _(q: Tensor, *_rest: Any) -> tuple[Tensor, Tensor]:
    return new_output(q)
