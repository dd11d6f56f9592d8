"""The command that answers questions, through the real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.support.lsp_client import Client, RequestFailed
from tests.support.toy_tree import home_environment, make_toy_tree
from tests.support.waiting import eventually

QUESTION = "What does toy_wind() return if toy->broken?"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_toy_tree(tmp_path_factory.mktemp("ask") / "linux")


@pytest.fixture(scope="module")
def client(tree: Path) -> Iterator[Client]:
    with Client(env=home_environment(tree.parent)) as client:
        options = {"vectors": {"enabled": False}}
        client.initialize(tree, options=options, window={"showDocument": {"support": True}})
        client.open_file("drivers/toy/core.c")
        eventually(lambda: ask(client, QUESTION)["json"]["answer"])
        yield client


def ask(client: Client, *arguments: Any) -> Any:
    return client.request("workspace/executeCommand", {"command": "kexpert.ask", "arguments": list(arguments)})


@pytest.mark.parametrize("given", [QUESTION, {"question": QUESTION}])
def test_facts_are_the_answer(client: Client, tree: Path, given: Any) -> None:
    found = ask(client, given)
    assert found["json"]["answer"] == "toy_wind() returns -22 if toy->broken [1]."
    assert (found["json"]["origin"], found["json"]["model"]) == ("facts", None)
    (citation,) = found["json"]["citations"]
    text = "toy_wind() returns -22 if toy->broken"
    assert citation == {"path": "drivers/toy/core.c", "line": 19, "text": text}
    assert f"[[1]]({(tree / 'drivers/toy/core.c').as_uri()}#L19)" in found["markdown"]


def test_a_question_without_an_answer_gives_the_sources(client: Client) -> None:
    question = "how does one wind a toy up"
    eventually(lambda: ask(client, question)["json"]["citations"])  # search is indexed after the names
    found = ask(client, question)["json"]
    assert (found["answer"], found["origin"]) == ("", "sources")
    assert "toy_wind(): wind a toy up" in [citation["text"] for citation in found["citations"]]


def test_the_page_is_shown_as_a_document(client: Client) -> None:
    client.requests.clear()
    found = ask(client, QUESTION)
    uri = client.wait_for_request("window/showDocument")["uri"]
    assert Path(unquote(urlsplit(uri).path)).read_text() == found["markdown"]


@pytest.mark.parametrize("arguments", [[], [7], [""], [{}], [{"question": 7}]])
def test_other_arguments_are_refused(client: Client, arguments: list[Any]) -> None:
    with pytest.raises(RequestFailed):
        ask(client, *arguments)
