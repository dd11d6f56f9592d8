"""Preference training makes right answers likelier than wrong ones, relative to the adapter before."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from kexpert_trainer.data.rows import write_rows
from kexpert_trainer.errors import UserError
from kexpert_trainer.models.lora import LoraSettings, load_adapter, load_base
from kexpert_trainer.training import sft
from kexpert_trainer.training.learner import answer_nats
from kexpert_trainer.training.prefer import PreferConfig, pair_batches, pair_of, run
from kexpert_trainer.training.sft import SftConfig, SftLimits, chat_encoder
from tests.support.tiny_chat import chat_base, chat_corpus, rows

#: Wrong answers that a tiny model can tell from right ones.
NEGATIVES = [replace(row, rejected=f"Never {row.output}") for row in rows()]
LIMITS = SftLimits(threads=1, evaluate_every=1000, evaluation_rows=12)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> PreferConfig:
    """An adapter of a few steps, and negatives of six files."""
    folder = tmp_path_factory.mktemp("prefer")
    base, corpus = str(chat_base(folder / "base")), chat_corpus(folder / "corpus")
    write_rows(corpus / "negatives.jsonl", NEGATIVES)
    lora = LoraSettings(r=4, alpha=8)
    trained = SftConfig(base=base, corpus=str(corpus), tokens=4_000, learning_rate=3e-3, lora=lora)
    sft.run(trained, folder / "sft", LIMITS)
    return PreferConfig(
        base=base, corpus=str(corpus), adapter=str(folder / "sft" / "best"), tokens=20_000, batch_tokens=2_000,
        learning_rate=1e-2,
    )  # fmt: skip


def margin(config: PreferConfig, adapter: Path) -> float:
    """By how many nats an adapter prefers the right answers, mean of all pairs."""
    model = load_adapter(load_base(Path(config.base), torch.device("cpu"), torch.float32), adapter).eval()
    pairs = [pair_of(chat_encoder(Path(config.base)), row) for row in NEGATIVES]
    with torch.no_grad():
        right, wrong = (answer_nats(model, [getattr(p, name) for p in pairs]) for name in ("chosen", "rejected"))
    return float((wrong - right).mean())


def test_right_answers_gain_on_wrong_ones(config: PreferConfig, tmp_path: Path) -> None:
    figures = run(config, tmp_path / "run", LIMITS)
    assert set(figures) == {"preference", "accuracy", "answers", "held_out"}
    assert margin(config, tmp_path / "run" / "last") > margin(config, Path(config.adapter)) + 1.0
    best = json.loads((tmp_path / "run" / "best" / "progress.json").read_text())
    assert best["config"]["lora"]["r"] == 4  # that of the adapter


def test_before_training_nothing_is_preferred_to_the_reference(config: PreferConfig, tmp_path: Path) -> None:
    """The adapter is its own reference: the loss of preference is ln 2."""
    figures = run(replace(config, learning_rate=1e-12), tmp_path / "run", replace(LIMITS, steps=1))
    assert figures["preference"] in (0.0, pytest.approx(math.log(2), abs=1e-3))  # 0: no file is held out


def test_a_resumed_run_equals_an_uninterrupted_one(config: PreferConfig, tmp_path: Path) -> None:
    run(config, tmp_path / "whole", replace(LIMITS, steps=3))
    run(config, tmp_path / "stopped", replace(LIMITS, steps=1))
    run(config, tmp_path / "stopped", replace(LIMITS, steps=2))
    whole, stopped = (load_file(tmp_path / name / "last" / "masters.safetensors") for name in ("whole", "stopped"))
    assert all(torch.equal(whole[name], stopped[name]) for name in whole)


def test_a_batch_of_pairs_keeps_to_its_size(config: PreferConfig) -> None:
    encoder = chat_encoder(Path(config.base))
    pairs = [pair_of(encoder, row) for row in rows()]
    grouped = pair_batches(pairs, 1_000)
    assert sum(map(len, grouped)) == len(pairs)
    assert all(2 * len(batch) * max(pair.length for pair in batch) <= 1_000 for batch in grouped)


def test_what_is_missing_is_named(config: PreferConfig, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no adapter of kexpert-train sft"):
        run(replace(config, adapter=str(tmp_path)), tmp_path / "run", LIMITS)
    write_rows(tmp_path / "negatives.jsonl", [replace(row, rejected="") for row in rows()])
    with pytest.raises(UserError, match="holds no wrong answer"):
        run(replace(config, corpus=str(tmp_path)), tmp_path / "run", LIMITS)
