"""benchmarks/answers.py: a recording of a small tree, and the comparison of two."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import answers
from tests.support.lsp_client import Client
from tests.support.toy_tree import home_environment, make_toy_tree
from tests.support.waiting import eventually


def test_the_same_places_are_drawn_each_time(tmp_path: Path) -> None:
    root = make_toy_tree(tmp_path / "linux")
    drawn = answers.draw(root, 8)
    assert drawn == answers.draw(root, 8)
    assert drawn
    for use in drawn:
        line = (root / use.path).read_text().split("\n")[use.line]
        assert line[use.column :].startswith(use.name)


def test_a_server_is_recorded_without_the_path_of_its_tree(tmp_path: Path) -> None:
    root = make_toy_tree(tmp_path / "linux")
    with Client(env=home_environment(tmp_path)) as client:
        client.initialize(root, encodings=["utf-8"], options=answers.OPTIONS | {"vectors": {"enabled": False}})
        eventually(lambda: client.request("workspace/symbol", {"query": "car_play"}))
        recorded = answers.record(client, answers.draw(root, 8))
    kinds = {key.partition(" ")[0] for key in recorded}
    assert kinds >= {"hover", "definition", "references", "completion", "signatureHelp", "documentSymbol", "search"}
    assert not any("error" in answer for answer in recorded.values() if isinstance(answer, dict))
    assert str(root) not in json.dumps(recorded)


def test_differences_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(json.dumps({"hover a.c:1:1 f": {"contents": "int f\nold"}, "references a.c:1:1 f": ["x", "y"]}))
    new.write_text(json.dumps({"hover a.c:1:1 f": {"contents": "int f\nnew"}, "references a.c:1:1 f": ["y", "x"]}))
    assert answers.compare(old, old) == 0
    assert answers.compare(old, new) == 1
    printed = capsys.readouterr().out
    assert "- contents: old" in printed
    assert "+ contents: new" in printed
    assert "the same in another order, from entry 1 of 2 on" in printed


def test_inline_answers_come_from_a_command_line(tmp_path: Path) -> None:
    """The command is told a question for each place; here it answers with the path."""
    root = make_toy_tree(tmp_path / "linux")
    program = tmp_path / "complete.py"
    program.write_text(
        "import json, sys\n"
        "for line in sys.stdin:\n"
        "    print(json.dumps({'text': json.loads(line)['path'], 'shown': True, 'ms': 3}))\n"
    )
    drawn = answers.draw(root, 4)
    found = answers.inline([sys.executable, str(program)], root, drawn, {})
    assert [answer["text"] for answer in found.values()] == [use.path for use in drawn]
    assert all(answer.keys() == {"text", "shown"} for answer in found.values())
