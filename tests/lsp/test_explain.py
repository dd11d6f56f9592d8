"""Code actions and the command that explain code, through the real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

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
    assert found["markdown"].startswith(found["json"]["markdown"].rstrip("\n"))  # how to get a model may follow
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


def test_the_page_is_shown_as_a_document_in_the_cache(client: Client, tree: Path) -> None:
    client.requests.clear()
    (action,) = offered(client, tree, place(17, 4))
    found = run(client, action)
    asked = client.wait_for_request("window/showDocument")
    assert asked["takeFocus"] is True
    page = file_of(asked["uri"])
    assert page.read_text() == found["markdown"]
    assert (page.parent.name, page.parent.parent.parent) == ("explain", tree.parent / "cache" / "kexpert")
    assert page.name.startswith("toy_wind-")
    assert page.parent.stat().st_mode & 0o777 == 0o700
    assert [other for other in page.parent.iterdir() if other.suffix != ".md"] == []
    assert list(tree.rglob("*.md")) == []


def test_nothing_to_explain_shows_nothing(client: Client, tree: Path) -> None:
    client.requests.clear()
    test_nothing_to_explain_is_null(client, tree)
    assert shown(client) == []


def test_a_page_that_cannot_be_written_is_still_the_answer(tree: Path, tmp_path: Path) -> None:
    with Client(env=home_environment(tmp_path)) as other:
        other.initialize(tree)
        other.open_file(CORE)
        (action,) = offered(other, tree, place(17, 4))
        run(other, action)
        folder = file_of(other.wait_for_request("window/showDocument")["uri"]).parent
        other.requests.clear()
        folder.rename(folder.with_name("moved"))
        folder.write_text("a file, no folder")
        assert run(other, action)["json"]["name"] == "toy_wind"
        other.wait_for("window/showMessage", lambda params: "cannot be shown" in params["message"])
        assert shown(other) == []


@pytest.mark.parametrize("window", [{}, {"showDocument": {"support": False}}, {"showDocument": True}])
def test_a_client_that_shows_no_documents_is_offered_no_explanation(
    tree: Path, tmp_path: Path, window: dict[str, Any]
) -> None:
    with Client(env=home_environment(tmp_path)) as other:
        other.initialize(tree, window=window)
        other.open_file(CORE)
        assert offered(other, tree, place(17, 4)) == []
        assert offered(other, tree, place(17, 0, 19)) == []
        arguments = [(tree / CORE).as_uri(), place(17, 4)]
        command = {"command": "kexpert.explain", "arguments": arguments}
        assert other.request("workspace/executeCommand", command)["json"]["name"] == "toy_wind"
        assert shown(other) == []
    assert list(tmp_path.rglob("explain")) == []


@pytest.mark.parametrize("window", [{}, {"showDocument": {"support": True}}])
def test_a_client_that_shows_the_answer_itself_gets_no_file(
    tree: Path, tmp_path: Path, window: dict[str, Any]
) -> None:
    with Client(env=home_environment(tmp_path)) as other:
        other.initialize(tree, window=window, experimental={"kexpertExplain": True})
        other.open_file(CORE)
        (action,) = offered(other, tree, place(17, 4))
        assert run(other, action)["markdown"].startswith("# `toy_wind`")
        assert shown(other) == []
    assert list(tmp_path.rglob("explain")) == []


def shown(client: Client) -> list[Any]:
    """What the server asked the client to show; it asks before it answers the command."""
    return [params for method, params in client.requests if method == "window/showDocument"]


def file_of(uri: str) -> Path:
    return Path(unquote(urlsplit(uri).path))
