"""Shared parts of the kernels: tiles of rows in memory, the interval of keys a query sees, the dropout mask."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

#: Rounds of Philox 4x32; seven pass BigCrush (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
PHILOX_ROUNDS: tl.constexpr = tl.constexpr(7)
LOG2E: tl.constexpr = tl.constexpr(1.4426950408889634)
LN2: tl.constexpr = tl.constexpr(0.6931471805599453)


def describable(x: Tensor) -> bool:
    """Return True if a tensor descriptor can read ``x``: contiguous, unshared rows at multiples of 16 bytes."""
    batch, head, row, column = x.stride()
    step = 16 // x.element_size()
    aligned = not (batch % step or head % step or row % step or x.data_ptr() % 16)
    return aligned and column == 1 and batch > 0 and head > 0 and row > 0


def descriptor(x: Tensor, rows: int, columns: int) -> TensorDescriptor:
    """Describe ``x`` (batch, heads, rows, D) to the copy engine of sm_90 and newer, for tiles of rows x columns."""
    return TensorDescriptor(x, x.shape, x.stride(), [1, 1, rows, columns])


def within_32_bits(x: Tensor) -> Tensor:
    """Return ``x``, or a contiguous copy if the offsets within a tile of 256 rows exceed 32 bits."""
    return x if 256 * (x.stride(2) + x.stride(3)) < 2**31 else x.contiguous()


def tile_side(n: int) -> int:
    """Return the side of a tile that holds ``n``: a power of two, at least 16."""
    return max(16, 1 << (n - 1).bit_length())


def tiles_of(length: int, block: int) -> int:
    """Return the number of tiles that cover a length. Every call needs it, and ``triton.cdiv`` costs microseconds."""
    return -(-length // block)


def new_output(q: Tensor) -> tuple[Tensor, Tensor]:
    """Allocate the output (batch, heads, queries, D), stored as (batch, queries, heads, D), and log-sum-exp."""
    batch, heads, queries, d = q.shape
    out = q.new_empty_strided(q.shape, (queries * heads * d, d, heads * d, 1))
    return out, q.new_empty(batch, heads, queries, dtype=torch.float32)


@triton.jit
def load_tile(
    source, strides, batch, head, first, length,
    ROWS: tl.constexpr, D: tl.constexpr, BLOCK_D: tl.constexpr, RAGGED: tl.constexpr, TMA: tl.constexpr,
):  # fmt: skip
    """Load rows ``first`` to ``first + ROWS`` of one head, (ROWS, BLOCK_D); zero beyond ``length`` rows and D columns.

    ``source`` is a pointer with its four ``strides``, or with TMA a tensor descriptor over (batch, heads, rows, D)
    whose block is (1, 1, ROWS, BLOCK_D).
    Without RAGGED all rows must be below ``length``. Offsets within a tile have 32 bits, offsets of tiles 64.
    """
    if TMA:
        value = source.load([batch, head, first, 0]).reshape(ROWS, BLOCK_D)
    else:
        rows = tl.arange(0, ROWS)
        columns = tl.arange(0, BLOCK_D)
        tile = source + tl.cast(batch, tl.int64) * strides[0] + tl.cast(head, tl.int64) * strides[1]
        tile += tl.cast(first, tl.int64) * strides[2]
        pointers = tile + (rows[:, None] * strides[2] + columns[None, :] * strides[3])
        if RAGGED and D != BLOCK_D:
            value = tl.load(pointers, mask=(first + rows < length)[:, None] & (columns < D)[None, :], other=0.0)
        elif RAGGED:
            value = tl.load(pointers, mask=(first + rows < length)[:, None], other=0.0)
        elif D != BLOCK_D:
            value = tl.load(pointers, mask=(columns < D)[None, :], other=0.0)
        else:
            value = tl.load(pointers)
    return value


@triton.jit
def store_tile(
    target, strides, value, batch, head, first, length,
    ROWS: tl.constexpr, D: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Store ``value`` (ROWS, BLOCK_D) in the rows from ``first`` on, cut at ``length`` rows and D columns."""
    rows = tl.arange(0, ROWS)
    columns = tl.arange(0, BLOCK_D)
    tile = target + tl.cast(batch, tl.int64) * strides[0] + tl.cast(head, tl.int64) * strides[1]
    tile += tl.cast(first, tl.int64) * strides[2]
    pointers = tile + (rows[:, None] * strides[2] + columns[None, :] * strides[3])
    inside = (first + rows < length)[:, None] & (columns < D)[None, :]
    tl.store(pointers, value.to(target.dtype.element_ty), mask=inside)


@triton.jit
def visible_keys(
    rows, ranges, batch, queries, keys, offset, window,
    CAUSAL: tl.constexpr, WINDOWED: tl.constexpr, RANGES: tl.constexpr,
):  # fmt: skip
    """Return the interval [lo, hi) of keys that each query row sees; rows past the last see the same as the last."""
    rows = tl.minimum(rows, queries - 1)
    if RANGES:
        base = ranges + tl.cast(batch, tl.int64) * 2 * queries
        lo = tl.maximum(tl.load(base + rows), 0)
        hi = tl.minimum(tl.load(base + queries + rows), keys)
    else:
        lo = rows * 0
        hi = lo + keys
        if CAUSAL:
            hi = tl.minimum(tl.maximum(rows + offset + 1, 0), keys)
        if WINDOWED:
            lo = tl.maximum(rows + offset + 1 - window, 0)
    return lo, hi


@triton.jit
def spans(lo, hi, BLOCK: tl.constexpr):
    """Split the keys that a tile of queries needs: [a, b) masked, [b, c) seen by every query, [c, d) masked.

    All but ``d`` are multiples of BLOCK.
    """
    a = tl.min(lo, 0) // BLOCK * BLOCK
    d = tl.maximum(tl.max(hi, 0), a)
    b = tl.minimum(tl.cdiv(tl.max(lo, 0), BLOCK), tl.cdiv(d, BLOCK)) * BLOCK
    c = tl.maximum(tl.min(hi, 0) // BLOCK * BLOCK, b)
    return a, b, c, d


@triton.jit
def kept(seed, head, rows, columns, keep):
    """Draw True with probability ``keep``; the result depends only on (seed, head, query, key), not on the tile.

    The counter of Philox is (query, key, head), so that it wraps for no length. ``rows`` and ``columns`` broadcast.
    """
    rows, columns = tl.broadcast(rows, columns)
    bits, _, _, _ = tl.philox(seed, rows, columns, rows * 0 + head, rows * 0, PHILOX_ROUNDS)
    return tl.uint_to_uniform_float(bits) < keep
