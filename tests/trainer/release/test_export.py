"""An exported model has the tokens and logits of its checkpoint, and its manifest and card describe it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import llama_cpp
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import LlamaForCausalLM

from kexpert.prompt.fim import PROMPT_VERSION, Context, render
from kexpert.prompt.manifest import mismatch, parse_manifest, tokenizer_hash
from kexpert_trainer.data import tokenizer as tokenizers
from kexpert_trainer.models import llama
from kexpert_trainer.release.export import Origin, export, origin_of
from kexpert_trainer.training.checkpoint import LAST
from kexpert_trainer.training.pretrain import PretrainConfig, RunLimits, run
from tests.support.small_training import HEADER, checkpoint, driver, make_corpus, tokenizer

ORIGIN = Origin("tiny", "Random weights, for a test.", "GPL-2.0-only", {"files": 3}, {"bits_per_byte": 1.5})

ODD = [
    "int x = 12345;\t\t/* größe */\n\n\n  return\t-EINVAL;  \n",
    "<|fim_middle|> is text here, <|endoftext|> too",
    "don't 'll I'VE  a\r\nb\r\rc \n \t\n",
    "ſ İ ½ ² ١٢ 漢字 \u2028 \U0001f427 \x0c\x0b\x00",
    "",
    driver(7),
    HEADER,
]


def loaded(path: Path) -> llama_cpp.Llama:
    return llama_cpp.Llama(str(path), n_ctx=128, n_threads=1, logits_all=True, verbose=False)


def prompt() -> list[int]:
    text = driver(3)
    context = Context("drivers/widget/a.c", text[:60], text[90:150])
    return tokenizers.Encoder(tokenizer()).prompt(render(context, middle=text[60:90]))[:128]


def logits_of(checkpoint_folder: Path, ids: list[int]) -> NDArray[np.float32]:
    model = LlamaForCausalLM.from_pretrained(checkpoint_folder)
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].numpy()


def logits_by_llama_cpp(path: Path, ids: list[int]) -> NDArray[np.float32]:
    model = loaded(path)
    model.eval(ids)
    return model.scores[: len(ids)]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a checkpoint and the model exported from it."""
    folder = tmp_path_factory.mktemp("model")
    checkpoint(folder / "checkpoint", width=256, mlp_width=256, kv_heads=2)
    export(folder / "checkpoint", folder / "model", ORIGIN, ["Q8_0", "F32", "Q4_K_M"])
    return folder


def test_llama_cpp_gives_the_same_tokens(exported: Path) -> None:
    model = loaded(exported / "model" / "tiny-Q8_0.gguf")
    for text in ODD:
        assert model.tokenize(text.encode(), add_bos=False, special=False) == tokenizer().encode(text).ids
    ids = tokenizers.markers(tokenizer())
    for marker, at in ids.items():
        assert model.tokenize(marker.value.encode(), add_bos=False, special=True) == [at]


@pytest.mark.parametrize(("kind", "error"), [("F32", 2e-3), ("Q8_0", 0.06), ("Q4_K_M", 0.5)])
def test_logits_are_those_of_transformers(exported: Path, kind: str, error: float) -> None:
    """The root mean square error, relative to the logits' standard deviation, is within the error of the kind.

    A weight is off by half a percent of its size (Q8_0) or by eight (Q4_K), activations likewise; over the fourteen
    matrices of random weights this adds up. With rows of Q and K in the wrong order the error is 1 and more.
    """
    ids = prompt()
    expected = logits_of(exported / "checkpoint", ids)
    got = logits_by_llama_cpp(exported / "model" / f"tiny-{kind}.gguf", ids)
    assert np.sqrt(np.mean((got - expected) ** 2)) < error * expected.std()


def test_kinds_with_fewer_bits_give_smaller_files(exported: Path) -> None:
    sizes = [(exported / "model" / f"tiny-{kind}.gguf").stat().st_size for kind in ("F32", "Q8_0", "Q4_K_M")]
    assert sizes[0] > 2 * sizes[1] > 2 * sizes[2]


def test_the_manifest_fits_the_weights(exported: Path) -> None:
    manifest = parse_manifest((exported / "model" / "model.json").read_bytes())
    base = exported / "model" / manifest.base
    assert base.name == "tiny-Q8_0.gguf"
    assert manifest.base_sha256 == hashlib.sha256(base.read_bytes()).hexdigest()
    assert manifest.prompt_version == PROMPT_VERSION and manifest.order == "spm" and manifest.context == 128
    model = loaded(base)
    vocab = llama_cpp.llama_model_get_vocab(model.model)
    texts = (llama_cpp.llama_vocab_get_text(vocab, at).decode() for at in range(model.n_vocab()))
    assert mismatch(manifest, tokenizer_hash(texts)) == ""


def test_the_card_describes_the_model(exported: Path) -> None:
    card = (exported / "model" / "README.md").read_text()
    for text in (ORIGIN.provenance, ORIGIN.licence, "tiny-Q4_K_M.gguf", "bits per byte | 1.5", "files | 3"):
        assert text in card


def test_a_k_quant_of_narrow_rows_is_refused(tmp_path: Path) -> None:
    checkpoint(tmp_path / "checkpoint")
    with pytest.raises(ValueError, match="multiple of 256"):
        export(tmp_path / "checkpoint", tmp_path / "model", ORIGIN, ["Q4_K_M"])


def test_the_origin_of_a_run_is_in_its_manifest(tmp_path: Path) -> None:
    make_corpus(tmp_path)
    corpus = tmp_path / "corpus"
    config = PretrainConfig(str(corpus), "tiny", tokens=2 * 128, batch_rows=2)
    run(config, tmp_path / "run", RunLimits(threads=1))
    origin = origin_of(tmp_path / "run" / LAST, corpus, "name", "For a test.", {"exact_lines": 0.25})
    assert origin.figures["exact_lines"] == 0.25
    assert origin.figures["tokens_seen"] == 256
    assert 1 < origin.figures["held_out_bits_per_byte_left_to_right"] < 10
    assert origin.data["licences_of_files"] == {"GPL-2.0-only": 44, "GPL-2.0": 1}
    manifest = export(tmp_path / "run" / LAST, tmp_path / "model", origin, ["Q8_0"])
    assert json.loads((tmp_path / "model" / "model.json").read_text())["figures"] == dict(origin.figures)
    assert manifest.tokenizer == tokenizers.identity(tokenizer())
    assert llama.read_size(tmp_path / "run" / LAST).width == 64
