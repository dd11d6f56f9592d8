"""From a tree to a model that the server loads, with kills on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kexpert.prompt.manifest import parse_manifest
from kexpert_trainer.cli import FAILED, OK, main
from kexpert_trainer.errors import UserError
from kexpert_trainer.steps import Steps
from tests.support.chat_corpus import corpus_tree
from tests.support.tiny_chat import chat_base

SETTINGS = """
tokens = 20_000
batch_tokens = 4_000
learning_rate = 2e-3
max_tokens = 1_000

[lora]
r = 4
alpha = 8
"""
STEPS = ["base", "mine", "curate", "falsify", "publish", "sft", "prefer", "merge", "evaluate", "export"]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``base``, ``tree`` and ``run.toml``."""
    folder = tmp_path_factory.mktemp("expert")
    chat_base(folder / "base", max_position_embeddings=2048)
    corpus_tree(folder / "tree")
    (folder / "run.toml").write_text(SETTINGS)
    return folder


def words(given: Path, out: Path, *more: str) -> list[str]:
    return ["expert", "--tree", str(given / "tree"), "--base", str(given / "base"), "--out", str(out), "--config",
            str(given / "run.toml"), "--jobs", "1", "--threads", "1", "--functions", "4", "--evaluation-rows", "8",
            *more]  # fmt: skip


def kill_after(given: Path, out: Path, file: str, *more: str) -> None:
    """Run the pipeline in a process that kills itself with SIGKILL when it has written a file of this name."""
    program = f"""
import os, signal, sys
def hook(event, args):
    if event == "os.rename" and os.path.basename(os.fsdecode(args[1])) == {file!r}:
        hook.seen += 1
        if hook.seen == 2 or {file.endswith(".json")}:
            os.kill(os.getpid(), signal.SIGKILL)
hook.seen = 0
sys.addaudithook(hook)
from kexpert_trainer.cli import main
sys.exit(main(sys.argv[1:]))
"""
    ended = subprocess.run(
        [sys.executable, "-c", program, *words(given, out, *more)], env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == -signal.SIGKILL, ended.stderr[-800:]


def test_one_command_leads_from_a_tree_to_a_model_through_kills(
    given: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    kill_after(given, out, "curate.json")  # when the record of a step is about to be written
    assert not (out / "steps" / "curate.json").exists()
    kill_after(given, out, "last", "--evaluate-every", "1")  # at the second checkpoint, in the middle of sft
    assert (out / "sft").is_dir() and not (out / "steps" / "sft.json").exists()
    assert main(words(given, out, "--prefer-tokens", "3000")) == OK
    said = capsys.readouterr()
    results = [json.loads(line) for line in said.out.splitlines()]
    assert [next(iter(each)) for each in results if next(iter(each)) in STEPS and len(each) == 1] == STEPS
    for number, step in enumerate(STEPS, 1):
        assert f"step {number} of 10: {step}" in said.err
    assert "step 4 of 10: falsify is done" in said.err  # before the second kill
    manifest = parse_manifest((out / "model" / "model.json").read_bytes())
    assert manifest.abilities == ("chat",) and (out / "model" / manifest.adapter).is_file()
    assert manifest.figures["check_f16_early_differences"] == 0 and manifest.figures["functions"] > 0
    assert "chrf_adapter" in manifest.figures and manifest.data["rows"]["train"] > 20

    assert main(words(given, out, "--prefer-tokens", "3000")) == OK
    assert capsys.readouterr().err.count("is done") == len(STEPS)


def test_a_run_that_was_stopped_says_how_to_go_on(
    given: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(given, tmp_path / "out", "--steps", "1")) == FAILED
    assert "the same command continues it" in capsys.readouterr().err


def test_a_step_is_repeated_when_an_earlier_result_changed(tmp_path: Path) -> None:
    done: list[str] = []

    def pipeline(first: int, second: int) -> None:
        steps = Steps(tmp_path, 2)
        steps.run("first", {}, lambda: done.append("first") or {"value": first})
        steps.run("second", {"setting": second}, lambda: done.append("second") or {})

    pipeline(1, 1)
    pipeline(1, 1)
    assert done == ["first", "second"]
    pipeline(1, 2)
    assert done == ["first", "second", "second"]
    (tmp_path / "first.json").write_text("{")
    pipeline(5, 2)
    assert done == ["first", "second", "second", "first", "second"]


def test_a_step_that_fails_leaves_no_record(tmp_path: Path) -> None:
    def fail() -> dict[str, int]:
        raise UserError("no")

    with pytest.raises(UserError):
        Steps(tmp_path, 1).run("first", {}, fail)
    assert not list(tmp_path.iterdir())
