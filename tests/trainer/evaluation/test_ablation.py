"""An ablation trains each setting once and shows quality, size and time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kexpert_trainer.evaluation.ablation import ablate, variants
from kexpert_trainer.models.lora import LINEAR, LoraSettings
from kexpert_trainer.training.sft import SftConfig, SftLimits, run
from tests.support.tiny_chat import chat_base, chat_corpus

CONFIG = SftConfig(base="", corpus="", tokens=2_000, learning_rate=1e-3, lora=LoraSettings(r=16, alpha=32))


def test_the_settings_change_one_thing_each() -> None:
    made = dict(variants(CONFIG))
    assert list(made) == ["r4", "r8", "r16", "r32", "rate-0.0005", "rate-0.002", "mlp", "full"]
    assert made["r4"].lora == replace(CONFIG.lora, r=4, alpha=8)
    assert made["mlp"].lora.targets == ("gate_proj", "up_proj", "down_proj") and CONFIG.lora.targets == LINEAR
    assert made["full"].method == "full" and made["full"].learning_rate == pytest.approx(1e-4)
    assert made["r16"] == CONFIG


def test_an_ablation_continues_where_it_stopped(tmp_path: Path) -> None:
    config = replace(CONFIG, base=str(chat_base(tmp_path / "base")), corpus=str(chat_corpus(tmp_path / "corpus")))
    limits = SftLimits(threads=1, evaluation_rows=6)
    trained: list[str] = []

    def train(settings: SftConfig, folder: Path, limits: SftLimits) -> object:
        trained.append(folder.name)
        return run(settings, folder, limits)

    ablate(config, tmp_path / "out", limits, ["r4"], train)
    small, full = ablate(config, tmp_path / "out", limits, ["r4", "full"], train)
    assert trained == ["r4", "full"]
    assert small.trained_parameters < full.trained_parameters and small.megabytes < full.megabytes
    text = (tmp_path / "out" / "ablation.md").read_text()
    assert f"{full.trained_parameters:,}" in text and text.count("\n") == 4
    assert (tmp_path / "out" / "ablation.png").read_bytes().startswith(b"\x89PNG")
