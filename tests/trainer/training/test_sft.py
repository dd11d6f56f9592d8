"""Fine-tuning: the loss is on the answers, and how a run is divided or interrupted does not change its result."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from kexpert_trainer.errors import UserError
from kexpert_trainer.models.lora import LoraSettings
from kexpert_trainer.training.dry_run import dry_run
from kexpert_trainer.training.learner import answer_nats, answer_tokens
from kexpert_trainer.training.sft import BEST, LAST, SftConfig, SftLimits, chat_encoder, run
from kexpert_trainer.training.sft_config import FILE_NAME, check, dump_toml, read_toml
from tests.support.tiny_chat import chat_base, chat_corpus, rows

LIMITS = SftLimits(threads=1, evaluate_every=1000, evaluation_rows=6)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> SftConfig:
    folder = tmp_path_factory.mktemp("sft")
    return SftConfig(
        base=str(chat_base(folder / "base")), corpus=str(chat_corpus(folder / "corpus")), tokens=9_000,
        batch_tokens=1_200, learning_rate=5e-3, lora=LoraSettings(r=4, alpha=8),
    )  # fmt: skip


def masters(folder: Path, name: str = LAST) -> dict[str, torch.Tensor]:
    return load_file(folder / name / "masters.safetensors")


def difference(one: Path, other: Path) -> float:
    """Norm of the difference of what two runs learnt, relative to what they learnt: lora_B starts from 0.

    Rounding alone gives some: Adam divides gradients by their size, so that tiny ones count as much as large ones.
    """
    first, second = masters(one), masters(other)
    assert first.keys() == second.keys()
    names = [name for name in first if "lora_B" in name]
    moved = torch.cat([first[name].flatten() for name in names])
    return float((moved - torch.cat([second[name].flatten() for name in names])).norm() / moved.norm())


def entries(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_the_loss_is_that_of_the_answers_tokens(config: SftConfig) -> None:
    encoder = chat_encoder(Path(config.base))
    batch = [encoder.example(row) for row in (rows()[0], rows()[20])]
    model = AutoModelForCausalLM.from_pretrained(config.base)
    with torch.no_grad():
        found = answer_nats(model, batch)
        for example, nats in zip(batch, found, strict=True):
            logits = model(torch.tensor([example.tokens])).logits[0]
            start = example.answer_start
            expected = F.cross_entropy(logits[start - 1 : -1], torch.tensor(example.tokens[start:]), reduction="sum")
            torch.testing.assert_close(nats, expected, atol=2e-3, rtol=0)
    assert answer_tokens(batch) == sum(len(e.tokens) - e.answer_start for e in batch)


def test_a_run_goes_on_from_a_trained_adapter(config: SftConfig, tmp_path: Path) -> None:
    learnt = run(config, tmp_path / "first", LIMITS)
    more = replace(config, adapter=str(tmp_path / "first" / BEST), tokens=2_000, learning_rate=1e-6)
    assert run(more, tmp_path / "second", LIMITS)["held_out"] == pytest.approx(learnt["held_out"], abs=0.02)
    assert masters(tmp_path / "second").keys() == masters(tmp_path / "first").keys()
    with pytest.raises(UserError, match="no adapter of kexpert-train sft"):
        run(replace(more, adapter=str(tmp_path)), tmp_path / "third", LIMITS)


def test_a_run_learns_and_keeps_the_best(config: SftConfig, tmp_path: Path) -> None:
    figures = run(replace(config, tokens=30_000), tmp_path / "run", replace(LIMITS, evaluate_every=10))
    log = entries(tmp_path / "run")
    held_out = [entry["held_out"] for entry in log if "held_out" in entry]
    assert figures["summary"] == held_out[-1] and min(held_out) < held_out[0]
    best = json.loads((tmp_path / "run" / BEST / "progress.json").read_text())
    assert best["losses"]["held_out"] == min(held_out)
    assert list((tmp_path / "run" / "tensorboard").iterdir())
    assert read_toml(tmp_path / "run" / FILE_NAME, SftConfig) == replace(config, tokens=30_000)


def test_micro_batches_do_not_change_the_result(config: SftConfig, tmp_path: Path) -> None:
    """One row at a time, with gradients accumulated, gives the weights of all rows at once."""
    limits = replace(LIMITS, steps=3)
    run(config, tmp_path / "whole", limits)
    run(config, tmp_path / "single", replace(limits, micro_tokens=1))
    assert difference(tmp_path / "whole", tmp_path / "single") < 0.01


def test_activation_checkpointing_does_not_change_the_result(config: SftConfig, tmp_path: Path) -> None:
    limits = replace(LIMITS, steps=2)
    run(config, tmp_path / "whole", limits)
    run(config, tmp_path / "again", replace(limits, checkpointing=True))
    assert difference(tmp_path / "whole", tmp_path / "again") < 1e-4


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_resumed_run_equals_an_uninterrupted_one(config: SftConfig, tmp_path: Path, method: str) -> None:
    settings = replace(config, tokens=5_000, method=method, lora=replace(config.lora, dropout=0.1))
    run(settings, tmp_path / "whole", LIMITS)
    steps = entries(tmp_path / "whole")[-1]["step"]
    assert steps > 3
    for _ in range(2):
        run(settings, tmp_path / "stopped", replace(LIMITS, steps=2))
    run(settings, tmp_path / "stopped", LIMITS)
    assert entries(tmp_path / "stopped")[-1]["step"] == steps
    whole, stopped = masters(tmp_path / "whole"), masters(tmp_path / "stopped")
    assert whole.keys() == stopped.keys() and all(torch.equal(whole[name], stopped[name]) for name in whole)


def test_a_checkpoint_without_later_settings_is_continued(config: SftConfig, tmp_path: Path) -> None:
    """Settings that were added since have their defaults."""
    run(config, tmp_path / "run", replace(LIMITS, steps=1))
    file = tmp_path / "run" / LAST / "progress.json"
    found = json.loads(file.read_text())
    for name in ("method", "schedule", "patience"):
        del found["config"][name]
    del found["progress"]["worse"]
    file.write_text(json.dumps(found))
    run(config, tmp_path / "run", replace(LIMITS, steps=1))
    assert entries(tmp_path / "run")[-1]["step"] == 2


def test_a_kill_while_saving_leaves_a_checkpoint(config: SftConfig, tmp_path: Path) -> None:
    run(config, tmp_path / "run", replace(LIMITS, steps=2))
    (tmp_path / "run" / LAST).rename(tmp_path / "run" / "last.old")  # as between the two renames of a save
    (tmp_path / "run" / "last.part").mkdir()
    run(config, tmp_path / "run", replace(LIMITS, steps=1))
    assert entries(tmp_path / "run")[-1]["step"] == 3


def test_two_processes_give_the_result_of_one(config: SftConfig, tmp_path: Path) -> None:
    run(config, tmp_path / "one", replace(LIMITS, steps=3))
    (tmp_path / "run.toml").write_text(dump_toml(config))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m",
               "kexpert_trainer", "sft", "--config", str(tmp_path / "run.toml"), "--out", str(tmp_path / "two"),
               "--steps", "3", "--threads", "1", "--evaluation-rows", "6"]  # fmt: skip
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True)
    assert difference(tmp_path / "one", tmp_path / "two") < 0.01


def test_a_run_ends_when_the_held_out_loss_rises(config: SftConfig, tmp_path: Path) -> None:
    settings = replace(config, tokens=10**6, learning_rate=3.0, patience=2)  # far too high a rate
    run(settings, tmp_path / "run", replace(LIMITS, evaluate_every=2))
    progress = json.loads((tmp_path / "run" / LAST / "progress.json").read_text())["progress"]
    assert progress["tokens"] < 10**6 and progress["worse"] >= 2


def test_no_connection_is_opened(config: SftConfig, tmp_path: Path) -> None:
    """Any lookup or connection of the whole run ends the process."""
    program = """
import os, sys
def hook(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.gethostbyname"):
        os.write(2, f"opened: {event} {args[1:]}".encode())
        os._exit(97)
sys.addaudithook(hook)
from kexpert_trainer.cli import main
sys.exit(main(sys.argv[1:]))
"""
    (tmp_path / "run.toml").write_text(dump_toml(config))
    words = ["sft", "--config", str(tmp_path / "run.toml"), "--out", str(tmp_path / "run"), "--steps", "1"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "WANDB"))}
    ended = subprocess.run(
        [sys.executable, "-c", program, *words, "--threads", "1"], env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-500:]


def test_a_dry_run_says_what_a_run_would_take(config: SftConfig) -> None:
    found = dry_run(config, LIMITS)
    assert found.rows == 30 and found.rows_left_out == 0
    assert found.tokens_median <= found.tokens_95th_percentile <= found.tokens_longest < 512
    assert found.trainable_parameters < found.parameters / 2
    assert found.memory_gb > 0.1 and found.tokens_per_second > 0
    assert found.hours == round(config.tokens / found.tokens_per_second / 3600, 2)
    with pytest.raises(UserError, match="short enough"):
        dry_run(replace(config, max_tokens=5), LIMITS)
    cut = dry_run(replace(config, max_tokens=found.tokens_median), LIMITS)
    assert 0 < cut.rows_left_out < 30
    assert found.table().count("\n") == 12


def test_qlora_is_refused_on_a_cpu(config: SftConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UserError, match='needs an NVIDIA GPU and torch finds none; on a CPU use method = "lora"'):
        run(replace(config, method="qlora"), tmp_path / "run", LIMITS)


def test_a_checkpoint_of_another_adapter_is_not_continued(config: SftConfig, tmp_path: Path) -> None:
    run(config, tmp_path / "run", replace(LIMITS, steps=1))
    with pytest.raises(UserError, match="was trained with lora"):
        run(replace(config, lora=LoraSettings(r=8)), tmp_path / "run", LIMITS)


def test_rows_that_are_all_too_long_are_reported(config: SftConfig, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no row of the tasks in the mix"):
        run(replace(config, max_tokens=5), tmp_path / "run", LIMITS)
    with pytest.raises(UserError, match="no row of the tasks in the mix"):
        run(replace(config, mix={"answer": 1.0}), tmp_path / "other", LIMITS)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('base = "b"\ncorpus = "c"\nrank = 3', "unknown setting 'rank'"),
        ('base = "b"\ncorpus = "c"\n[lora]\nr = "8"', r"\[lora\]: r must be of type int"),
        ('base = "b"\ncorpus = "c"\ntokens = true', "tokens must be of type int"),
        ('base = "b"\ncorpus = "c"\n[mix]\npoems = 1', "mix names poems"),
        ('base = "b"\ncorpus = "c"\nmethod = "magic"', "known: lora, qlora, full"),
        ('base = "b"\ncorpus = "c"\nlora = 3', "lora must be a table"),
        ('base = "b"', "lacks corpus"),
        ("base = ", "not a TOML file"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "run.toml").write_text(text)
    with pytest.raises(UserError, match=reason):
        check(read_toml(tmp_path / "run.toml", SftConfig))
