"""Patches and call chains as commands, through the real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.lsp_client import Client, RequestFailed
from tests.support.toy_tree import home_environment, make_toy_tree
from tests.support.waiting import eventually

USER = "drivers/toy/user.c"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_toy_tree(tmp_path_factory.mktemp("questions") / "linux")


@pytest.fixture(scope="module")
def client(tree: Path) -> Iterator[Client]:
    with Client(env=home_environment(tree.parent)) as client:
        client.initialize(tree, options={"vectors": {"enabled": False}})
        client.open_file(USER)
        eventually(lambda: command(client, "kexpert.callChain", "toy_wind"))
        yield client


def command(client: Client, name: str, *arguments: Any) -> Any:
    return client.request("workspace/executeCommand", {"command": name, "arguments": list(arguments)})


def test_a_call_chain_is_text_and_json(client: Client) -> None:
    found = command(client, "kexpert.callChain", "car_wind", {"up": 0, "down": 1})
    assert [each["name"] for each in found["json"]["callees"]["children"]] == ["toy_wind"]
    assert "toy_wind drivers/toy/user.c:6" in found["text"]
    path = command(client, "kexpert.callChain", "car_wind", {"to": "toy_wind"})
    assert [edge["line"] for edge in path["json"]["edges"]] == [6]
    assert command(client, "kexpert.callChain", "no_such_function") is None


def test_a_call_chain_begins_at_the_cursor_and_is_a_page_with_links(client: Client, tree: Path) -> None:
    """On a call: of the function that is called; elsewhere: of the one around."""
    uri, lines = (tree / USER).as_uri(), (tree / USER).read_text().splitlines()
    at = next(number for number, line in enumerate(lines) if "return toy_wind(toy" in line)
    for character, name in ((lines[at].index("toy_wind"), "toy_wind"), (lines[at].index("return"), "car_wind")):
        found = command(client, "kexpert.callChain", uri, {"line": at, "character": character}, {"up": 1, "down": 1})
        assert found["json"]["function"]["name"] == name
    assert f"- toy_wind [{USER}:{at + 1}]({uri}#L{at + 1})" in found["markdown"]
    assert command(client, "kexpert.callChain", uri, {"line": 0, "character": 0}) is None


def test_a_diff_of_an_editor_is_read(client: Client, tree: Path) -> None:
    lines = (tree / USER).read_text().splitlines()
    at = next(number for number, line in enumerate(lines) if "return toy_wind(toy" in line)
    text = f"--- a/{USER}\n+++ b/{USER}\n@@ -{at + 1} +{at + 1} @@\n-{lines[at]}\n+\treturn 0;\n"
    found = command(client, "kexpert.diff", {"diff": text})
    assert [each["name"] for each in found["json"]["touched"]] == ["car_wind"]
    assert "drivers/toy/user.c:4: function car_wind: changed" in found["text"]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("kexpert.diff", ["--output=x"]), ("kexpert.diff", ["no-such-revision"]), ("kexpert.callChain", []),
     ("kexpert.callChain", [7]), ("kexpert.grep", ["(a)\\1"])],
)  # fmt: skip
def test_what_cannot_be_answered_is_refused(client: Client, name: str, arguments: list[Any]) -> None:
    with pytest.raises(RequestFailed):
        command(client, name, *arguments)
