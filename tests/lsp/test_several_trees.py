"""One server for every kernel tree of a window: each file is answered from its own tree."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.lsp_client import Client
from tests.support.toy_tree import home_environment, write_tree
from tests.support.waiting import eventually

USE = "int far_away(int);\nint here(void)\n{\n\treturn far_away(1);\n}\n"
CALL = {"line": 3, "character": 10}
FAR = "int far_away(int a)\n{\n\treturn a;\n}\n"


@pytest.fixture
def first(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "first", {"lib/old.c": FAR, "drivers/a.c": USE, "lib/only.c": "int only_first;\n"})


@pytest.fixture
def second(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "second", {"lib/moved.c": "/* moved */\n\n" + FAR, "drivers/a.c": USE})


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with Client(env=home_environment(tmp_path)) as client:
        yield client


def initialize(client: Client, *folders: Path) -> None:
    client.root = folders[0]
    folders_now = {"rootUri": folders[0].as_uri(), "workspaceFolders": listed(*folders)}
    client.request("initialize", {"capabilities": {}, **folders_now})
    client.notify("initialized", {})


def listed(*folders: Path) -> list[dict[str, str]]:
    return [{"uri": folder.as_uri(), "name": folder.name} for folder in folders]


def change_folders(client: Client, added: list[Path], removed: list[Path]) -> None:
    event = {"added": listed(*added), "removed": listed(*removed)}
    client.notify("workspace/didChangeWorkspaceFolders", {"event": event})


def definition(client: Client, file: Path) -> str:
    found: Any = client.at("definition", file.as_uri(), CALL)
    place = found[0] if isinstance(found, list) and found else found
    return place.get("targetUri") or place["uri"] if place else ""


def opened(client: Client, file: Path) -> Path:
    client.open(file.as_uri(), file.read_text())
    return file


def test_each_file_is_answered_from_its_own_tree(client: Client, first: Path, second: Path) -> None:
    initialize(client, first, second)
    one, other = opened(client, first / "drivers/a.c"), opened(client, second / "drivers/a.c")
    assert eventually(lambda: definition(client, one) == (first / "lib/old.c").as_uri())
    assert eventually(lambda: definition(client, other) == (second / "lib/moved.c").as_uri())
    assert definition(client, one) == (first / "lib/old.c").as_uri()


def test_symbols_of_all_trees_are_found(client: Client, first: Path, second: Path) -> None:
    initialize(client, first, second)

    def found() -> set[str]:
        return {item["location"]["uri"] for item in client.request("workspace/symbol", {"query": "far_away"})}

    assert eventually(lambda: {(first / "lib/old.c").as_uri(), (second / "lib/moved.c").as_uri()} <= found())


def test_a_folder_may_be_added_and_removed(client: Client, first: Path, second: Path) -> None:
    initialize(client, first)
    change_folders(client, [second], [])
    other = opened(client, second / "drivers/a.c")
    assert eventually(lambda: definition(client, other) == (second / "lib/moved.c").as_uri())
    client.close(other.as_uri())
    change_folders(client, [], [second])
    found = {item["location"]["uri"] for item in client.request("workspace/symbol", {"query": "far_away"})}
    assert found
    assert not any(uri.startswith(second.as_uri()) for uri in found)


def test_the_first_folder_may_go(client: Client, first: Path, second: Path) -> None:
    initialize(client, first, second)
    change_folders(client, [], [first])
    other = opened(client, second / "drivers/a.c")
    assert eventually(lambda: definition(client, other) == (second / "lib/moved.c").as_uri())
    assert client.request("workspace/symbol", {"query": "only_first"}) in (None, [])


def test_a_tree_below_another_is_a_tree_of_its_own(client: Client, first: Path) -> None:
    initialize(client, first)
    inner = write_tree(first / "worktrees/next", {"lib/moved.c": FAR, "drivers/a.c": USE})
    file = opened(client, inner / "drivers/a.c")
    assert eventually(lambda: definition(client, file) == (inner / "lib/moved.c").as_uri())


def test_an_edit_in_one_tree_is_none_in_the_other(client: Client, first: Path, second: Path) -> None:
    initialize(client, first, second)
    one, other = opened(client, first / "drivers/a.c"), opened(client, second / "drivers/a.c")
    client.change(one.as_uri(), {"text": "\n" + USE})
    for file, line in ((one, 2), (other, 1)):
        symbols = client.request("textDocument/documentSymbol", {"textDocument": {"uri": file.as_uri()}})
        assert symbols[-1]["location"]["range"]["start"]["line"] == line
