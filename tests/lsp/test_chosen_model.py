"""A running server follows ``kexpert models use``."""

from __future__ import annotations

from pathlib import Path

import pytest

from kexpert.__main__ import main
from tests.support.fixture_text import cursor
from tests.support.lsp_client import Client
from tests.support.tiny_models import speaking_model
from tests.support.toy_tree import home_environment, make_toy_tree
from tests.support.waiting import eventually

PLACE = "#include <linux/toy.h>\n\nint toy_play(struct toy *toy)\n{\n\t/*|*/\n}\n"
OPTIONS = {"model.threads": 1, "inline.confidence": 0, "inline.ahead": False}


def suggested(client: Client, uri: str, text: str) -> bool:
    """Whether inline completion shows ``text``; asked for as by a key."""
    source, position = cursor(PLACE)
    client.change(uri, {"text": source})
    answer = client.at("inlineCompletion", uri, position, context={"triggerKind": 1})
    return any(item["insertText"] == text for item in answer["items"]) if answer else False


def test_a_model_that_is_chosen_while_the_server_runs_answers_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = home_environment(tmp_path / "home")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    first = speaking_model(tmp_path / "first", ("{\n", "\treturn", " 1", ";", "\n", "}"))
    second = speaking_model(tmp_path / "second", ("{\n", "\treturn", " 2", ";", "\n", "}"))
    for name, folder in {"first": first, "second": second}.items():
        assert main(["models", "add", str(folder), "--name", name]) == 0
    assert main(["models", "use", "first"]) == 0
    tree = make_toy_tree(tmp_path / "linux")
    with Client(timeout=120, env=environment) as client:
        client.initialize(tree, options=OPTIONS, textDocument={"inlineCompletion": {}})
        uri = (tree / "drivers/toy/user.c").as_uri()
        client.open(uri, "")
        eventually(lambda: suggested(client, uri, "return 1;"), seconds=120)
        assert main(["models", "use", "second"]) == 0
        eventually(lambda: suggested(client, uri, "return 2;"), seconds=120)
        assert client.leave() == 0
