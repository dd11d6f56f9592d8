"""Files that the client opens through a symbolic link inside the tree: they are the file that the link leads to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.lsp_client import Client
from tests.support.toy_tree import home_environment, write_tree
from tests.support.waiting import eventually

FILES = {
    "include/real.h": "#define GZ_LINKED 3\n",
    "drivers/a.c": '#include "link.h"\nint f(void)\n{\n\treturn GZ_LINKED;\n}\n',
}
NAME = {"line": 0, "character": 10}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    tree = write_tree(tmp_path / "linux", FILES)
    (tree / "drivers/link.h").symlink_to("../include/real.h")
    (tree / "folder").symlink_to("include")
    with Client(env=home_environment(tmp_path)) as client:
        client.initialize(tree, options={"vectors": {"enabled": False}})
        uri = client.open_file("include/real.h")
        eventually(lambda: places(client, uri) == ["drivers/a.c:3", "include/real.h:0"])
        client.close(uri)
        yield client


def places(client: Client, uri: str, at: dict[str, int] | None = None) -> list[str]:
    found: list[dict[str, Any]] = client.at(
        "references", uri, at or NAME, context={"includeDeclaration": True}
    )
    return sorted(f"{use['uri'].removeprefix(client.uri('') + '/')}:{use['range']['start']['line']}" for use in found)


@pytest.mark.parametrize("opened", ["drivers/link.h", "folder/real.h"])
def test_its_lines_are_found_once(client: Client, opened: str) -> None:
    uri = client.open_file(opened)
    assert places(client, uri) == sorted(["drivers/a.c:3", f"{opened}:0"])


def test_edits_through_the_link_are_edits_of_the_file(client: Client) -> None:
    uri = client.open_file("drivers/link.h")
    start = {"line": 0, "character": 0}
    client.change(uri, {"range": {"start": start, "end": start}, "text": "\n"})
    assert places(client, client.open_file("drivers/a.c"), {"line": 3, "character": 9}) == [
        "drivers/a.c:3", "drivers/link.h:1",
    ]  # fmt: skip


@pytest.mark.parametrize("first", ["drivers/link.h", "include/real.h"])
def test_file_and_link_open_at_once_are_two_buffers(client: Client, first: str) -> None:
    """Each keeps its text and its positions, in whichever order they are opened, edited and closed."""
    second = "include/real.h" if first == "drivers/link.h" else "drivers/link.h"
    one, other = client.open_file(first), client.open_file(second)
    start = {"line": 0, "character": 0}
    client.change(one, {"range": {"start": start, "end": start}, "text": "\n\n"})
    client.change(other, {"range": {"start": start, "end": start}, "text": "\n"})
    assert f"{first}:2" in places(client, one, {"line": 2, "character": 10})
    assert f"{second}:1" in places(client, other, {"line": 1, "character": 10})
    client.close(other)
    assert f"{first}:2" in places(client, one, {"line": 2, "character": 10})
