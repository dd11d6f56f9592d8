"""The commands from a kernel tree to a model, in the order of docs/training.md, and their errors."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import pytest

from kexpert.prompt.manifest import parse_manifest
from kexpert_trainer.cli import FAILED, OK, main
from kexpert_trainer.commands import COMMANDS, EVALUATIONS
from kexpert_trainer.models.sizes import SIZES
from tests.support.small_training import make_corpus, tree

GUIDE = Path(__file__).parents[2] / "docs" / "training.md"


def test_single_commands_lead_from_a_tree_to_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def command(which: str, **options: object) -> None:
        given = [word for key, value in options.items() for word in (f"--{key.replace('_', '-')}", str(value))]
        assert main([which, *given]) == OK

    source = tree(tmp_path / "tree")
    vocabulary, full, packed, run = (tmp_path / name for name in ("tokenizer.json", "corpus", "packed", "run"))
    command("tokenizer", tree=source, out=vocabulary, vocabulary=400)
    command("corpus", tree=source, tokenizer=vocabulary, out=full, sequence=128, jobs=1)
    command("pack", corpus=full, out=packed, megabytes=1)
    command("pretrain", corpus=packed, out=run, size="tiny", tokens=1024, batch_rows=4, micro_batch=4, threads=1)
    command("parts", checkpoint=run / "last", parts=tmp_path / "parts")
    assert main(["parts", "--join", "--parts", str(tmp_path / "parts"), "--checkpoint", str(tmp_path / "joined")]) == OK
    made = {"checkpoint": tmp_path / "joined", "corpus": packed, "out": tmp_path / "model"}
    command("export", **made, name="small", provenance="-")
    manifest = parse_manifest((tmp_path / "model" / "model.json").read_bytes())
    assert (tmp_path / "model" / manifest.base).is_file()
    assert manifest.figures["tokens_seen"] == 1024
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["base"] == "small-Q8_0.gguf"


def test_one_command_makes_a_model_and_continues_where_it_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "made"
    words = ["model", "--tree", str(tree(tmp_path / "tree")), "--out", str(made), "--size", "tiny", "--kinds", "Q8_0"]
    words += ["--vocabulary", "400", "--sequence", "128", "--batch-rows", "4", "--micro-batch", "4", "--tokens"]
    assert main([*words, "1024"]) == OK
    manifest = parse_manifest((made / "model" / "model.json").read_bytes())
    assert (made / "model" / manifest.base).is_file()
    assert manifest.figures["tokens_seen"] == 1024
    first = (made / "tokenizer.json").stat().st_mtime_ns
    assert main([*words, "2048"]) == OK
    again = parse_manifest((made / "model" / "model.json").read_bytes())
    assert again.figures["tokens_seen"] == 2048
    assert (made / "tokenizer.json").stat().st_mtime_ns == first
    assert "kexpert-train corpus" in capsys.readouterr().err


def one_line(capsys: pytest.CaptureFixture[str], *argv: object) -> str:
    """Run a command that fails; return its error, which must be one line."""
    capsys.readouterr()
    assert main([str(word) for word in argv]) == FAILED
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_a_missing_tree_is_reported_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing, empty = tmp_path / "missing", tmp_path / "empty"
    empty.mkdir()
    for command in ("tokenizer", "model", "embedder"):
        said = one_line(capsys, command, "--tree", missing, "--out", tmp_path / "out")
        assert f"{missing}: no such folder" in said and "get_tree.py" in said
        assert "no C files" in one_line(capsys, command, "--tree", empty, "--out", tmp_path / "out")
    for what in ("search", "inline"):
        assert "no such folder" in one_line(capsys, "evaluate", what, "--tree612", missing, "--tree61", missing)


def test_a_missing_corpus_is_reported_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = one_line(capsys, "pretrain", "--corpus", tmp_path, "--out", tmp_path / "run")
    assert "holds no corpus" in said and "kexpert-train corpus" in said
    assert not (tmp_path / "run").exists()


def test_a_corpus_of_another_prompt_version_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_corpus(tmp_path)
    file = tmp_path / "corpus" / "corpus.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"prompt_version": 999}))
    said = one_line(capsys, "pretrain", "--corpus", tmp_path / "corpus", "--out", tmp_path / "run")
    assert "prompt version 999" in said and "make it again" in said


def test_attention_that_needs_a_gpu_is_refused_on_a_cpu(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    make_corpus(tmp_path)
    words = ["pretrain", "--corpus", tmp_path / "corpus", "--out", tmp_path / "run", "--size", "tiny"]
    said = one_line(capsys, *words, "--attention", "varlen")
    assert "CUDA" in said and "--attention each" in said


def test_a_checkpoint_of_another_size_is_not_continued(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_corpus(tmp_path)
    words = ["pretrain", "--corpus", tmp_path / "corpus", "--out", tmp_path / "run", "--batch-rows", 2, "--tokens", 256]
    words += ["--threads", 1]
    assert main([*map(str, words), "--size", "tiny"]) == OK
    assert "model of another size" in one_line(capsys, *words, "--size", "2m")


def test_a_folder_without_checkpoint_is_not_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_corpus(tmp_path)
    words = ["export", "--checkpoint", tmp_path, "--corpus", tmp_path / "corpus", "--out", tmp_path / "model"]
    assert "no checkpoint" in one_line(capsys, *words, "--name", "small", "--provenance", "-")


def test_every_command_and_size_is_in_the_guide() -> None:
    guide = GUIDE.read_text()
    for name in [*COMMANDS, *(f"evaluate {what}" for what in EVALUATIONS)]:
        assert f"kexpert-train {name}" in guide
    for size in re.findall(r"--size (\w+)", guide):
        assert size in SIZES


def test_every_option_in_the_guide_exists() -> None:
    for command in re.findall(r"kexpert-train (?:[^\n`]|\\\n)*", GUIDE.read_text().replace("\n            ", " ")):
        name = command.split()[1]
        module = EVALUATIONS[command.split()[2]] if name == "evaluate" else COMMANDS.get(name)
        if module is None:
            continue  # a sentence about the program in general
        parser = argparse.ArgumentParser()
        module.add_arguments(parser)
        for option in re.findall(r"--[a-z0-9-]+", command):
            assert option in parser.format_help() or option == "--help", f"{name} has no {option}"
