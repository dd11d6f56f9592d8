"""The kernels inside transformers agree with ``eager``: padded, packed, windowed and cached inputs, four models."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
import torch
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    DataCollatorWithFlattening,
    GraniteConfig,
    LlamaConfig,
    MistralConfig,
    PreTrainedModel,
    Qwen2Config,
)
from transformers.masking_utils import (
    causal_mask_function,
    chunked_causal_mask_function,
    sdpa_mask,
    sliding_window_causal_mask_function,
)

from kexpert_kernels import attention_interface
from kexpert_kernels.attention_interface import NAME, kexpert_attention, kexpert_mask
from kexpert_kernels.implementation import implementation
from kexpert_kernels.ranges import mask_of_ranges

T = TypeVar("T")

SIZE = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
CONFIGURATIONS = {
    "llama": LlamaConfig(**SIZE),
    "qwen2, second layer windowed": Qwen2Config(**SIZE, use_sliding_window=True, sliding_window=6, max_window_layers=1),
    "granite, own scale": GraniteConfig(**SIZE, attention_multiplier=0.3),
    "mistral, windowed": MistralConfig(**SIZE, sliding_window=5),
}


@pytest.fixture(scope="module", autouse=True)
def _registered() -> None:
    attention_interface.register()


@pytest.fixture(params=CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def model(request: pytest.FixtureRequest, device: torch.device) -> PreTrainedModel:
    """A model with weights large enough that a different mask gives different tokens."""
    model = AutoModelForCausalLM.from_config(request.param).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    return model.to(device)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the functions that computed attention, in order."""
    made: list[str] = []

    def spy(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **kwargs: (made.append(name), real(*args, **kwargs))[1]

    for name in ("flash_attention", "decode_attention", "_torch_attention"):
        monkeypatch.setattr(attention_interface, name, spy(name, getattr(attention_interface, name)))
    return made


def both(model: PreTrainedModel, ask: Callable[[], T]) -> tuple[T, T]:
    """Return the answers of ``eager`` and of these kernels."""
    answers = []
    for name in ("eager", NAME):
        model.set_attn_implementation(name)
        model.zero_grad()
        answers.append(ask())
    return answers[0], answers[1]


def padded(device: torch.device) -> dict[str, Tensor]:
    """Two prompts of 7 and 11 tokens, padded on the left."""
    tokens = torch.randint(3, 64, (2, 11), device=device)
    mask = torch.ones_like(tokens)
    mask[0, :4] = tokens[0, :4] = 0
    return {"input_ids": tokens, "attention_mask": mask}


def gradients(model: PreTrainedModel, **batch: Any) -> list[Tensor]:
    model.train()
    model(**batch, use_cache=False).loss.backward()
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


def assert_same_gradients(one: list[Tensor], other: list[Tensor]) -> None:
    assert len(one) == len(other) > 0
    torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-3)


@pytest.mark.parametrize("cache", ["dynamic", "static"])
def test_generation_gives_the_same_tokens(
    model: PreTrainedModel, device: torch.device, calls: list[str], cache: str
) -> None:
    kind: dict[str, Any] = {"max_new_tokens": 5, "do_sample": False, "eos_token_id": None, "disable_compile": True}
    if cache == "static":
        kind["cache_implementation"] = "static"
    prompts = padded(device)
    eager, ours = both(model, lambda: model.generate(**prompts, **kind))
    assert eager.tolist() == ours.tolist()
    assert calls == ["flash_attention"] * 2 + ["decode_attention"] * 8


def test_padded_batches_have_the_same_gradients(model: PreTrainedModel, device: torch.device, calls: list[str]) -> None:
    batch = {name: x.flip(1) for name, x in padded(device).items()}  # padded on the right, as in training
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    assert_same_gradients(*both(model, lambda: gradients(model, **batch, labels=labels)))
    assert set(calls) == {"flash_attention"}


def test_packed_rows_have_the_same_gradients(model: PreTrainedModel, device: torch.device, calls: list[str]) -> None:
    tokens = torch.randint(3, 64, (1, 17), device=device)
    positions = torch.tensor([[*range(7), *range(10)]], device=device)
    batch = {"input_ids": tokens, "position_ids": positions, "labels": tokens}
    assert_same_gradients(*both(model, lambda: gradients(model, **batch)))
    assert set(calls) == {"flash_attention"}


@pytest.fixture
def llama(device: torch.device) -> PreTrainedModel:
    model = AutoModelForCausalLM.from_config(CONFIGURATIONS["llama"]).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    return model.to(device)


def test_a_prompt_without_padding_needs_no_mask(llama: PreTrainedModel, device: torch.device) -> None:
    tokens = torch.randint(3, 64, (2, 9), device=device)
    with torch.no_grad():
        eager, ours = both(llama, lambda: llama(input_ids=tokens).logits)
    torch.testing.assert_close(eager, ours, atol=1e-5, rtol=1e-4)
    assert kexpert_mask(2, 9, 9, device=device) is None


def test_batches_of_the_packing_collator_have_the_same_gradients(llama: PreTrainedModel, device: torch.device) -> None:
    """The packing collator of transformers, with the ``cu_seq_lens`` of flash-attention."""
    rows = [{"input_ids": torch.randint(3, 64, (n,)).tolist()} for n in (5, 8, 3)]
    batch = DataCollatorWithFlattening(return_flash_attn_kwargs=True)(rows)
    batch = {name: x.to(device) if isinstance(x, Tensor) else x for name, x in batch.items()}
    assert_same_gradients(*both(llama, lambda: gradients(llama, **batch)))


def test_a_prompt_in_two_parts_gives_the_same_logits(
    llama: PreTrainedModel, device: torch.device, calls: list[str]
) -> None:
    """Eleven tokens after nine in the cache; the last query is aligned to the last key."""
    tokens = torch.randint(3, 64, (2, 20), device=device)

    def ask() -> Tensor:
        cache = llama(input_ids=tokens[:, :9]).past_key_values
        return llama(input_ids=tokens[:, 9:], past_key_values=cache).logits

    with torch.no_grad():
        torch.testing.assert_close(*both(llama, ask), atol=1e-5, rtol=1e-4)
    assert set(calls) == {"flash_attention"}


@pytest.mark.parametrize(
    "mask",
    [
        pytest.param([[1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 0]], id="padding with a hole"),
        pytest.param(torch.ones(1, 1, 12, 12).tril().bool().tolist(), id="finished boolean mask"),
        pytest.param((torch.ones(1, 1, 12, 12).triu(1) * -1e4).tolist(), id="finished mask of numbers"),
    ],
)
def test_masks_without_interval_form_use_torch(
    llama: PreTrainedModel, device: torch.device, calls: list[str], mask: list[Any]
) -> None:
    tokens = torch.randint(3, 64, (1, 12), device=device)
    given = torch.tensor(mask, device=device)

    def ask() -> Tensor:
        form = given if given.dtype == torch.bool and llama.config._attn_implementation == NAME else numbers
        return llama(input_ids=tokens, attention_mask=form).logits

    numbers = torch.where(given, 0.0, torch.finfo(torch.float32).min) if given.dtype == torch.bool else given
    with torch.no_grad():
        eager, ours = both(llama, ask)
    seen = given[0] == 1 if given.dim() == 2 else slice(None)
    torch.testing.assert_close(eager[0, seen], ours[0, seen], atol=1e-5, rtol=1e-4)
    assert set(calls) == {"_torch_attention"}


@pytest.mark.parametrize(
    ("rule", "local"),
    [
        pytest.param(causal_mask_function, None, id="causal"),
        pytest.param(sliding_window_causal_mask_function(7), 7, id="sliding"),
        pytest.param(chunked_causal_mask_function(6, torch.zeros(2, dtype=torch.int)), 6, id="chunked"),
    ],
)
@pytest.mark.parametrize(
    ("queries", "keys", "q_offset", "kv_offset"),
    [
        pytest.param(20, 20, 0, 0, id="prompt"),
        pytest.param(20, 32, 0, 0, id="prompt into a static cache"),
        pytest.param(20, 32, torch.tensor(4), 0, id="more into a static cache"),
        pytest.param(12, 19, 13, 6, id="after a sliding cache"),
    ],
)
@pytest.mark.parametrize("padding", [None, "left", "right", "all of a row"])
def test_intervals_match_the_dense_mask(
    rule: Any, local: int | None, queries: int, keys: int, q_offset: Any, kv_offset: int, padding: str | None
) -> None:
    seen = None
    if padding:
        seen = torch.ones(2, int(q_offset) + queries, dtype=torch.bool)
        cut = {"left": slice(0, 9), "right": slice(-3, None), "all of a row": slice(None)}[padding]
        seen[0, cut] = False
    arguments = (2, queries, keys, q_offset, kv_offset, rule, seen, local)
    got = kexpert_mask(*arguments)
    expected = sdpa_mask(*arguments, allow_is_causal_skip=False)[:, 0]
    if got is None:
        got = torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries)[None, None].int()
        assert torch.equal(got[:, 0].bool().expand_as(expected), expected)
    else:
        assert got.dtype == torch.int32
        assert torch.equal(mask_of_ranges(got[:, 0], keys), expected)


def test_intervals_of_long_prompts_are_computed_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention_interface, "QUERY_BLOCK", 7)
    padding = torch.ones(1, 20, dtype=torch.bool)
    padding[0, :2] = False
    ranges = kexpert_mask(1, 20, 20, attention_mask=padding)
    assert torch.equal(mask_of_ranges(ranges[:, 0], 20), sdpa_mask(1, 20, 20, attention_mask=padding)[:, 0])


class Layer(torch.nn.Module):
    """The part of a transformers layer that an attention function reads."""

    is_causal = True


@pytest.mark.parametrize("argument", ["softcap", "s_aux", "position_bias", "cache"])
def test_an_unsupported_argument_is_an_error(device: torch.device, argument: str) -> None:
    x = torch.randn(1, 2, 9, 16, device=device)
    with pytest.raises(ValueError, match=argument):
        kexpert_attention(Layer(), x, x, x, None, **{argument: 1.0})


def test_sequence_starts_without_a_mask_separate_the_sequences(device: torch.device) -> None:
    x = torch.randn(1, 2, 30, 16, device=device)
    starts = torch.tensor([0, 11, 30], dtype=torch.int32, device=device)
    out, _ = kexpert_attention(Layer(), x, x, x, None, cu_seq_lens_q=starts, cu_seq_lens_k=starts)
    apart = [kexpert_attention(Layer(), part, part, part, None)[0] for part in x.split([11, 19], dim=2)]
    torch.testing.assert_close(out, torch.cat(apart, dim=1))


def test_queries_wider_than_values_are_cast(device: torch.device) -> None:
    """Rotary embeddings in fp32 under autocast."""
    x = torch.randn(1, 2, 20, 16, device=device)
    out, _ = kexpert_attention(Layer(), x, x, x.bfloat16(), None)
    assert out.dtype == torch.bfloat16
    with torch.autocast(device.type, dtype=torch.bfloat16):
        assert kexpert_attention(Layer(), x, x, x, None)[0].dtype == torch.bfloat16


@pytest.mark.parametrize("window", [None, 4])
@pytest.mark.parametrize("queries", [1, 6, 13])
def test_torch_gives_the_same_where_no_kernel_runs(
    device: torch.device, monkeypatch: pytest.MonkeyPatch, queries: int, window: int | None
) -> None:
    q, k, v = (torch.randn(1, h, n, 16, device=device) for h, n in ((4, queries), (2, 13), (2, 13)))
    ours, _ = kexpert_attention(Layer(), q, k, v, None, sliding_window=window)
    monkeypatch.setattr(attention_interface, "_runs_on", lambda _device: False)
    torchs, _ = kexpert_attention(Layer(), q, k, v, None, sliding_window=window)
    torch.testing.assert_close(ours, torchs)


def test_the_implementation_depends_on_the_device(caplog: pytest.LogCaptureFixture) -> None:
    implementation.cache_clear()
    with caplog.at_level("INFO"):
        assert {implementation("cpu") for _ in range(3)} == {"sdpa"}
    assert caplog.text.count("sdpa") == 1
    assert implementation("cuda") == NAME


def test_without_triton_the_implementation_is_sdpa(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    implementation.cache_clear()
    monkeypatch.setitem(sys.modules, "kexpert_kernels.attention_interface", None)  # as if importing it failed
    assert {implementation("cuda") for _ in range(3)} == {"sdpa"}
    assert caplog.text.count("sdpa, since the Triton kernels") == 1
    implementation.cache_clear()


class TestCompiled:
    """Models through torch.compile, where each kernel stays one operator of the graph."""

    def test_a_step_with_a_static_cache_gives_the_same_tokens(
        self, llama: PreTrainedModel, device: torch.device, backend: str
    ) -> None:
        prompts = padded(device)
        kind = {"cache_implementation": "static", "max_new_tokens": 4, "do_sample": False, "eos_token_id": None}
        llama.set_attn_implementation("eager")
        expected = llama.generate(**prompts, **kind, disable_compile=True)
        llama.set_attn_implementation(NAME)
        real = llama.forward
        compiled = torch.compile(real, backend=backend, fullgraph=True)
        # As generate does on a GPU: the prompt is not compiled, the steps after it are.
        llama.forward = lambda **inputs: (compiled if inputs["input_ids"].shape[1] == 1 else real)(**inputs)
        assert llama.generate(**prompts, **kind, disable_compile=True).tolist() == expected.tolist()

    def test_training_on_packed_rows_has_the_same_gradients(
        self, llama: PreTrainedModel, device: torch.device, backend: str
    ) -> None:
        tokens = torch.randint(3, 64, (1, 17), device=device)
        positions = torch.tensor([[*range(7), *range(10)]], device=device)
        batch = {"input_ids": tokens, "position_ids": positions, "labels": tokens}
        llama.set_attn_implementation("eager")
        expected = gradients(llama, **batch)
        llama.zero_grad()
        llama.set_attn_implementation(NAME)
        llama.forward = torch.compile(llama.forward, backend=backend)
        assert_same_gradients(gradients(llama, **batch), expected)

    @pytest.fixture
    def backend(self, device: torch.device, monkeypatch: pytest.MonkeyPatch) -> str:
        monkeypatch.setattr(attention_interface, "_torch_attention", None)  # a graph that uses it fails
        return "aot_eager" if device.type == "cpu" else "inductor"
