"""The kernels as an attention implementation of transformers.

    from kexpert_kernels import attention_interface
    attention_interface.register()
    AutoModelForCausalLM.from_pretrained(..., attn_implementation="kexpert_triton")

A mask has one of three forms between the model and the kernels:

- ``None``: causal with the last query aligned to the last key, or full attention for an encoder. Nothing is stored.
- int32 (batch, 1, 2, queries): the interval of keys that each query sees, see ``ranges``. Covers padding, packed rows,
  sliding and chunked windows and static caches. It has four dimensions because transformers treats a 4-D mask as final
  and combines a mask of fewer dimensions with padding.
- bool (batch, 1, queries, keys): for the few queries of a decoding step; the decoding kernel reads it directly. Also
  for masks with holes or of unknown form: those go to torch's own attention, as do all tensors that are not on a CUDA
  device.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import causal_mask_function, prepare_padding_mask, sdpa_mask
from transformers.utils.import_utils import is_tracing

from kexpert_kernels.autotuning import INTERPRETED
from kexpert_kernels.decode_attention import decode_attention, fits
from kexpert_kernels.flash_attention import MAX_HEAD_DIMENSION, flash_attention
from kexpert_kernels.ranges import mask_of_ranges, packed_ranges, ranges_of_mask

NAME = "kexpert_triton"
#: Maximum queries of a decoding step: one token, or a short draft.
DECODING_QUERIES = 8
#: Queries whose dense mask is built at once when intervals are computed; bounds the memory of that step.
QUERY_BLOCK = 256


def register() -> str:
    """Register ``attn_implementation="kexpert_triton"`` with transformers and return that name."""
    AttentionInterface.register(NAME, kexpert_attention)
    AttentionMaskInterface.register(NAME, kexpert_mask)
    return NAME


def _runs_on(device: torch.device) -> bool:
    return INTERPRETED or device.type == "cuda"


def kexpert_mask(
    batch_size: int,
    q_length: int,
    kv_length: int,
    q_offset: int | Tensor = 0,
    kv_offset: int = 0,
    mask_function: Callable[..., Tensor] = causal_mask_function,
    attention_mask: Tensor | None = None,
    local_size: int | None = None,
    allow_is_causal_skip: bool = True,
    allow_is_bidirectional_skip: bool = False,
    use_vmap: bool = False,
    device: torch.device | str = "cpu",
    **kwargs: Any,
) -> Tensor | None:
    """Return the mask of one forward pass, shared by its layers, in the most compact of the three forms above.

    The arguments are those of ``transformers.masking_utils.sdpa_mask``.
    """
    padding = prepare_padding_mask(attention_mask, kv_length, kv_offset)
    tracing = padding is not None and is_tracing(padding)
    span = None if padding is None else padding[:, kv_offset : kv_offset + kv_length]
    unpadded = span is None or (not tracing and bool(span.all()))
    unlimited = local_size is None or kv_offset + kv_length < local_size
    aligned = isinstance(q_offset, int) and q_offset + q_length == kv_offset + kv_length
    if unpadded and unlimited and ((allow_is_causal_skip and aligned) or allow_is_bidirectional_skip):
        return None
    decoding = q_length <= DECODING_QUERIES and q_length < kv_length
    # Tracing hides the values of the padding; masks that need vmap can have any form.
    if decoding or use_vmap or tracing or not (unpadded or _without_holes(span)):
        return sdpa_mask(
            batch_size,
            q_length,
            kv_length,
            q_offset,
            kv_offset,
            mask_function,
            attention_mask,
            local_size,
            allow_is_causal_skip=False,
            use_vmap=use_vmap,
            device=device,
        )
    query = torch.arange(q_length, device=device) + q_offset
    key = torch.arange(kv_length, device=device) + kv_offset
    blocks = [_block_ranges(mask_function, batch_size, block, key, span) for block in query.split(QUERY_BLOCK)]
    return torch.cat(blocks, dim=-1)[:, None]


def _block_ranges(
    mask_function: Callable[..., Tensor], batch: int, query: Tensor, key: Tensor, padding: Tensor | None
) -> Tensor:
    """Return the intervals (batch, 2, queries) of a block of queries; evaluates the mask function for each pair."""
    row = torch.arange(batch, device=key.device)[:, None, None, None]
    mask = mask_function(row, row[:1] * 0, query[None, None, :, None], key[None, None, None, :])
    mask = mask.expand(batch, 1, len(query), len(key))[:, 0]
    return ranges_of_mask(mask if padding is None else mask & padding[:, None, :])


def _without_holes(padding: Tensor) -> bool:
    """Return True if the ones in each row of a padding mask are contiguous."""
    bits = padding.to(torch.int8)
    begins = (functional.pad(bits, (1, 0)).diff() == 1).sum(-1)
    return bool((begins <= 1).all())


def kexpert_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    sliding_window: int | None = None,
    cu_seq_lens_q: Tensor | None = None,
    cu_seq_lens_k: Tensor | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Compute attention for a layer of transformers: (batch, heads, length, d) in, (batch, length, heads, d) out.

    ``cu_seq_lens_q`` and ``cu_seq_lens_k`` describe one packed row; they apply only without ``attention_mask``.
    Raises ValueError for an argument of the model that the kernels do not support.
    """
    for unknown in ("softcap", "s_aux", "position_bias", "cache"):
        if kwargs.get(unknown) is not None:
            raise ValueError(f"attn_implementation={NAME!r} does not know `{unknown}`: use `eager` for this model")
    query, key, value = _one_dtype(query, key, value)
    causal = is_causal if is_causal is not None else getattr(module, "is_causal", True)
    queries, keys = query.shape[2], key.shape[2]
    window = sliding_window if causal and sliding_window and attention_mask is None else None
    if attention_mask is None and cu_seq_lens_q is not None and query.shape[0] == 1 and keys == queries:
        starts_k = cu_seq_lens_q if cu_seq_lens_k is None else cu_seq_lens_k
        attention_mask = packed_ranges(cu_seq_lens_q, starts_k, queries, causal=causal, window=window)[:, None]
    learning = torch.is_grad_enabled() and any(x.requires_grad for x in (query, key, value))
    small = fits(queries, query.shape[1] // key.shape[1], query.shape[3]) and not learning and not dropout
    dense = attention_mask is not None and attention_mask.dtype != torch.int32
    supported = _runs_on(query.device) and query.shape[3] == value.shape[3] <= MAX_HEAD_DIMENSION
    if supported and small and queries <= DECODING_QUERIES and (attention_mask is None or _per_batch(attention_mask)):
        mask = None if attention_mask is None else attention_mask[:, 0]
        out, _ = decode_attention(
            query, key, value, causal=causal and mask is None, window=window, mask=mask, scale=scaling
        )
    elif supported and not dense:
        rule = {"causal": causal, "window": window} if attention_mask is None else {"ranges": attention_mask[:, 0]}
        out, _ = flash_attention(query, key, value, **rule, scale=scaling, dropout=dropout)
    else:
        out = _torch_attention(query, key, value, attention_mask, causal, window, scaling, dropout)
    return out.transpose(1, 2).contiguous(), None


def _per_batch(mask: Tensor) -> bool:
    """Return True if a mask is boolean and shared by all heads."""
    return mask.dtype == torch.bool and mask.shape[1] == 1


def _one_dtype(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cast to one dtype: under autocast, or with rotary embeddings in fp32, query and key are wider than value."""
    device = query.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else value.dtype
    if query.dtype == key.dtype == value.dtype == dtype:  # the usual case; three no-op to() calls are slow
        return query, key, value
    return query.to(dtype), key.to(dtype), value.to(dtype)


def _torch_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    causal: bool,
    window: int | None,
    scale: float | None,
    dropout: float,
) -> Tensor:
    """Compute the same with ``scaled_dot_product_attention``, for every form of mask."""
    queries, keys = query.shape[2], key.shape[2]
    attend = functools.partial(
        functional.scaled_dot_product_attention, query, key, value, dropout_p=dropout, scale=scale, enable_gqa=True
    )
    if mask is None and (not causal or (queries == keys and not window)):
        return attend(is_causal=causal)
    if mask is None:
        mask = torch.ones(queries, keys, dtype=torch.bool, device=query.device).tril(keys - queries)
        mask = mask if window is None else mask.triu(keys - queries - window + 1)
    elif mask.dtype == torch.int32:
        mask = mask_of_ranges(mask[:, 0], keys)[:, None]
    if mask.dtype != torch.bool:
        return attend(attn_mask=mask)
    seeing = mask.any(-1, keepdim=True)  # torch returns NaN for a query that sees no key; the kernels return zero
    return attend(attn_mask=mask | ~seeing) * seeing
