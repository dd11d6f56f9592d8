"""``kexpert grep``, ``diff`` and ``callchain`` as a shell user meets them."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from kexpert.__main__ import main

CORE, USER = "drivers/toy/core.c", "drivers/toy/user.c"


@pytest.fixture(autouse=True)
def _indexed(home: Path, tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.chdir(tree)
    if not (home / "cache").exists():
        assert main(["index", "--no-vectors"]) == 0
    capsys.readouterr()


def test_grep_prints_definitions_with_their_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["grep", r"toy_wind\(toy", "--path", "drivers/toy"]) == 0
    shown = capsys.readouterr().out
    assert shown == "drivers/toy/user.c:4: function car_wind\n    6: return toy_wind(toy, turns * 2);\n"


def test_grep_gives_whole_functions_as_json(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["grep", "-i", "TOY_WIND", "--kind", "function", "--limit", "1", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    (result,) = answer["results"]
    assert result["text"] in (tree / result["path"]).read_text() and result["text"].endswith("}")
    assert answer["more"] >= 1 and answer["exact"] is True and answer["indexComplete"] is True


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["(a)\\1"], "back-references are not supported"),
        (["a["], "missing"),
        (["a", "--kind", "klass"], "is none of"),
        (["a", "--config", "NO_SUCH"], "no file of the tree mentions"),
        (["no_such_text_anywhere"], "no match"),
    ],
)
def test_grep_that_cannot_answer_says_why_in_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["grep", *arguments]) == 1
    said = capsys.readouterr()
    assert said.out == "" and words in said.err and said.err.count("\n") == 1


def test_diff_reads_a_file_and_stdin(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = (tree / USER).read_text().splitlines()
    at = next(number for number, line in enumerate(lines) if "return toy_wind(toy" in line)
    patch = f"--- a/{USER}\n+++ b/{USER}\n@@ -{at + 1} +{at + 1} @@\n-{lines[at]}\n+\treturn 0;\n"
    (tmp_path / "x.patch").write_text(patch)
    assert main(["diff", str(tmp_path / "x.patch")]) == 0
    shown = capsys.readouterr().out
    assert "drivers/toy/user.c:4: function car_wind: changed\n" in shown and "Terry Toy <terry@example.org>" in shown
    assert "held as toy_ops.wind by car_ops" in shown
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(patch.encode())))
    assert main(["diff", "-", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in answer["touched"]] == ["car_wind"]
    assert answer["maintainers"][0]["section"] == "TOY DRIVER"


@pytest.mark.parametrize("patch", ["no-such.patch", "no-such-revision"])
def test_diff_that_has_nothing_to_read_says_so_in_one_line(patch: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", patch]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_callchain_prints_a_tree_and_a_path(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["callchain", "car_wind", "--up", "1", "--down", "1"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("car_wind  drivers/toy/user.c:4\n") and "\n  toy_wind drivers/toy/user.c:6\n" in shown
    assert "held as toy_ops.wind by car_ops drivers/toy/user.c:" in shown
    assert main(["callchain", "car_wind", "--to", "toy_wind", "--json"]) == 0
    (edge,) = json.loads(capsys.readouterr().out)["edges"]
    assert (edge["caller"]["name"], edge["callee"]["name"], edge["line"]) == ("car_wind", "toy_wind", 6)
    for missing in (["no_such"], ["car_wind", "--to", "no_such"]):
        assert main(["callchain", *missing]) == 1
        assert "no_such: no function or macro" in capsys.readouterr().err
