"""Decoding agrees with the fp32 reference: split keys, shared heads, pages, lengths and masks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from kexpert_kernels import decode_attention as module
from kexpert_kernels import reference
from kexpert_kernels.decode_attention import decode_attention, launch_decode
from kexpert_kernels.ranges import causal_ranges, mask_of_ranges
from tests.kernels.close import assert_as_good


def tensors(
    device: torch.device,
    keys: int,
    *,
    batch: int = 1,
    heads: int = 4,
    key_heads: int = 2,
    queries: int = 1,
    d: int = 32,
    dtype: torch.dtype = torch.float32,
) -> list[Tensor]:
    shapes = (heads, queries), (key_heads, keys), (key_heads, keys)
    return [torch.randn(batch, h, s, d, device=device).to(dtype) for h, s in shapes]


def visibility(q: Tensor, k: Tensor, window: int | None = None) -> Tensor:
    ranges = causal_ranges(q.shape[0], q.shape[2], k.shape[2], window=window, device=q.device)
    return mask_of_ranges(ranges, k.shape[2])[:, None]


def check(q: Tensor, k: Tensor, v: Tensor, visible: Tensor | None, got: tuple[Tensor, Tensor]) -> None:
    expected, expected_lse = reference.attention(q.float(), k.float(), v.float(), visible)
    plain, _ = reference.attention(q, k, v, visible, upcast=False)
    assert_as_good(got[0], expected, plain)
    torch.testing.assert_close(got[1], expected_lse, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize(("heads", "key_heads"), [(2, 2), (8, 2), (8, 1), (6, 2), (12, 2), (7, 1)])
def test_one_token_agrees_with_the_reference(
    device: torch.device, heads: int, key_heads: int, dtype: torch.dtype
) -> None:
    q, k, v = tensors(device, 137, heads=heads, key_heads=key_heads, dtype=dtype)
    check(q, k, v, None, decode_attention(q, k, v))


@pytest.mark.parametrize("splits", [1, 2, 5, 9])
def test_split_keys_give_the_same_result(device: torch.device, splits: int) -> None:
    """Includes more parts than tiles of keys, where some parts are empty."""
    q, k, v = tensors(device, 100, batch=2)
    check(q, k, v, None, launch_decode(q, k, v, None, None, None, True, 0, 32**-0.5, splits))


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("keys", [1, 1023, 16384])
@pytest.mark.parametrize("d", [64, 128])
def test_real_shapes_agree_with_the_reference(cuda: torch.device, batch: int, keys: int, d: int) -> None:
    q, k, v = tensors(cuda, keys, batch=batch, heads=32, key_heads=8, d=d, dtype=torch.bfloat16)
    check(q, k, v, None, decode_attention(q, k, v))


@pytest.mark.parametrize("d", [16, 80, 128, 256])
def test_head_dimensions_agree_with_the_reference(device: torch.device, d: int) -> None:
    q, k, v = tensors(device, 40, d=d, key_heads=1)
    check(q, k, v, None, decode_attention(q, k, v))


@pytest.mark.parametrize("heads", [4, 6])
def test_a_draft_of_several_tokens_is_causal(device: torch.device, heads: int) -> None:
    q, k, v = tensors(device, 70, heads=heads, queries=5, batch=2)
    check(q, k, v, visibility(q, k), decode_attention(q, k, v))


@pytest.mark.parametrize("window", [1, 20, 500])
def test_a_sliding_window_limits_the_keys(device: torch.device, window: int) -> None:
    q, k, v = tensors(device, 300, queries=2)
    check(q, k, v, visibility(q, k, window), decode_attention(q, k, v, window=window))


def test_masks_may_have_holes_and_empty_rows(device: torch.device) -> None:
    q, k, v = tensors(device, 90, batch=2, queries=3)
    mask = torch.rand(2, 3, 90, device=device) < 0.3
    mask[0, 1] = mask[1] = False
    got = decode_attention(q, k, v, causal=False, mask=mask)
    check(q, k, v, mask[:, None], got)
    assert not got[0][1].any()


def test_a_mask_over_a_long_cache_is_applied(device: torch.device) -> None:
    q, k, v = tensors(device, 5000, heads=2, key_heads=1, queries=2, d=16)
    mask = torch.zeros(1, 2, 5000, dtype=torch.bool, device=device)
    mask[0, 0, 2100:4500] = mask[0, 1, 3] = True
    check(q, k, v, mask[:, None], decode_attention(q, k, v, causal=False, mask=mask))


def test_a_mask_shared_by_queries_need_not_be_copied(device: torch.device) -> None:
    q, k, v = tensors(device, 90, queries=3)
    mask = (torch.arange(90, device=device) < 41).expand(1, 3, 90)
    check(q, k, v, mask[:, None], decode_attention(q, k, v, causal=False, mask=mask))


@pytest.mark.parametrize("page_size", [16, 24])
def test_pages_may_be_in_any_order(device: torch.device, page_size: int) -> None:
    """Each sequence has its own length; the kernel does not read the rest of a page."""
    q, k, v = tensors(device, 96, batch=3, queries=2)
    lengths = torch.tensor([96, 50, 2], device=device, dtype=torch.int32)
    pages = 96 // page_size
    table = torch.randperm(3 * pages, device=device).view(3, pages).to(torch.int32)

    def paged(x: Tensor) -> Tensor:
        beyond = torch.arange(96, device=device)[None] >= lengths[:, None]
        x = x.masked_fill(beyond[:, None, :, None], torch.nan)
        out = torch.empty(3 * pages, 2, page_size, 32, device=device)
        out[table.flatten().long()] = x.unflatten(2, (pages, page_size)).transpose(1, 2).flatten(0, 1)
        return out

    out, lse = decode_attention(q, paged(k), paged(v), lengths=lengths, table=table)
    for b, length in enumerate(lengths.tolist()):
        one = q[b : b + 1], k[b : b + 1, :, :length], v[b : b + 1, :, :length]
        check(*one, visibility(*one[:2]), (out[b : b + 1], lse[b : b + 1]))


def test_the_cache_may_have_any_strides(device: torch.device) -> None:
    """A static cache longer than its contents, and keys stored (batch, length, heads, d)."""
    q, k, v = tensors(device, 128, batch=2)
    k, v = (x.transpose(1, 2).contiguous().transpose(1, 2) for x in (k, v))
    lengths = torch.tensor([37, 128], device=device, dtype=torch.int32)
    visible = (torch.arange(128, device=device) < lengths[:, None])[:, None, None]
    check(q, k, v, visible, decode_attention(q, k, v, lengths=lengths))


def test_every_run_gives_the_same_bits(device: torch.device) -> None:
    q, k, v = tensors(device, 300, dtype=torch.bfloat16)
    assert torch.equal(decode_attention(q, k, v)[0], decode_attention(q, k, v)[0])


def test_the_operator_passes_opcheck(device: torch.device) -> None:
    q, k, v = tensors(device, 40)
    lengths = torch.tensor([30], device=device, dtype=torch.int32)
    torch.library.opcheck(module._decode_attention, (q, k, v, lengths, None, None, True, 0, 0.2))


def test_a_compiled_step_gives_the_same_result(device: torch.device) -> None:
    def step(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return decode_attention(q + 1, k, v)[0] * 2

    compiled = torch.compile(step, backend="aot_eager" if device.type == "cpu" else "inductor", fullgraph=True)
    inputs = tensors(device, 40)
    torch.testing.assert_close(compiled(*inputs), step(*inputs))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        pytest.param({"d": 48}, "belong together", id="head dimensions"),
        pytest.param({"dtype": torch.float16}, "dtypes", id="dtypes"),
        pytest.param({"batch": 2}, "belong together", id="batches"),
    ],
)
def test_mismatched_tensors_are_rejected(device: torch.device, changed: dict[str, Any], message: str) -> None:
    q, _, _ = tensors(device, 40)
    _, k, v = tensors(device, 40, **changed)
    with pytest.raises(ValueError, match=message):
        decode_attention(q, k, v)


@pytest.mark.parametrize("scale", [0.0, -1.0])
def test_a_scale_that_is_not_positive_is_rejected(device: torch.device, scale: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        decode_attention(*tensors(device, 40), scale=scale)


def test_too_many_queries_are_rejected(device: torch.device) -> None:
    with pytest.raises(ValueError, match="flash_attention"):
        decode_attention(*tensors(device, 200, queries=100))
