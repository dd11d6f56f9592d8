"""Call hierarchy with one root, and renames that are refused, through the real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fixture_text import cursor
from tests.support.lsp_client import Client, RequestFailed
from tests.support.toy_tree import TOY_FILES, home_environment, write_tree
from tests.support.waiting import eventually


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "linux", TOY_FILES)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with Client(env=home_environment(tmp_path)) as client:
        yield client


def test_call_hierarchy_of_a_function_with_variants_has_one_root(client: Client, tree: Path) -> None:
    """VS Code shows no callers where there are several."""
    for other in ("a", "b"):
        (tree / f"drivers/toy/{other}.c").write_text("int toy_twice(int a)\n{\n\treturn a;\n}\n")
    client.initialize(tree)
    text, here = cursor("int f(void)\n{\n\treturn toy_/*|*/twice(1);\n}\n")
    uri = (tree / "drivers/toy/c.c").as_uri()
    client.open(uri, text)
    found = eventually(lambda: client.at("implementation", uri, here) or client.at("definition", uri, here))
    assert found
    assert [item["name"] for item in client.at("prepareCallHierarchy", uri, here)] == ["toy_twice"]


def test_a_rename_that_is_refused_says_why_before_a_name_is_typed(client: Client, tree: Path) -> None:
    client.initialize(tree)
    text, here = cursor("int sha/*|*/red(void)\n{\n\treturn 0;\n}\n")
    uri = (tree / "drivers/toy/c.c").as_uri()
    client.open(uri, text)
    with pytest.raises(RequestFailed, match="'shared' is not static in this file"):
        client.at("prepareRename", uri, here)
