"""Code actions and the command that explain code, through the real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.lsp_client import Client, RequestFailed
from tests.support.toy_tree import home_environment, make_toy_tree

CORE = "drivers/toy/core.c"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_toy_tree(tmp_path_factory.mktemp("explain") / "linux")


@pytest.fixture(scope="module")
def client(tree: Path) -> Iterator[Client]:
    with Client(env=home_environment(tree.parent)) as client:
        client.initialize(tree)
        client.open((tree / CORE).as_uri(), (tree / CORE).read_text())
        yield client


def place(line: int, character: int = 0, end_line: int | None = None) -> dict[str, Any]:
    start = {"line": line, "character": character}
    return {"start": start, "end": start if end_line is None else {"line": end_line, "character": 0}}


def offered(client: Client, tree: Path, where: dict[str, Any], path: str = CORE) -> list[dict[str, Any]]:
    asked = {"textDocument": {"uri": (tree / path).as_uri()}, "context": {"diagnostics": []}, "range": where}
    found: list[dict[str, Any]] = client.request("textDocument/codeAction", asked)
    return [action for action in found if action["title"].startswith("Explain")]


def run(client: Client, action: dict[str, Any]) -> Any:
    command = action["command"]
    return client.request(
        "workspace/executeCommand", {"command": command["command"], "arguments": command["arguments"]}
    )


def test_a_function_is_explained_from_within_it(client: Client, tree: Path) -> None:
    (action,) = offered(client, tree, place(17, 4))
    assert action["title"] == "Explain this function"
    found = run(client, action)
    assert found["json"]["name"] == "toy_wind"
    assert found["markdown"] == found["json"]["markdown"]
    assert f"[L19]({(tree / CORE).as_uri()}#L19)" in found["markdown"]


def test_a_selection_is_explained_by_itself(client: Client, tree: Path) -> None:
    (action,) = offered(client, tree, place(17, 0, 19))
    assert action["title"] == "Explain selection"
    assert run(client, action)["json"]["name"] == "toy_wind, lines 18 to 19"


def test_outside_functions_nothing_is_offered(client: Client, tree: Path) -> None:
    assert offered(client, tree, place(0)) == []


def test_nothing_to_explain_is_null(client: Client, tree: Path) -> None:
    arguments = [(tree / CORE).as_uri(), place(0)]
    assert client.request("workspace/executeCommand", {"command": "kexpert.explain", "arguments": arguments}) is None


@pytest.mark.parametrize("arguments", [[], [7], ["x"], ["x", {}], ["x", {"start": 1, "end": 2}]])
def test_other_arguments_are_refused(client: Client, arguments: list[Any]) -> None:
    with pytest.raises(RequestFailed):
        client.request("workspace/executeCommand", {"command": "kexpert.explain", "arguments": arguments})
