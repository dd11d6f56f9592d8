"""``kexpert complete`` as a shell user meets it, with a tiny model in its worker process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kexpert.cli import main
from tests.editors.toy_tree import make_toy_tree
from tests.model.tiny import speaking_model

SENTENCE = ("{\n", "\treturn", " toy", "_wind", "(to", "y", ",", " ", "1", ");")
PLACE = "lib/play.c"  # beside nothing that a line could be copied from
FILE = "#include <linux/toy.h>\n\nint toy_play(struct toy *toy)\n{\n\t\n}\n"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_toy_tree(tmp_path_factory.mktemp("tree") / "linux")
    (root / PLACE).parent.mkdir(exist_ok=True)
    (root / PLACE).write_text(FILE)
    return root


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return speaking_model(tmp_path_factory.mktemp("model"), SENTENCE)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _indexed(home: Path, tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    if not (home / "cache").exists():
        assert main(["index", "--tree", str(tree)]) == 0
        capsys.readouterr()


def complete(tree: Path, model: Path, *more: str) -> int:
    return main(["complete", "--tree", str(tree), "--model", str(model), *more])


def test_it_prints_what_would_be_shown(tree: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert complete(tree, model, f"{PLACE}:5:2") == 0
    assert capsys.readouterr().out == "return toy_wind(toy, 1);\n"


def test_as_json_it_says_what_it_knows(tree: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert complete(tree, model, "--json", f"{PLACE}:5:2") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["text"], found["shown"], found["doubt"], found["origin"]) == (
        "return toy_wind(toy, 1);", True, "", "model"
    )  # fmt: skip
    assert 0 < found["first_token_ms"] <= found["ms"]


def test_what_is_hidden_is_said_to_be(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    liar = speaking_model(tmp_path / "liar", ("{\n", "\treturn", " unheard_of", ";"))
    assert complete(tree, liar, f"{PLACE}:5:2") == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "unknown name: unheard_of" in said.err


def test_a_batch_answers_line_by_line(
    tree: Path, model: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before, after = FILE.split("\t\n")
    question: dict[str, Any] = {"path": PLACE, "before": before + "\t", "after": "\n" + after}
    questions = [
        question | {"id": 1},
        question | {"id": 2, "middle": "return toy_wind(toy, 1);", "typed": "r"},
        question | {"id": 3, "before": before + "\treturn x"},
    ]
    (tmp_path / "questions").write_text("".join(json.dumps(each) + "\n" for each in questions))
    assert complete(tree, model, "--batch", str(tmp_path / "questions")) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["id"] for answer in answers] == [1, 2, 3]
    assert answers[0]["text"] == "return toy_wind(toy, 1);"
    assert answers[1]["after_typing"]["text"] == "eturn toy_wind(toy, 1);"
    assert answers[1]["bits"] < 1
    assert answers[1]["bytes"] == len("\treturn toy_wind(toy, 1);")
    assert not answers[2]["shown"]


@pytest.mark.parametrize("arguments", [[], [f"{PLACE}:5:2", "--batch", "-"]])
def test_wrong_usage(tree: Path, model: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert complete(tree, model, *arguments) == 2
    assert "either" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["no json", "3", "{}", '{"path": 1, "before": "", "after": ""}'])
def test_a_bad_question_ends_a_batch_in_one_line(
    tree: Path, model: Path, line: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "questions").write_text(line + "\n")
    assert complete(tree, model, "--batch", str(tmp_path / "questions")) == 1
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert "question" in said.err


def test_a_model_that_is_not_there_is_named(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert complete(tree, tmp_path / "nowhere", f"{PLACE}:5:2") == 1
    assert "nowhere: no such file" in capsys.readouterr().err


def test_the_doctor_says_which_model_and_why(
    tree: Path, model: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = home / "config" / "kexpert" / "config.toml"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(f'model.path = "{model}"\nmodel.device = "cpu"\n')
    try:
        main(["doctor", "--tree", str(tree), "--json"])
    finally:
        settings.unlink()
    finding = next(each for each in json.loads(capsys.readouterr().out) if each["what"] == "model")
    assert finding["state"] == "ok"
    assert "llama.cpp on the CPU (model.device is cpu)" in finding["detail"]
    assert "tiny" in finding["detail"]
