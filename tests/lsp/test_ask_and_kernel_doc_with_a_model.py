"""What a chat model adds to kernel-doc comments and to answers, through the real server with a scripted model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.lsp_client import Client
from tests.support.scripted_server import command
from tests.support.toy_tree import home_environment, make_toy_tree
from tests.support.waiting import eventually

USER = "drivers/toy/user.c"
SCRIPT = {
    "answers": {
        "summary": "Wind a car up by twice the turns",
        "answer": "One calls toy_wind() to wind a toy up [1]. Then toy_dances() [1]. It is fun.",
    },
    "lines": {"@toy": "the toy to wind", "@turns": "turns of the spring_key_nobody_knows"},
}
QUESTION = "how does one wind a toy up"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_toy_tree(tmp_path_factory.mktemp("words") / "linux")


@pytest.fixture(scope="module")
def client(tree: Path) -> Iterator[Client]:
    with Client(command(SCRIPT, "serve"), env=home_environment(tree.parent)) as client:
        client.initialize(
            tree,
            options={"vectors": {"enabled": False}},
            textDocument={"codeAction": {"dataSupport": True, "resolveSupport": {"properties": ["edit"]}}},
            workspace={"workspaceEdit": {"documentChanges": True, "changeAnnotationSupport": {}}},
        )
        client.open_file(USER)
        yield client


def resolved(client: Client, tree: Path, line: int) -> dict[str, Any]:
    at = {"line": line, "character": 0}
    where = {"textDocument": {"uri": (tree / USER).as_uri()}, "range": {"start": at, "end": at}}
    found = client.request("textDocument/codeAction", {**where, "context": {"diagnostics": []}})
    (action,) = [each for each in found if each["title"] == "Write kernel-doc"]
    edit: dict[str, Any] = client.request("codeAction/resolve", action)["edit"]
    return edit


def test_the_models_texts_are_in_the_comment_and_named_in_its_annotation(client: Client, tree: Path) -> None:
    edit = resolved(client, tree, 5)
    (annotation,) = edit["changeAnnotations"].values()
    assert annotation["description"] == "brief and @toy by parrot: read before you keep them"
    (change,) = edit["documentChanges"][0]["edits"]
    assert " * @toy: the toy to wind\n" in change["newText"]
    assert "nobody_knows" not in change["newText"]
    assert change["annotationId"] in edit["changeAnnotations"]


def ask(client: Client, *arguments: Any) -> Any:
    return client.request("workspace/executeCommand", {"command": "kexpert.ask", "arguments": list(arguments)})


def test_the_sources_come_first_then_the_answer_that_they_bear_out(client: Client) -> None:
    eventually(lambda: ask(client, QUESTION)["json"]["citations"])
    answer = ask(client, QUESTION, "part-1")
    assert answer["json"]["answer"] == "One calls toy_wind() to wind a toy up [1]."
    assert (answer["json"]["origin"], answer["json"]["model"]) == ("model", "parrot")
    assert "written by parrot" in answer["markdown"]
    (part,) = [value for _, token, value in client.parts if token == "part-1"]
    assert part["json"]["origin"] == "sources" and len(part["json"]["citations"]) >= 1
    (citation,) = answer["json"]["citations"]
    assert citation in part["json"]["citations"]


@pytest.mark.parametrize("script", [{"none": True}, {"fails": "the model is broken"}])
def test_without_an_answer_of_a_model_there_are_the_sources(
    tree: Path, tmp_path: Path, script: dict[str, Any]
) -> None:
    with Client(command(script, "serve"), env=home_environment(tmp_path)) as other:
        other.initialize(tree, options={"vectors": {"enabled": False}})
        eventually(lambda: ask(other, QUESTION)["json"]["citations"])
        assert ask(other, QUESTION)["json"]["origin"] == "sources"
