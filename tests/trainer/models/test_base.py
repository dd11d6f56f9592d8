"""Base models as Hugging Face folders: tiny ones of each family, from a folder and from a GGUF, and the real one."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from kexpert.model.base_models import CATALOGUE, LICENCE_FILE
from kexpert_trainer.cli import main
from kexpert_trainer.errors import UserError
from kexpert_trainer.models.base import prepare_base, read_base
from kexpert_trainer.models.presets import PRESETS, Preset, Shape
from kexpert_trainer.release.hf_gguf import Description, write_hf_gguf
from tests.support.tiny_chat import VOCABULARY, chat_base

FAMILIES = {"qwen2": "qwen2.5-coder-7b", "llama": "llama-3.1-8b", "granite": "granite-3.1-8b"}
MESSAGES = [{"role": "user", "content": "Summarize in one line.\nint foo_start(struct foo *foo)"}]


def tiny(family: str) -> Preset:
    """The preset of a family, in the shape of ``chat_base``."""
    shape = Shape(2, 64, 96, 4, 2, 16, VOCABULARY, tied=False, qkv_bias=family == "qwen2")
    return replace(PRESETS[FAMILIES[family]], shape=shape)


def logits(folder: Path) -> torch.Tensor:
    """What a model says about a chat, loaded as fine-tuning loads it."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    ids = tokenizer.apply_chat_template(MESSAGES, add_generation_prompt=True, return_tensors="pt", return_dict=False)
    with torch.inference_mode():
        return model(ids).logits


@pytest.mark.parametrize("family", FAMILIES)
def test_a_folder_becomes_a_base_that_says_the_same(tmp_path: Path, family: str) -> None:
    source = chat_base(tmp_path / "source", family)
    base = prepare_base(tiny(family), tmp_path / "base", source)
    assert torch.equal(logits(tmp_path / "base"), logits(source))
    model: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "base", local_files_only=True)
    assert model.num_parameters() == tiny(family).shape.parameters
    assert (base.family, base.hub, base.dtype) == (family, PRESETS[FAMILIES[family]].hub, "float32")
    assert read_base(tmp_path / "base") == base


@pytest.mark.parametrize("family", ["qwen2", "llama"])
@pytest.mark.parametrize(("kind", "tolerance"), [("F32", 1e-4), ("Q8_0", 0.2)])
def test_a_gguf_becomes_a_base_that_says_the_same(tmp_path: Path, family: str, kind: str, tolerance: float) -> None:
    source = chat_base(tmp_path / "source", family)
    write_hf_gguf(source, tmp_path / "model.gguf", kind, Description("tiny", "MIT", "made in a test"))
    base = prepare_base(tiny(family), tmp_path / "base", tmp_path / "model.gguf")
    wanted = logits(source)
    assert (logits(tmp_path / "base") - wanted).norm() <= tolerance * wanted.norm()
    assert base.source_sha256
    assert "quantization_config" not in json.loads((tmp_path / "base" / "config.json").read_text())


def test_a_granite_gguf_is_refused_with_what_to_give_instead(tmp_path: Path) -> None:
    source = chat_base(tmp_path / "source", "granite")
    write_hf_gguf(source, tmp_path / "model.gguf", "F32", Description("tiny", "MIT", "made in a test"))
    with pytest.raises(UserError, match="Hugging Face folder"):
        prepare_base(tiny("granite"), tmp_path / "base", tmp_path / "model.gguf")
    assert not (tmp_path / "base").exists()


def test_the_real_base_is_dense_and_keeps_its_chat_template(
    smollm2_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Through the command, from where ``kexpert models add`` puts it: nothing is fetched."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    installed = tmp_path / "data" / "kexpert" / "models" / "smollm2-135m"
    installed.mkdir(parents=True)
    for file in (smollm2_gguf, smollm2_gguf.with_name(LICENCE_FILE)):
        os.symlink(file, installed / file.name)
    assert main(["base", "smollm2-135m", "--out", str(tmp_path / "base")]) == 0
    assert json.loads(capsys.readouterr().out)["licence"] == "Apache-2.0"
    assert read_base(tmp_path / "base").source_sha256 == CATALOGUE["smollm2-135m"].gguf_sha256
    tokenizer: Any = AutoTokenizer.from_pretrained(tmp_path / "base", local_files_only=True)
    model: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "base", local_files_only=True, dtype=torch.float32)
    assert model.num_parameters() == PRESETS["smollm2-135m"].shape.parameters
    asked = [{"role": "user", "content": "What is the capital of France?"}]
    text = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    ids = tokenizer(text + "The capital of France is", return_tensors="pt").input_ids
    assert ids[0, 0] == 1  # <|im_start|>, as one token
    assert tokenizer.tokenize("\t4096") == ["\u0109", "4", "0", "9", "6"]  # as llama.cpp cuts it: single digits
    with torch.inference_mode():
        assert tokenizer.decode(model(ids, logits_to_keep=1).logits[0, -1].argmax()) == " Paris"


def test_a_base_that_is_there_is_kept_and_one_of_another_preset_is_not_replaced(tmp_path: Path) -> None:
    source = chat_base(tmp_path / "source")
    base = prepare_base(tiny("llama"), tmp_path / "base", source)
    shutil.rmtree(source)
    assert prepare_base(tiny("llama"), tmp_path / "base", source) == base
    with pytest.raises(UserError, match=r"holds llama-3\.1-8b, not granite"):
        prepare_base(tiny("granite"), tmp_path / "base", source)
    (tmp_path / "other").mkdir()
    with pytest.raises(UserError, match="no base"):
        prepare_base(tiny("llama"), tmp_path / "other", source)


def test_changing_a_base_does_not_change_the_folder_it_came_from(tmp_path: Path) -> None:
    source = chat_base(tmp_path / "source")
    before = (source / "config.json").read_text()
    prepare_base(tiny("llama"), tmp_path / "base", source)
    (tmp_path / "base" / "config.json").write_text("{}")
    assert (source / "config.json").read_text() == before


def broken(folder: Path, how: str) -> str:
    """Break a model; what the refusal must say."""
    config, settings = folder / "config.json", folder / "tokenizer_config.json"
    if how == "another family":
        chat_base(folder, "qwen2")
        return "model_type is qwen2, not llama"
    if how == "another shape":
        chat_base(folder, num_hidden_layers=3)
        return "num_hidden_layers is 3, not 2"
    if how == "quantised":
        config.write_text(json.dumps(json.loads(config.read_text()) | {"quantization_config": {"quant_method": "awq"}}))
        return r"quantised \(awq\); get meta-llama/Llama-3\.1-8B-Instruct itself"
    if how == "no weights":
        (folder / "model.safetensors").unlink()
        return "weights are not in its"
    if how == "cut weights":
        weights = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(weights[:3000])
        return "cannot be used as a base"
    if how == "no template":
        settings.write_text(json.dumps(json.loads(settings.read_text()) | {"chat_template": None}))
        return "no chat template"
    if how == "no tokenizer":
        (folder / "tokenizer.json").unlink()
        settings.unlink()
        return "cannot be used as a base"
    config.write_text("{")
    return "no Hugging Face model"


@pytest.mark.parametrize(
    "how",
    [
        "another family", "another shape", "quantised", "no weights", "cut weights", "no template", "no tokenizer",
        "no JSON",
    ],
)  # fmt: skip
def test_a_folder_that_is_not_the_preset_is_refused_and_nothing_is_written(tmp_path: Path, how: str) -> None:
    source = chat_base(tmp_path / "source")
    reason = broken(source, how)
    with pytest.raises(UserError, match=reason) as raised:
        prepare_base(tiny("llama"), tmp_path / "base", source)
    assert "\n" not in str(raised.value)
    assert {each.name for each in tmp_path.iterdir()} == {"source"}


def test_what_is_no_gguf_and_what_is_not_there_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("hello")
    for name, reason in {"text.gguf": "cannot be used as a base", "nothing": "no such file or folder"}.items():
        with pytest.raises(UserError, match=reason):
            prepare_base(tiny("llama"), tmp_path / "base", tmp_path / name)


def test_a_preset_that_is_not_fetched_says_what_to_get(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["base", "qwen2.5-coder-7b", "--out", str(tmp_path / "base")]) == 1
    assert "get Qwen/Qwen2.5-Coder-7B-Instruct and give its folder or GGUF with --from" in capsys.readouterr().err
    assert main(["base", "gpt-99"]) == 1
    assert "qwen2.5-coder-32b" in capsys.readouterr().err


def test_the_list_of_presets_names_hub_and_memory(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["base"]) == 0
    said = capsys.readouterr().out
    for preset in PRESETS.values():
        assert preset.hub in said


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("smollm2-135m", 134_515_008), ("qwen2.5-coder-0.5b", 494_032_768), ("qwen2.5-coder-1.5b", 1_543_714_304),
        ("qwen2.5-coder-3b", 3_085_938_688), ("qwen2.5-coder-7b", 7_615_616_512),
        ("qwen2.5-coder-14b", 14_770_033_664), ("qwen2.5-coder-32b", 32_763_876_352),
        ("llama-3.1-8b", 8_030_261_248), ("granite-3.1-8b", 8_170_848_256),
    ],
)  # fmt: skip
def test_shapes_have_the_parameters_that_their_makers_publish(name: str, parameters: int) -> None:
    assert PRESETS[name].shape.parameters == parameters


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_memory_is_more_than_the_weights_and_less_the_fewer_bits_they_have(preset: Preset) -> None:
    need, parameters = preset.memory(), preset.shape.parameters
    assert need.lora_bf16 > need.qlora_nf4
    assert need.lora_bf16 > 2 * parameters
    assert need.qlora_nf4 > parameters / 2
    assert parameters / 2 < need.serve_q4 < need.serve_q8 < 2 * parameters
