"""``kexpert kerneldoc`` and ``kexpert ask`` as a shell user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kexpert.__main__ import main
from tests.support.toy_tree import make_toy_tree

CORE, USER = "drivers/toy/core.c", "drivers/toy/user.c"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_toy_tree(tmp_path_factory.mktemp("tree") / "linux")
    odd = "int odd(int a __maybe_unused)\n{\n\treturn 0;\n}\n\n"
    half = "/**\n * half() - it\n * @gone: one\n */\nint half(int a)\n{\n\treturn odd(a);\n}\n"
    (root / "drivers/toy/odd.c").write_text(odd + half)
    return root


@pytest.fixture(autouse=True)
def _indexed(home: Path, tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    if not (home / "cache").exists():
        (home / "config" / "kexpert").mkdir(parents=True)
        (home / "config" / "kexpert" / "config.toml").write_text("[vectors]\nenabled = false\n")
        assert main(["index", "--tree", str(tree)]) == 0
        capsys.readouterr()


def test_a_comment_is_printed(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kerneldoc", "--tree", str(tree), "--no-model", f"{USER}:6"]) == 0
    said = capsys.readouterr()
    assert said.out == (
        "/**\n"
        " * car_wind() - the .wind operation of struct toy_ops car_ops\n"
        " * @toy: the &struct toy\n"
        " * @turns: the turns (``unsigned int``)\n"
        " *\n"
        " * Return: The result of toy_wind()\n"
        " */\n"
    )
    assert said.err == ""
    assert "car_wind() -" not in (tree / USER).read_text()


def test_without_a_model_it_says_nothing_of_one(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kerneldoc", "--tree", str(tree), f"{USER}:6"]) == 0
    assert capsys.readouterr().err == ""


def test_as_json_each_text_says_where_it_is_from(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kerneldoc", "--tree", str(tree), "--no-model", "--json", f"{USER}:6"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["name"], found["path"], found["line"], found["action"]) == ("car_wind", USER, 4, "write")
    assert [text["mark"] for text in found["texts"]] == ["brief", "@toy", "@turns", "Return"]
    assert {(text["origin"], text["model"]) for text in found["texts"]} == {("facts", None)}
    assert found["comment"].startswith("/**\n * car_wind() - ")


def test_a_comment_is_completed_and_what_is_stale_is_named(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kerneldoc", "--tree", str(tree), "--no-model", "drivers/toy/odd.c:9"]) == 0
    said = capsys.readouterr()
    assert " * @a: ``int`` value, passed to odd()\n" in said.out and "@gone: one" in said.out
    assert said.err == "kexpert: it describes gone, which half does not have\n"


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (f"{CORE}:15", "toy_wind() has a kernel-doc comment that lacks nothing"),
        (f"{CORE}:2", "there is no function, macro or struct"),
        ("drivers/toy/odd.c:1", "no kernel-doc can be written: '__maybe_unused' after the parameter 'a'"),
    ],
)
def test_where_nothing_can_be_written_it_says_why(
    tree: Path, place: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["kerneldoc", "--tree", str(tree), place]) == 1
    assert capsys.readouterr().err == f"kexpert: {place}: {reason}\n"


def test_a_question_is_answered_with_its_source(
    tree: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tree)
    assert main(["ask", "what does toy_wind() return if toy->broken?"]) == 0
    lines = capsys.readouterr().out.split("\n")
    assert lines[0] == "toy_wind() returns -22 if toy->broken [1]. (from the code)"
    assert lines[2] == f"[1] {CORE}:19: toy_wind() returns -22 if toy->broken"


def test_an_answer_as_json(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    question = "What does CONFIG_TOY depend on, and who calls toy_wind()?"
    assert main(["ask", "--tree", str(tree), "--json", question]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.keys() >= {"question", "answer", "citations", "model"}
    assert found["question"] == question and found["model"] is None
    assert found["answer"].count("[") == len(found["citations"])
    for citation in found["citations"]:
        assert (tree / citation["path"]).read_text().count("\n") >= citation["line"] > 0


def test_without_an_answer_it_prints_the_sources_and_how_to_get_a_model(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", "--tree", str(tree), "how is a toy wound up"]) == 0
    said = capsys.readouterr()
    assert "toy_wind(): wind a toy up" in said.out
    assert said.err.endswith("kexpert: no chat model: kexpert models add smollm2-135m\n")
    assert main(["ask", "--tree", str(tree), "--no-model", "how is a toy wound up"]) == 0
    assert "chat model" not in capsys.readouterr().err


def test_several_questions_at_once(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "questions"
    file.write_text("who calls toy_wind()?\n\nhow is a toy wound up\n")
    assert main(["ask", "--tree", str(tree), "--no-model", "--batch", str(file)]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["origin"] for each in found] == ["facts", "sources"]


def test_nothing_found_is_a_failure(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "--tree", str(tree), "--no-model", "zzzz qqqq"]) == 1
    assert "nothing was found" in capsys.readouterr().err


def test_a_question_or_a_file_of_them_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
