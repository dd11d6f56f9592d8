"""Attention with gradients: ``flash_attention`` for batches, ``flash_attention_packed`` for rows of many sequences.

Eager calls use ``FlashAttention``, a plain ``autograd.Function``. Inside ``torch.compile`` the same launchers are the
opaque operators ``kexpert::flash_attention`` and ``kexpert::flash_attention_backward``. Calling a registered operator
costs the host six times as much, more than a short attention takes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from kexpert_kernels.flash_backward import flash_backward
from kexpert_kernels.flash_forward import flash_forward
from kexpert_kernels.ranges import packed_ranges
from kexpert_kernels.tiles import new_output, within_32_bits

#: Above this width a tile of 16 rows and its gradients would not fit together.
MAX_HEAD_DIMENSION = 256


def flash_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    causal: bool = False,
    offset: int | None = None,
    window: int | None = None,
    ranges: Tensor | None = None,
    scale: float | None = None,
    dropout: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """softmax(scale * Q K^T) V over the keys a query sees, and its log-sum-exp; both can be differentiated.

    :param q: (batch, heads, queries, d), fp16, bf16 or fp32, any strides; d up to 256.
    :param k: (batch, key heads, keys, d); heads are a multiple of key heads, head h reads key head h // (heads //
        key heads).
    :param v: as ``k``.
    :param causal: query ``i`` sees keys ``j <= i + offset``.
    :param offset: ``None`` aligns the last query with the last key, 0 the first with the first.
    :param window: a query sees only the last ``window`` of those keys.
    :param ranges: intervals (batch, 2, queries) instead of these rules, see ``kexpert_kernels.ranges``.
    :param scale: ``d ** -0.5`` unless given; positive.
    :param dropout: probability that a weight is set to zero; the seed comes from the generator of the device.
    :return: the output, shaped like ``q``, and log-sum-exp (batch, heads, queries) in fp32; 0 and minus infinity for a
        query that sees no key.
    :raises ValueError: shapes, dtypes or options are not supported.
    """
    scale = q.shape[-1] ** -0.5 if scale is None else float(scale)
    _check(q, k, v, ranges, causal, window, scale, dropout)
    offset = k.shape[2] - q.shape[2] if offset is None else offset
    ranges = None if ranges is None else ranges.contiguous()
    seed = torch.randint(2**62, (1,), device=q.device) if dropout > 0 else None
    q, k, v = within_32_bits(q), within_32_bits(k), within_32_bits(v)
    run = flash_forward
    if torch.compiler.is_compiling():
        run = _flash_attention
    elif torch.is_grad_enabled():
        run = FlashAttention.apply
    out, lse = run(q, k, v, ranges, seed, causal, offset, window or 0, scale, float(dropout))
    return out, lse


def flash_attention_packed(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    starts_q: Tensor,
    starts_k: Tensor | None = None,
    *,
    causal: bool = True,
    window: int | None = None,
    scale: float | None = None,
    dropout: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Attention within each of many sequences laid end to end, (tokens, heads, d).

    ``starts_q`` and ``starts_k`` are flash-attention's ``cu_seqlens_q`` and ``cu_seqlens_k``. Tiles cover the whole row
    rather than each sequence, so that a thousand short sequences fill the device as well as one long sequence.
    Log-sum-exp is (heads, tokens).
    """
    ranges = packed_ranges(starts_q, starts_q if starts_k is None else starts_k, len(q), causal=causal, window=window)
    q, k, v = (x.transpose(0, 1)[None] for x in (q, k, v))
    out, lse = flash_attention(q, k, v, ranges=ranges, scale=scale, dropout=dropout)
    return out[0].transpose(0, 1), lse[0]


def _check(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    ranges: Tensor | None,
    causal: bool,
    window: int | None,
    scale: float,
    dropout: float,
) -> None:
    batch, heads, queries, d = q.shape
    if k.shape != v.shape or k.shape[0] != batch or k.shape[3] != d or heads % k.shape[1]:
        raise ValueError(f"q {tuple(q.shape)}, k {tuple(k.shape)} and v {tuple(v.shape)} do not belong together")
    if not q.dtype == k.dtype == v.dtype or q.dtype not in (torch.float16, torch.bfloat16, torch.float32):
        raise ValueError(f"dtypes {q.dtype}, {k.dtype}, {v.dtype}: one of fp16, bf16, fp32 for all three")
    if d > MAX_HEAD_DIMENSION:
        raise ValueError(f"head dimension {d} is above {MAX_HEAD_DIMENSION}")
    if ranges is not None and (ranges.shape != (batch, 2, queries) or ranges.dtype != torch.int32):
        raise ValueError(f"ranges are {ranges.dtype} {tuple(ranges.shape)}, not int32 {(batch, 2, queries)}")
    if window is not None and (not causal or window < 1):
        raise ValueError("a window needs causal attention and at least one key; other shapes need ranges")
    if scale <= 0 or not 0 <= dropout < 1:
        raise ValueError(f"scale {scale} must be positive, dropout {dropout} in [0, 1)")


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    q, k, v, ranges, seed, *ctx.numbers = inputs
    ctx.save_for_backward(q, k, v, *output, ranges, seed)


class FlashAttention(torch.autograd.Function):
    """The launchers with their gradients, for use outside compiled graphs.

    ``forward`` saves its context itself: with a ``setup_context`` torch would bind the arguments at each call.
    """

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, Tensor]:
        output = flash_forward(*inputs)
        _remember(ctx, inputs, output)
        return output

    @staticmethod
    def backward(ctx: Any, grad: Tensor, grad_lse: Tensor) -> tuple[Tensor | None, ...]:
        return *flash_backward(grad, grad_lse, *ctx.saved_tensors, *ctx.numbers), *[None] * 7


@torch.library.custom_op("kexpert::flash_attention", mutates_args=())
def _flash_attention(
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
) -> tuple[Tensor, Tensor]:
    return flash_forward(q, k, v, ranges, seed, causal, offset, window, scale, dropout)


@_flash_attention.register_fake
def _(q: Tensor, *_rest: Any) -> tuple[Tensor, Tensor]:
    return new_output(q)


@torch.library.custom_op("kexpert::flash_attention_backward", mutates_args=())
def _flash_attention_backward(
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
) -> tuple[Tensor, Tensor, Tensor]:
    return flash_backward(grad, grad_lse, q, k, v, out, lse, ranges, seed, causal, offset, window, scale, dropout)


@_flash_attention_backward.register_fake
def _(grad: Tensor, grad_lse: Tensor, q: Tensor, k: Tensor, v: Tensor, *_rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    return q.new_empty(q.shape), k.new_empty(k.shape), v.new_empty(v.shape)


def _compiled_backward(ctx: Any, grad: Tensor, grad_lse: Tensor) -> tuple[Tensor | None, ...]:
    return *_flash_attention_backward(grad, grad_lse, *ctx.saved_tensors, *ctx.numbers), *[None] * 7


_flash_attention.register_autograd(_compiled_backward, setup_context=_remember)
