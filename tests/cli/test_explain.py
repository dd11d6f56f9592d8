"""``kexpert explain`` as a shell user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kexpert.__main__ import main
from kexpert.abilities import Failed
from kexpert.cli.explain import file_lines
from kexpert.prompt.chat import Task
from tests.support.scripted_chat import ScriptedChat, ScriptedModel

CORE = "drivers/toy/core.c"


@pytest.fixture(autouse=True)
def _indexed(home: Path, tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))  # no model is installed
    if not (home / "cache").exists():
        assert main(["index", "--tree", str(tree)]) == 0
        capsys.readouterr()


def test_a_line_within_a_function_gives_its_page(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--tree", str(tree), f"{CORE}:18"]) == 0
    page = capsys.readouterr().out
    assert page.startswith("# `toy_wind`\n\nwind a toy up. *(from its documentation, [L4](drivers/toy/core.c#L4))*\n")
    assert "- Context, by its documentation: Process context. May sleep. [L4]" in page
    assert "| `-22` | `toy->broken` [L19]" in page
    assert "Writes `toy->turns` of `struct toy` [L20]" in page
    assert "Called by `car_wind()` and `car_play()`" in page
    assert "built with `CONFIG_TOY` (Makefile)" in page


def test_as_json_it_gives_facts_and_steps(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--tree", str(tree), "--json", "drivers/toy/user.c:4:12"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["name"], found["path"], found["line"]) == ("car_wind", "drivers/toy/user.c", 4)
    assert found["summary"]["model"] is None
    entry = {"kind": "entry", "text": "is `.wind` of `struct toy_ops` in `car_ops`", "path": "drivers/toy/user.c"}
    assert any(entry.items() <= fact.items() for fact in found["facts"])
    assert found["steps"] == [{"text": "Returns what `toy_wind()` returns (wind a toy up).", "line": 6, "depth": 0}]
    assert found["markdown"].startswith("# `car_wind`")


def test_a_range_of_lines_gives_what_they_do(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--tree", str(tree), "--json", f"{CORE}:18-19"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["name"] == "toy_wind, lines 18 to 19"
    assert [step["text"] for step in found["steps"]] == ["If `toy->broken`, returns `-22`."]


def test_a_name_outside_functions_is_explained_at_its_definition(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", "--tree", str(tree), f"{CORE}:23:20"]) == 0
    assert capsys.readouterr().out.startswith("# `toy_wind`")


@pytest.mark.parametrize("place", [f"{CORE}:1", "drivers/toy/ugly.c:1-2"])
def test_where_there_is_no_function_it_says_so(tree: Path, place: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--tree", str(tree), place]) == 1
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"kexpert: {place}: there is no function or macro to explain\n")


@pytest.mark.parametrize(
    ("text", "line", "column", "last", "is_range"),
    [("a.c:7", 7, 0, 7, False), ("a.c:7:3", 7, 3, 7, False), ("a.c:7-9", 7, 1, 9, True), ("a:b.c:7", 7, 0, 7, False)],
)
def test_places_that_are_understood(text: str, line: int, column: int, last: int, is_range: bool) -> None:
    found = file_lines(text)
    assert (found.position.line, found.position.column, found.last, found.is_range) == (line, column, last, is_range)


# -- the words of a model --------------------------------------------------------------------------


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> ScriptedChat:
    """The chat model of the commands of a test."""
    scripted = ScriptedChat({Task.SUMMARY: "Wind a car up", Task.EXPLANATION: "It calls toy_wind(). It calls zap()."})
    monkeypatch.setattr("kexpert.workspace.chat.ChatSession", lambda listener: scripted)
    return scripted


CAR_WIND = "drivers/toy/user.c:4:12"


def test_the_models_words_follow_the_page(
    tree: Path, chat: ScriptedChat, capsys: pytest.CaptureFixture[str]
) -> None:
    chat.known = ScriptedModel(adapter="kernel", identity="page")
    assert main(["explain", "--tree", str(tree), CAR_WIND]) == 0
    page, words = capsys.readouterr().out.split("\n\n## In the words of a model\n\n")
    assert "## How it works" in page
    assert words.startswith("Wind a car up.\n\nIt calls toy_wind().\n\n*Machine-written by `parrot` with `kernel` ")


def test_json_says_what_the_model_wrote_once_it_is_whole(
    tree: Path, chat: ScriptedChat, capsys: pytest.CaptureFixture[str]
) -> None:
    chat.known = ScriptedModel(identity="json")
    for _ in range(2):
        assert main(["explain", "--tree", str(tree), "--json", CAR_WIND]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["summary"] == {
            "text": "Wind a car up", "origin": "model", "model": "parrot", "adapter": None,
            "sources": [{"path": "drivers/toy/user.c", "line": 4}],
        }  # fmt: skip
        assert found["explanation"]["text"] == "It calls toy_wind()."
    assert len(chat.asked) == 2


def test_a_hover_shows_the_line_that_an_explanation_left_in_the_cache(
    tree: Path, chat: ScriptedChat, capsys: pytest.CaptureFixture[str]
) -> None:
    chat.known = ScriptedModel(identity="hover")
    assert main(["hover", "--tree", str(tree), CAR_WIND]) == 0
    assert "machine-written" not in capsys.readouterr().out
    assert chat.asked == []
    assert main(["explain", "--tree", str(tree), CAR_WIND]) == 0
    capsys.readouterr()
    assert main(["hover", "--tree", str(tree), CAR_WIND]) == 0
    assert "Wind a car up. (machine-written by `parrot`)" in capsys.readouterr().out


def test_with_no_model_the_model_is_not_asked(
    tree: Path, chat: ScriptedChat, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", "--tree", str(tree), "--no-model", CAR_WIND]) == 0
    said = capsys.readouterr()
    assert "words of a model" not in said.out
    assert said.err == ""
    assert chat.asked == []


def test_where_there_is_no_model_one_line_says_how_to_get_one(
    tree: Path, chat: ScriptedChat, capsys: pytest.CaptureFixture[str]
) -> None:
    chat.known = None
    assert main(["explain", "--tree", str(tree), CAR_WIND]) == 0
    assert capsys.readouterr().err == "kexpert: no chat model: kexpert models add parrot\n"
    assert main(["explain", "--tree", str(tree), "--json", CAR_WIND]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "no chat model" not in said.out


def test_a_model_that_fails_is_one_line(tree: Path, chat: ScriptedChat, capsys: pytest.CaptureFixture[str]) -> None:
    chat.known, chat.problem = ScriptedModel(identity="fails"), Failed("the server answers rubbish")
    assert main(["explain", "--tree", str(tree), CAR_WIND]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("# `car_wind`")
    assert said.err == "kexpert: chat model: the server answers rubbish\n"


REFUSED = ["", "a.c", "a.c:", ":3", "a.c:0", "a.c:9-7", "a.c:x", "a.c:-3", "a.c:3-"]


@pytest.mark.parametrize("place", REFUSED)
def test_other_places_are_refused_in_one_line(
    tree: Path, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["explain", "--tree", str(tree), place])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_line_after_the_end_of_the_file_is_refused(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--tree", str(tree), f"{CORE}:999"]) == 1
    assert "lines" in capsys.readouterr().err
