"""The commands from a tree to a model, one after the other, as docs/training.md has them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kexpert.prompt.manifest import parse_manifest
from kexpert_trainer import commands
from kexpert_trainer.cli import OK, main
from tests.support.small_training import tree

GUIDE = Path(__file__).parents[2] / "docs" / "training.md"


def test_from_a_tree_to_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def command(which: str, **options: object) -> None:
        given = [word for key, value in options.items() for word in (f"--{key.replace('_', '-')}", str(value))]
        assert main([which, *given]) == OK

    source = tree(tmp_path / "tree")
    vocabulary, whole, load, run = (tmp_path / name for name in ("tokenizer.json", "corpus", "load", "run"))
    command("tokenizer", tree=source, out=vocabulary, vocabulary=400)
    command("corpus", tree=source, tokenizer=vocabulary, out=whole, sequence=128, jobs=1)
    command("load", corpus=whole, out=load, megabytes=1)
    command("pretrain", corpus=load, out=run, size="tiny", tokens=1024, batch_rows=4, micro_rows=4, threads=1)
    command("parts", checkpoint=run / "last", parts=tmp_path / "parts")
    assert main(["parts", "--join", "--parts", str(tmp_path / "parts"), "--checkpoint", str(tmp_path / "joined")]) == OK
    command("export", checkpoint=tmp_path / "joined", corpus=load, out=tmp_path / "model", name="small", provenance="-")
    manifest = parse_manifest((tmp_path / "model" / "model.json").read_bytes())
    assert (tmp_path / "model" / manifest.base).is_file()
    assert manifest.figures["tokens_seen"] == 1024
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["base"] == "small-Q8_0.gguf"


def test_one_command_makes_a_model_and_goes_on_where_it_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "made"
    words = ["model", "--tree", str(tree(tmp_path / "tree")), "--out", str(made), "--size", "tiny", "--kinds", "Q8_0"]
    words += ["--vocabulary", "400", "--sequence", "128", "--batch-rows", "4", "--micro-rows", "4", "--tokens"]
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


def test_what_fails_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pretrain", "--corpus", str(tmp_path), "--out", str(tmp_path / "run")]) != OK
    assert "holds no corpus" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_every_command_and_size_is_in_the_guide() -> None:
    guide = GUIDE.read_text()
    for declare in commands.GROUPS:
        assert f"kexpert-train {declare.__name__}" in guide
    for size in re.findall(r"--size (\w+)", guide):
        assert size in commands.SIZES
