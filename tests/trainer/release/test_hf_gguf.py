"""A Hugging Face folder written as GGUF gives the tokens and logits of transformers in llama.cpp."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import llama_cpp
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from kexpert.prompt.chat import END, START, chatml, summary_prompt
from kexpert_trainer.errors import UserError
from kexpert_trainer.release.hf_gguf import Description, write_hf_gguf
from tests.support.small_training import driver
from tests.support.tiny_chat import TEMPLATE, chat_base, chat_tokenizer

DESCRIPTION = Description("tiny", "Apache-2.0", "Random weights, for a test.")
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 10_000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}  # fmt: skip
GRANITE = {
    "embedding_multiplier": 3.0, "residual_multiplier": 0.5, "attention_multiplier": 0.125, "logits_scaling": 2.0,
}  # fmt: skip


def loaded(path: Path) -> llama_cpp.Llama:
    return llama_cpp.Llama(str(path), n_ctx=512, n_threads=1, logits_all=True, verbose=False)


def relative_error(base: Path, file: Path, ids: list[int]) -> float:
    model = loaded(file)
    model.eval(ids)
    with torch.no_grad():
        expected = AutoModelForCausalLM.from_pretrained(base)(torch.tensor([ids])).logits[0].numpy()
    got = model.scores[: len(ids)]
    return float(np.sqrt(np.mean((got - expected) ** 2)) / expected.std())


FAMILIES = [
    pytest.param("llama", {}, id="llama"),
    pytest.param("llama", {"rope_parameters": LLAMA3}, id="llama-3.1"),
    pytest.param("llama", {"tie_word_embeddings": True, "head_dim": 32}, id="tied"),
    pytest.param("qwen2", {"tie_word_embeddings": True}, id="qwen2"),
    pytest.param("granite", GRANITE, id="granite"),
]


@pytest.mark.parametrize(("family", "size"), FAMILIES)
def test_logits_are_those_of_transformers(tmp_path: Path, family: str, size: dict[str, Any]) -> None:
    base = chat_base(tmp_path / "base", family, **size)
    ids = chat_tokenizer(family).encode(driver(3)).ids[:200]
    for kind, error in (("F32", 5e-3), ("F16", 8e-3), ("Q8_0", 0.1)):
        write_hf_gguf(base, tmp_path / "model.gguf", kind, DESCRIPTION)
        assert relative_error(base, tmp_path / "model.gguf", ids) < error, kind


def test_weights_in_several_files_are_found(tmp_path: Path) -> None:
    base = chat_base(tmp_path / "base")
    AutoModelForCausalLM.from_pretrained(base).save_pretrained(tmp_path / "many", max_shard_size="100KB")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "many" / name).write_bytes((base / name).read_bytes())
    assert len(list((tmp_path / "many").glob("*.safetensors"))) > 1
    for folder in ("base", "many"):
        write_hf_gguf(tmp_path / folder, tmp_path / f"{folder}.gguf", "F16", DESCRIPTION)
    one, many = (gguf.GGUFReader(tmp_path / f"{name}.gguf").tensors for name in ("base", "many"))
    found = {tensor.name: tensor.data for tensor in many}
    assert len(one) == len(many) and all(np.array_equal(found[tensor.name], tensor.data) for tensor in one)


@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_tokens_are_those_of_the_trainer(tmp_path: Path, family: str) -> None:
    write_hf_gguf(chat_base(tmp_path / "base", family), tmp_path / "model.gguf", "F16", DESCRIPTION)
    model, tokenizer = loaded(tmp_path / "model.gguf"), chat_tokenizer(family)
    tokenizer.encode_special_tokens = True
    for text in (driver(7), "int x[2] = {1, 23};\t\t/* größe */\n\n", f"a {START} in text", "0x1f   2.6.32\n\t\t16"):
        assert model.tokenize(text.encode(), add_bos=False, special=False) == tokenizer.encode(text).ids
    tokenizer.encode_special_tokens = False
    chat = chatml(summary_prompt("a.c", driver(3)))
    assert model.tokenize(chat.encode(), add_bos=True, special=True) == tokenizer.encode(chat).ids
    assert model.token_eos() == tokenizer.token_to_id(END)
    assert model.metadata["tokenizer.chat_template"] == TEMPLATE


def test_what_llama_cpp_cannot_run_is_refused(tmp_path: Path) -> None:
    base = chat_base(tmp_path / "base")
    config = json.loads((base / "config.json").read_text())

    def refused(entries: dict[str, Any], match: str) -> None:
        (base / "config.json").write_text(json.dumps(config | entries))
        with pytest.raises(UserError, match=match):
            write_hf_gguf(base, tmp_path / "model.gguf", "F16", DESCRIPTION)
        assert not (tmp_path / "model.gguf").exists()

    refused({"model_type": "mamba"}, "type 'mamba' cannot be written")
    refused({"rope_parameters": {"rope_type": "longrope"}}, "'longrope'")
    (base / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="written here are"):
        write_hf_gguf(base, tmp_path / "model.gguf", "Q3", DESCRIPTION)
    tokenizer = json.loads((base / "tokenizer.json").read_text())
    tokenizer["pre_tokenizer"] = {"type": "Whitespace"}
    (base / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(UserError, match="no name for how its tokenizer splits"):
        write_hf_gguf(base, tmp_path / "model.gguf", "F16", DESCRIPTION)
    (base / "model.safetensors").write_bytes(b"junk")
    with pytest.raises(UserError, match="cannot be read"):
        write_hf_gguf(base, tmp_path / "model.gguf", "F16", DESCRIPTION)
