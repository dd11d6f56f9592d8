"""The code actions that write and complete kernel-doc, through the real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.lsp_client import Client
from tests.support.toy_tree import home_environment, make_toy_tree

CORE, USER = "drivers/toy/core.c", "drivers/toy/user.c"
RESOLVES = {"codeAction": {"dataSupport": True, "resolveSupport": {"properties": ["edit"]}}}
STOP = """
/**
 * toy_stop() - stop a toy
 * @toy: the toy
 */
int toy_stop(struct toy *toy, int force)
{
	return toy_wind(toy, force);
}
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_toy_tree(tmp_path_factory.mktemp("kerneldoc") / "linux")
    file = root / CORE
    file.write_text(file.read_text() + STOP)
    return root


@pytest.fixture(scope="module")
def client(tree: Path) -> Iterator[Client]:
    with Client(env=home_environment(tree.parent)) as client:
        client.initialize(tree, textDocument=RESOLVES)
        for path in (CORE, USER):
            client.open((tree / path).as_uri(), (tree / path).read_text())
        yield client


def offered(client: Client, tree: Path, path: str, line: int, **context: Any) -> list[dict[str, Any]]:
    at = {"line": line, "character": 4}
    asked = {
        "textDocument": {"uri": (tree / path).as_uri()},
        "context": {"diagnostics": [], **context},
        "range": {"start": at, "end": at},
    }
    found: list[dict[str, Any]] = client.request("textDocument/codeAction", asked)
    return [action for action in found if "kernel-doc" in action["title"]]


def applied(tree: Path, path: str, edit: dict[str, Any]) -> str:
    """The text of a file after an edit."""
    lines = (tree / path).read_text().split("\n")
    (changes,) = edit["changes"].values()
    for change in sorted(changes, key=lambda each: -each["range"]["start"]["line"]):
        start, end = change["range"]["start"], change["range"]["end"]
        assert start == end and start["character"] == 0
        lines[start["line"] : start["line"]] = change["newText"].removesuffix("\n").split("\n")
    return "\n".join(lines)


def test_a_comment_is_written_when_the_action_is_picked(client: Client, tree: Path) -> None:
    (action,) = offered(client, tree, USER, 4)
    assert (action["title"], action["kind"]) == ("Write kernel-doc", "refactor.rewrite")
    assert "edit" not in action
    edit = client.request("codeAction/resolve", action)["edit"]
    assert applied(tree, USER, edit).split("\n")[2:10] == [
        "",
        "/**",
        " * car_wind() - the .wind operation of struct toy_ops car_ops",
        " * @toy: the &struct toy",
        " * @turns: the turns (``unsigned int``)",
        " *",
        " * Return: The result of toy_wind()",
        " */",
    ]


def test_a_comment_is_completed(client: Client, tree: Path) -> None:
    line = (tree / CORE).read_text().split("\n").index("int toy_stop(struct toy *toy, int force)")
    for at in (line, line - 2):  # in the function, and in its comment
        (action,) = offered(client, tree, CORE, at)
        assert action["title"] == "Complete kernel-doc"
        edit = client.request("codeAction/resolve", action)["edit"]
        assert (
            " * @toy: the toy\n * @force: the force (``int``), passed to toy_wind()\n *\n"
            " * Return: The result of toy_wind()\n */\nint toy_stop("
        ) in applied(tree, CORE, edit)


def test_a_complete_comment_is_left_alone(client: Client, tree: Path) -> None:
    assert offered(client, tree, CORE, 17) == []


@pytest.mark.parametrize("only", [["source"], ["quickfix"], ["refactor.extract"]])
def test_other_kinds_of_actions_do_not_bring_it(client: Client, tree: Path, only: list[str]) -> None:
    assert offered(client, tree, USER, 4, only=only) == []


@pytest.mark.parametrize("only", [["refactor"], ["refactor.rewrite"], [""]])
def test_its_own_kinds_bring_it(client: Client, tree: Path, only: list[str]) -> None:
    assert len(offered(client, tree, USER, 4, only=only)) == 1


def test_a_client_that_resolves_no_edits_gets_one_at_once(tree: Path, tmp_path: Path) -> None:
    with Client(env=home_environment(tmp_path)) as other:
        other.initialize(tree)
        other.open_file(USER)
        (action,) = offered(other, tree, USER, 4)
        assert " * car_wind() - " in applied(tree, USER, action["edit"])


@pytest.mark.parametrize("data", [None, 7, {"kernelDoc": []}, {"kernelDoc": ["x", -1, 0]}, {"kernelDoc": ["x", "", 0]}])
def test_an_action_of_nobody_is_given_back(client: Client, data: Any) -> None:
    found = client.request("codeAction/resolve", {"title": "Write kernel-doc", "data": data})
    assert found["title"] == "Write kernel-doc" and "edit" not in found


def test_what_changed_since_the_action_was_offered_counts(client: Client, tree: Path) -> None:
    (action,) = offered(client, tree, USER, 4)
    uri = (tree / USER).as_uri()
    text = (tree / USER).read_text()
    client.notify("textDocument/didChange", {"textDocument": {"uri": uri, "version": 2},
                                             "contentChanges": [{"text": "/* nothing */\n\n\n\n\n\n"}]})  # fmt: skip
    assert "edit" not in client.request("codeAction/resolve", action)
    client.notify("textDocument/didChange", {"textDocument": {"uri": uri, "version": 3},
                                             "contentChanges": [{"text": text}]})  # fmt: skip
