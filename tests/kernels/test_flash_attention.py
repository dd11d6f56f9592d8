"""The forward pass and all gradients agree with the fp32 reference within flash-attention's bound."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from kexpert_kernels import autotuning, reference
from kexpert_kernels import flash_attention as module
from kexpert_kernels.autotuning import Configuration, Device, candidates
from kexpert_kernels.flash_attention import flash_attention, flash_attention_packed
from kexpert_kernels.flash_backward import flash_backward
from kexpert_kernels.flash_forward import flash_forward
from kexpert_kernels.ranges import causal_ranges, mask_of_ranges
from tests.kernels.close import assert_as_good

HALF = [torch.float16, torch.bfloat16]

# The kernels compute weights before they mask them; an infinite weight of an invisible key is discarded.
pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered in exp2")


def tensors(
    device: torch.device,
    queries: int,
    keys: int | None = None,
    *,
    batch: int = 1,
    heads: int = 2,
    key_heads: int = 1,
    d: int = 16,
    dtype: torch.dtype = torch.bfloat16,
) -> list[Tensor]:
    shapes = (heads, queries), (key_heads, keys or queries), (key_heads, keys or queries)
    return [torch.randn(batch, h, s, d, device=device).to(dtype).requires_grad_() for h, s in shapes]


def check(q: Tensor, k: Tensor, v: Tensor, *, scale: float | None = None, **rule: Any) -> None:
    """Compare the kernels, under a visibility rule, with the fp32 reference and with plain PyTorch in their dtype."""
    visible = visibility(q, k, **rule)
    out, lse = flash_attention(q, k, v, scale=scale, **rule)
    grad = torch.randn(out.shape, device=q.device).to(q.dtype)
    got = torch.autograd.grad(out, (q, k, v), grad)

    wide = [x.detach().float().requires_grad_() for x in (q, k, v)]
    expected, expected_lse = reference.attention(*wide, visible, scale=scale)
    expected_grads = torch.autograd.grad(expected, wide, grad.float())
    plain, _ = reference.attention(q, k, v, visible, scale=scale, upcast=False)
    plain_grads = torch.autograd.grad(plain, (q, k, v), grad)

    assert_as_good(out, expected, plain)
    torch.testing.assert_close(lse, expected_lse, atol=1e-4, rtol=1e-4)
    for name, *grads in zip("qkv", got, expected_grads, plain_grads, strict=True):
        assert_as_good(*grads, f"gradient of {name}")


def visibility(
    q: Tensor,
    k: Tensor,
    *,
    causal: bool = False,
    offset: int | None = None,
    window: int | None = None,
    ranges: Tensor | None = None,
) -> Tensor | None:
    batch, queries, keys = q.shape[0], q.shape[2], k.shape[2]
    if causal:
        ranges = causal_ranges(batch, queries, keys, offset=offset, window=window, device=q.device)
    return None if ranges is None else mask_of_ranges(ranges, keys)[:, None]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("queries", "keys"), [(1, 1), (17, 17), (1, 50), (65, 33)])
def test_odd_lengths_agree_with_the_reference(device: torch.device, queries: int, keys: int, causal: bool) -> None:
    check(*tensors(device, queries, keys), causal=causal)


def test_a_thousand_queries_agree_with_the_reference(device: torch.device) -> None:
    check(*tensors(device, 1023, heads=1), causal=True)


@pytest.mark.parametrize("dtype", [*HALF, torch.float32])
def test_dtypes_agree_with_the_reference(device: torch.device, dtype: torch.dtype) -> None:
    check(*tensors(device, 113, dtype=dtype, heads=1), causal=True)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("d", [64, 128])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("queries", "keys"), [(113, 203), (512, 512), (1023, 1023), (1024, 2048), (2049, 1111)])
def test_real_shapes_agree_with_the_reference(
    cuda: torch.device, queries: int, keys: int, causal: bool, d: int, dtype: torch.dtype
) -> None:
    check(*tensors(cuda, queries, keys, batch=2, heads=8, key_heads=2, d=d, dtype=dtype), causal=causal)


@pytest.mark.parametrize("d", [64, 128, 256])
@pytest.mark.parametrize("causal", [False, True])
def test_every_configuration_of_this_device_is_correct(cuda: torch.device, causal: bool, d: int) -> None:
    """The tuner may choose any of them. No tile divides these lengths."""
    q, k, v = (x.detach() for x in tensors(cuda, 333, 397, batch=2, heads=4, key_heads=2, d=d))
    rule = (None, None, causal, 64, 0, d**-0.5, 0.0)
    offered = {
        kernel: candidates(kernel, d, 2, Device.of(torch.cuda.current_device()), tma=True)
        for kernel in ("forward", "backward_keys", "backward_queries")
    }
    out, lse = flash_forward(q, k, v, *rule, Configuration(32, 32))
    for c in offered["forward"]:
        got = flash_forward(q, k, v, *rule, c)
        torch.testing.assert_close(got, (out, lse), atol=2e-2, rtol=2e-2, msg=lambda text, c=c: f"{c}: {text}")
    given = torch.randn_like(out), torch.randn_like(lse), q, k, v, out, lse
    plain = Configuration(32, 32), Configuration(32, 32)
    expected = flash_backward(*given, *rule, plain)
    for one, kernel in enumerate(("backward_keys", "backward_queries")):
        for c in offered[kernel]:
            got = flash_backward(*given, *rule, (c, plain[1]) if one == 0 else (plain[0], c))
            torch.testing.assert_close(got, expected, atol=5e-2, rtol=5e-2, msg=lambda text, c=c: f"{c}: {text}")


def test_timing_chooses_a_correct_configuration(
    cuda: torch.device, cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KEXPERT_KERNELS_TUNE")
    autotuning._choices.cache_clear()
    try:
        check(*tensors(cuda, 700, batch=2, heads=4, d=64), causal=True)
        chosen = json.loads(autotuning.cache_file(Device.of(torch.cuda.current_device())).read_text())
    finally:
        autotuning._choices.cache_clear()
    assert {name.split()[0] for name in chosen} == {"forward", "backward_keys", "backward_queries"}
    assert cache_home.exists()


@pytest.mark.parametrize("d", [8, 32, 40, 80, 96, 128, 256])
def test_head_dimensions_agree_with_the_reference(device: torch.device, d: int) -> None:
    check(*tensors(device, 35, d=d, heads=1), causal=True)


@pytest.mark.parametrize(("heads", "key_heads"), [(8, 8), (8, 2), (8, 1), (6, 2), (12, 2), (7, 1)])
def test_query_heads_share_key_heads(device: torch.device, heads: int, key_heads: int) -> None:
    check(*tensors(device, 18, batch=2, heads=heads, key_heads=key_heads), causal=True)


@pytest.mark.parametrize(
    ("queries", "keys", "offset"),
    [
        pytest.param(20, 70, None, id="bottom right"),
        pytest.param(20, 70, 0, id="top left, as over a static cache"),
        pytest.param(40, 70, 5, id="between"),
        pytest.param(70, 20, None, id="more queries than keys: the first see nothing"),
        pytest.param(20, 20, 30, id="past the last key"),
    ],
)
def test_a_causal_offset_shifts_the_diagonal(device: torch.device, queries: int, keys: int, offset: int | None) -> None:
    check(*tensors(device, queries, keys), causal=True, offset=offset)


@pytest.mark.parametrize(("queries", "keys", "window"), [(70, 70, 1), (70, 100, 40), (40, 40, 99), (70, 40, 9)])
def test_a_sliding_window_limits_the_keys(device: torch.device, queries: int, keys: int, window: int) -> None:
    check(*tensors(device, queries, keys, heads=1), causal=True, window=window)


def test_intervals_of_every_form_agree_with_the_reference(device: torch.device) -> None:
    """Left and right padding, a hole between two sequences, empty rows, values out of range."""
    lo = torch.tensor([[0, 3, 3, 40, 40, 64, 70, 0], [-5, 0, 0, 9, 9, 9, 50, 2]])
    hi = torch.tensor([[1, 3, 9, 41, 75, 75, 70, 75], [75, 0, 90, 75, 10, 33, 70, 1]])
    ranges = torch.stack([lo, hi], dim=1).repeat_interleave(5, dim=2).to(device, torch.int32)
    check(*tensors(device, 40, 75, batch=2, heads=1), ranges=ranges)


def test_intervals_of_many_queries_agree_with_the_reference(device: torch.device) -> None:
    """More queries than the backward kernel scans at once for those that see its keys."""
    check(*tensors(device, 1100, heads=1), ranges=causal_ranges(1, 1100, 1100, window=40, device=device))


def test_a_batch_may_share_its_intervals(device: torch.device) -> None:
    ranges = causal_ranges(1, 20, 20, window=7, device=device).expand(3, 2, 20)
    check(*tensors(device, 20, batch=3, heads=1), ranges=ranges)


@pytest.mark.parametrize(
    "layout",
    [
        pytest.param(lambda x: x.transpose(1, 2).contiguous().transpose(1, 2), id="batch, length, heads, d"),
        pytest.param(lambda x: x.permute(2, 0, 1, 3).contiguous().permute(1, 2, 0, 3), id="length, batch, heads, d"),
        pytest.param(lambda x: x.mT.contiguous().mT, id="d before length"),
        pytest.param(lambda x: torch.stack([x, -x], dim=-1)[..., 0], id="every other element"),
        pytest.param(lambda x: torch.cat([x, x, x], dim=2)[:, :, x.shape[2] : 2 * x.shape[2]], id="slice of a cache"),
    ],
)
def test_strides_do_not_change_the_result(device: torch.device, layout: Any) -> None:
    leaves = tensors(device, 33, batch=2, key_heads=2)
    views = [layout(x) for x in leaves]
    assert not any(x.is_contiguous() for x in views)
    grad = torch.randn(views[0].shape, device=device, dtype=torch.bfloat16).mT.contiguous().mT
    results = [flash_attention(*inputs, causal=True)[0] for inputs in (views, leaves)]
    grads = [torch.autograd.grad(out, leaves, grad) for out in results]
    exactly = {"rtol": 0, "atol": 0} if device.type == "cpu" else {}  # on a GPU the strides may change the block sizes
    torch.testing.assert_close(*results, **exactly)
    torch.testing.assert_close(*grads, **exactly)


def test_row_strides_may_exceed_32_bits(device: torch.device) -> None:
    """The caller decides the layout of the output's gradient. A CPU allocates only the pages that are written."""
    q, k, v = (x.detach() for x in tensors(device, 33, 40))
    far = torch.empty(33 * 2**26, device=device, dtype=q.dtype).as_strided((1, 2, 33, 16), (0, 16, 2**26, 1))
    grad = far.copy_(torch.randn_like(q))
    rule = (None, None, True, 7, 0, 0.25, 0.0)
    out, lse = flash_forward(q, k, v, *rule)
    given = torch.zeros_like(lse), q, k, v, out, lse, *rule
    assert all(map(torch.equal, flash_backward(grad, *given), flash_backward(grad.contiguous(), *given)))


def test_a_batch_may_share_its_keys(device: torch.device) -> None:
    q, k, v = tensors(device, 20, dtype=torch.float32)
    q = torch.randn(3, 2, 20, 16, device=device, requires_grad=True)
    check(q, k.expand(3, 1, 20, 16), v.expand(3, 1, 20, 16), causal=True)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("size", [1e-4, 30.0])
def test_extreme_logits_are_stable(device: torch.device, size: float, dtype: torch.dtype) -> None:
    """Scores of a few thousand leave one weight of 1; equal scores leave the mean."""
    q, k, v = tensors(device, 40, d=32, heads=1, dtype=dtype)
    check((q * size).detach().requires_grad_(), (k * size).detach().requires_grad_(), v, causal=True)


@pytest.mark.parametrize("dtype", HALF)
def test_growing_logits_are_stable(device: torch.device, dtype: torch.dtype) -> None:
    """Each tile of keys has larger scores than those before it, beyond the range of an exponential."""
    q, k, v = (x.detach() for x in tensors(device, 40, 75, d=32, heads=1, dtype=dtype))
    grow = torch.linspace(0, 30, 75, device=device)[:, None]
    q, k = q.abs() * 30, (k.abs() * grow).to(dtype)
    check(*(x.requires_grad_() for x in (q, k, v)))


def test_the_scale_is_applied(device: torch.device) -> None:
    check(*tensors(device, 33, heads=1), scale=0.03)


def test_log_sum_exp_has_a_gradient(device: torch.device) -> None:
    q, k, v = tensors(device, 33, 40, heads=1, dtype=torch.float32)
    out, lse = flash_attention(q, k, v, causal=True)
    expected, expected_lse = reference.attention(q, k, v, visibility(q, k, causal=True))
    grads = [torch.autograd.grad((o, torch.sin(s)), (q, k, v), (o.detach(), s.detach())) for o, s in
             ((out, lse), (expected, expected_lse))]  # fmt: skip
    torch.testing.assert_close(*grads, atol=1e-5, rtol=1e-4)


def test_empty_inputs_give_empty_or_zero_outputs(device: torch.device) -> None:
    empty = torch.empty(0, 2, 5, 16, device=device)
    assert flash_attention(empty, empty, empty)[0].shape == empty.shape
    q = torch.randn(1, 2, 5, 16, device=device, requires_grad=True)
    none = torch.empty(1, 1, 0, 16, device=device)
    out, lse = flash_attention(q, none, none)
    assert not out.any() and bool((lse == -torch.inf).all())
    assert not torch.autograd.grad(out.sum(), q)[0].any()


def test_every_run_gives_the_same_bits(device: torch.device) -> None:
    q, k, v = tensors(device, 70, batch=2, heads=4, key_heads=2)

    def run() -> tuple[Tensor, ...]:
        out, lse = flash_attention(q, k, v, causal=True)
        return out, lse, *torch.autograd.grad(out, (q, k, v), torch.ones_like(out))

    first = run()
    for _ in range(1 if device.type == "cpu" else 20):
        assert all(torch.equal(a, b) for a, b in zip(first, run(), strict=True))


def test_tensor_descriptors_give_the_same_result(device: torch.device) -> None:
    """The copy engine of sm_90 loads the same values as plain loads, including edges and padded head dimensions."""
    if device.type == "cuda" and torch.cuda.get_device_capability() < (9, 0):
        pytest.skip("this GPU has no tensor memory accelerator (sm_90)")
    q, k, v = (x.detach() for x in tensors(device, 45, 75, batch=2, d=24))
    for ranges, window in ((None, 0), (None, 20), (causal_ranges(2, 45, 75, device=device), 0)):
        plain, described = (
            flash_forward(q, k, v, ranges, None, True, 30, window, 0.2, 0.0, Configuration(32, 32, tma=tma))
            for tma in (False, True)
        )
        torch.testing.assert_close(described, plain, rtol=0, atol=0)
        given = torch.randn_like(plain[0]), torch.randn_like(plain[1]), q, k, v, *plain
        rule = (ranges, None, True, 30, window, 0.2, 0.0)
        grads = (flash_backward(*given, *rule, (Configuration(32, 32, tma=tma),) * 2) for tma in (False, True))
        torch.testing.assert_close(*grads, rtol=0, atol=0)


def test_block_sizes_do_not_change_the_result(device: torch.device) -> None:
    q, k, v = (x.detach() for x in tensors(device, 45, 75, dtype=torch.float32))
    results = [
        flash_forward(q, k, v, None, None, True, 30, 11, 0.2, 0.0, Configuration(m, n))[0]
        for m, n in ((16, 64), (64, 16))
    ]
    torch.testing.assert_close(*results)


class TestDropout:
    """With V the identity, the output is the matrix of weights; dropped weights are zero."""

    def weights(self, device: torch.device, dropout: float, seed: int, heads: int = 2) -> Tensor:
        torch.manual_seed(seed)
        q = torch.zeros(1, heads, 64, 64, device=device)
        return flash_attention(q, q[:, :1], torch.eye(64, device=device)[None, None], dropout=dropout)[0] * 64

    def test_kept_weights_have_the_expected_share_and_scale(self, device: torch.device) -> None:
        kept = self.weights(device, 0.3, seed=1)
        torch.testing.assert_close(kept[kept > 0], torch.full_like(kept[kept > 0], 1 / 0.7))
        share = (kept > 0).float().mean(dim=(0, 2, 3))
        assert bool(((share - 0.7).abs() < 5 * (0.3 * 0.7 / 64**2) ** 0.5).all())

    def test_seeds_and_heads_differ(self, device: torch.device) -> None:
        one, again, other = (self.weights(device, 0.5, seed) > 0 for seed in (1, 1, 2))
        assert torch.equal(one, again)
        for a, b in ((one, other), (one[:, 0], one[:, 1]), (one, one.mT)):
            assert abs(float((a == b).float().mean()) - 0.5) < 0.05

    def test_gradients_use_the_same_dropout_mask(self, device: torch.device) -> None:
        def drawn(v: Tensor) -> Tensor:
            torch.manual_seed(3)
            return flash_attention(q, k, v, causal=True, dropout=0.4)[0]

        q, k, v = tensors(device, 45, heads=2, d=64, dtype=torch.float32)
        eye = torch.nn.functional.pad(torch.eye(45, device=device), (0, 19))[None, None]
        keep = drawn(eye)[..., :45] > 0
        grad = torch.randn_like(q)
        out = drawn(v)
        expected, _ = reference.attention(q, k, v, visibility(q, k, causal=True), keep=keep, dropout=0.4)
        torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-4)
        grads = (torch.autograd.grad(o, (q, k, v), grad) for o in (out, expected))
        torch.testing.assert_close(*grads, atol=1e-5, rtol=1e-4)


class TestPacked:
    def test_packed_sequences_match_separate_calls(self, device: torch.device) -> None:
        """Sequences of 20, 0, 1 and 30 queries over 20, 5, 40 and 30 keys, and two tokens outside all sequences."""
        lengths_q, lengths_k = [20, 0, 1, 30], [20, 5, 40, 30]
        q = torch.randn(53, 2, 16, device=device, requires_grad=True)
        k, v = (torch.randn(95, 1, 16, device=device, requires_grad=True) for _ in range(2))
        starts = [torch.tensor([0, *n], device=device).cumsum(0).to(torch.int32) for n in (lengths_q, lengths_k)]
        out, lse = flash_attention_packed(q, k, v, *starts, window=12)
        apart = [
            flash_attention(*(x.transpose(0, 1)[None] for x in (a, b, c)), causal=True, window=12)[0][0].transpose(0, 1)
            for a, b, c in zip(q[:51].split(lengths_q), k.split(lengths_k), v.split(lengths_k), strict=True)
        ]
        expected = torch.cat([*apart, torch.zeros(2, 2, 16, device=device)])
        torch.testing.assert_close(out, expected)
        assert bool((lse[:, 51:] == -torch.inf).all())
        grad = torch.randn_like(out)
        grads = (torch.autograd.grad(o, (q, k, v), grad) for o in (out, expected))
        torch.testing.assert_close(*grads)

    def test_packed_sequences_without_causal_mask_match_separate_calls(self, device: torch.device) -> None:
        q = torch.randn(40, 2, 16, device=device)
        starts = torch.tensor([0, 15, 40], device=device, dtype=torch.int32)
        out, _ = flash_attention_packed(q, q, q, starts, causal=False)
        apart = [x.transpose(0, 1)[None] for x in q.split([15, 25])]
        expected = torch.cat([reference.attention(x, x, x)[0][0].transpose(0, 1) for x in apart])
        torch.testing.assert_close(out, expected)


class TestOperator:
    @pytest.mark.parametrize("masked", [False, True])
    def test_the_operators_pass_opcheck(self, device: torch.device, masked: bool) -> None:
        q, k, v = tensors(device, 20, 24, batch=2, heads=2, dtype=torch.float32)
        ranges = causal_ranges(2, 20, 24, device=device) if masked else None
        seed = torch.zeros(1, dtype=torch.int64, device=device)
        rest = (ranges, seed, not masked, 4, 0, 0.25, 0.1)
        torch.library.opcheck(module._flash_attention, (q, k, v, *rest))
        with torch.no_grad():
            out, lse = module._flash_attention(q, k, v, *rest)
        backward = (out, torch.zeros_like(lse), *(x.detach() for x in (q, k, v)), out, lse, *rest)
        torch.library.opcheck(module._flash_attention_backward, backward)

    def test_a_compiled_layer_gives_the_same_result(self, device: torch.device) -> None:
        """One graph with symbolic lengths gives the same output and gradients."""

        def layer(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            out, lse = flash_attention(q * 2, k, v, causal=True)
            return out * lse[..., None].sigmoid()

        backend = "aot_eager" if device.type == "cpu" else "inductor"
        compiled = torch.compile(layer, backend=backend, fullgraph=True, dynamic=True)
        for length in (20, 33):
            inputs = tensors(device, length, dtype=torch.float32)
            results = [f(*inputs) for f in (layer, compiled)]
            grads = [torch.autograd.grad(o.sum(), inputs) for o in results]
            torch.testing.assert_close(*results)
            torch.testing.assert_close(*grads)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"k": (1, 2, 20, 8)}, "belong together", id="head dimensions"),
        pytest.param({"k": (2, 2, 20, 16)}, "belong together", id="batches"),
        pytest.param({"k": (1, 3, 20, 16)}, "belong together", id="heads"),
        pytest.param({"window": 5}, "causal", id="window without causal"),
        pytest.param({"scale": 0.0}, "scale", id="scale"),
        pytest.param({"dropout": 1.0}, "dropout", id="dropout"),
        pytest.param({"ranges": torch.zeros(1, 2, 9, dtype=torch.int32)}, "ranges", id="ranges"),
    ],
)
def test_invalid_arguments_are_rejected(device: torch.device, change: dict[str, Any], message: str) -> None:
    q = torch.zeros(1, 4, 20, 16, device=device)
    k = torch.zeros(change.pop("k", (1, 2, 20, 16)), device=device)
    with pytest.raises(ValueError, match=message):
        flash_attention(q, k, k, **change)
