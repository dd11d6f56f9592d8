"""A LoRA in GGUF changes the logits of llama.cpp as the PEFT adapter changes those of torch."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import llama_cpp
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import LlamaForCausalLM

from kexpert_trainer.errors import UserError
from kexpert_trainer.release.export import Origin, export
from kexpert_trainer.release.lora_gguf import write_lora_gguf
from tests.support.small_training import checkpoint, driver, tokenizer

ALL_LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
IDS = tokenizer().encode(driver(3)).ids[:60]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of random weights in both formats: ``base`` and ``gguf/tiny-F32.gguf``."""
    folder = tmp_path_factory.mktemp("lora")
    checkpoint(folder / "base", width=256, mlp_width=192, kv_heads=2)
    export(folder / "base", folder / "gguf", Origin("tiny", "-", "-", {}, {}), ["F32"])
    return folder


def adapter(base: Path, folder: Path, **options: object) -> Path:
    """Write a PEFT adapter with random A and B; ``options``: fields of LoraConfig."""
    settings = {"r": 8, "lora_alpha": 24, "target_modules": ALL_LINEAR} | options
    torch.manual_seed(3)
    model = get_peft_model(LlamaForCausalLM.from_pretrained(base / "base"), LoraConfig(**settings))
    for name, weight in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.1)
    model.save_pretrained(folder)
    return folder


def by_torch(base: Path, adapter: Path | None) -> NDArray[np.float32]:
    model = LlamaForCausalLM.from_pretrained(base / "base")
    if adapter is not None:
        model = PeftModel.from_pretrained(model, adapter)
    with torch.no_grad():
        return model(torch.tensor([IDS])).logits[0].numpy()


def by_llama_cpp(base: Path, lora: Path) -> NDArray[np.float32]:
    path = str(base / "gguf" / "tiny-F32.gguf")
    model = llama_cpp.Llama(path, lora_path=str(lora), n_ctx=128, n_threads=1, logits_all=True, verbose=False)
    model.eval(IDS)
    return model.scores[: len(IDS)]


def relative_error(got: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Root mean square error relative to the standard deviation."""
    return float(np.sqrt(np.mean((got - expected) ** 2)) / expected.std())


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="plain"),
        pytest.param({"use_rslora": True}, id="rslora"),
        pytest.param({"target_modules": ["gate_proj", "up_proj", "down_proj"]}, id="mlp"),
        pytest.param(
            {"rank_pattern": {"q_proj": 4, "down_proj": 16}, "alpha_pattern": {"o_proj": 5, "k_proj": 40}}, id="mixed"
        ),
    ],
)
def test_llama_cpp_gives_the_logits_of_peft(base: Path, tmp_path: Path, options: dict[str, object]) -> None:
    """The adapter moves the logits by much more than the two programs differ (llama.cpp caches K and V in float16)."""
    folder = adapter(base, tmp_path / "adapter", **options)
    write_lora_gguf(folder, base / "base", tmp_path / "lora.gguf", "F32")
    expected = by_torch(base, folder)
    assert relative_error(by_llama_cpp(base, tmp_path / "lora.gguf"), expected) < 5e-3
    assert relative_error(by_torch(base, None), expected) > 0.2


@pytest.mark.parametrize(("kind", "error"), [("F16", 8e-3), ("Q8_0", 0.08)])
def test_smaller_kinds_lose_little(base: Path, tmp_path: Path, kind: str, error: float) -> None:
    folder = adapter(base, tmp_path / "adapter")
    write_lora_gguf(folder, base / "base", tmp_path / "lora.gguf", kind)
    assert relative_error(by_llama_cpp(base, tmp_path / "lora.gguf"), by_torch(base, folder)) < error


def test_b_falls_back_to_f16_where_the_rank_is_no_multiple_of_32(base: Path, tmp_path: Path) -> None:
    write_lora_gguf(adapter(base, tmp_path / "adapter"), base / "base", tmp_path / "lora.gguf", "Q8_0")
    types = {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(tmp_path / "lora.gguf").tensors}
    assert types["blk.0.attn_q.weight.lora_a"] == "Q8_0"
    assert types["blk.0.attn_q.weight.lora_b"] == "F16"


def test_an_adapter_saved_in_bfloat16_is_read(base: Path, tmp_path: Path) -> None:
    folder = adapter(base, tmp_path / "adapter")
    file = folder / "adapter_model.safetensors"
    save_file({name: tensor.bfloat16() for name, tensor in load_file(file).items()}, file)
    write_lora_gguf(folder, base / "base", tmp_path / "lora.gguf", "F32")
    assert relative_error(by_llama_cpp(base, tmp_path / "lora.gguf"), by_torch(base, folder)) < 2e-3


def test_what_gguf_cannot_express_is_refused(base: Path, tmp_path: Path) -> None:
    folder = adapter(base, tmp_path / "adapter", use_dora=True)
    with pytest.raises(UserError, match="use_dora"):
        write_lora_gguf(folder, base / "base", tmp_path / "lora.gguf")
    saved = adapter(base, tmp_path / "saved", modules_to_save=["lm_head"])
    with pytest.raises(UserError, match="modules_to_save"):
        write_lora_gguf(saved, base / "base", tmp_path / "lora.gguf")
    with pytest.raises(UserError, match="no PEFT adapter"):
        write_lora_gguf(tmp_path, base / "base", tmp_path / "lora.gguf")


def test_a_damaged_adapter_is_refused(base: Path, tmp_path: Path) -> None:
    folder = adapter(base, tmp_path / "adapter")
    weights = load_file(folder / "adapter_model.safetensors")
    weights.pop("base_model.model.model.layers.0.mlp.up_proj.lora_B.weight")
    save_file(weights, folder / "adapter_model.safetensors")
    with pytest.raises(UserError, match=r"layers\.0\.mlp\.up_proj is incomplete"):
        write_lora_gguf(folder, base / "base", tmp_path / "lora.gguf")
    (folder / "adapter_model.safetensors").write_bytes(b"junk")
    with pytest.raises(UserError, match="cannot be read"):
        write_lora_gguf(folder, base / "base", tmp_path / "lora.gguf")
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"peft_type": "PROMPT_TUNING"}))
    with pytest.raises(UserError, match="not a LoRA"):
        write_lora_gguf(folder, base / "base", tmp_path / "lora.gguf")
