"""Uses of a member through the real server: in parts, with what is done there, highlights, renames, who writes it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest

from tests.support.lsp_client import Client, RequestFailed
from tests.support.toy_tree import home_environment, write_tree
from tests.support.waiting import eventually

_FILES = 60
CRANE = "include/linux/crane.h"
USER = "drivers/crane/user.c"
FILES = {
    "Kconfig": "", "Makefile": "", "MAINTAINERS": "",
    CRANE: "struct crane { int load; };\nstruct ship { int load; };\n",
    USER: "#include <linux/crane.h>\nint lift(struct crane *crane, struct ship *ship)\n{\n"
          "\tcrane->load = ship->load;\n\tuse(&crane->load);\n\treturn crane->load;\n}\n",
    **{
        f"drivers/crane/many{at}.c": f"#include <linux/crane.h>\nint look{at}(struct crane *crane)\n{{\n"
                                     "\tint first = crane->load;\n\n\treturn first + crane->load;\n}\n"
        for at in range(_FILES)
    },
}  # fmt: skip
_AT = {"line": 3, "character": len("\tcrane->l")}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    tree = write_tree(tmp_path_factory.mktemp("uses") / "linux", FILES)
    with Client(env=home_environment(tree.parent)) as client:
        client.initialize(tree)
        eventually(lambda: len(references(client)) == 2 * _FILES + 4, seconds=60)
        yield client


def references(client: Client, **extra: Any) -> Any:
    return client.at("references", client.uri(USER), _AT, context={"includeDeclaration": True}, **extra)


def command(client: Client, *arguments: Any) -> Any:
    return client.request(
        "workspace/executeCommand",
        {"command": "kexpert.references", "arguments": [client.uri(USER), _AT, *arguments]},
    )


def places(found: list[dict[str, Any]]) -> set[tuple[str, int]]:
    return {(each["uri"], each["range"]["start"]["line"]) for each in found}


def test_places_come_in_parts_to_a_client_that_takes_them(client: Client) -> None:
    whole = references(client)
    assert (client.uri(USER), 3) in places(whole)
    assert references(client, partialResultToken="uses") == []
    parts = [value for _, token, value in client.parts if token == "uses"]
    assert len(parts) > 1
    assert sorted(map(str, chain(*parts))) == sorted(map(str, whole))


def test_the_command_tells_what_is_done_at_each_place(client: Client) -> None:
    found = command(client)
    here = [(each["range"]["start"]["line"], each["access"]) for each in found if each["uri"] == client.uri(USER)]
    assert here == [(3, "write"), (4, "address"), (5, "read")]
    assert all(each["certain"] for each in found)


def test_the_command_gives_only_the_writes(client: Client) -> None:
    found = command(client, {"writes": True, "certain": True})
    assert [(each["uri"], each["range"]["start"]["line"]) for each in found] == [
        (client.uri(USER), 3), (client.uri(USER), 4),
    ]  # fmt: skip
    assert command(client, {"writes": True}, "writes") == []
    assert [value for _, token, value in client.parts if token == "writes"] == [found]


def test_highlights_are_of_the_same_struct_and_say_what_is_done(client: Client) -> None:
    text, read, write = 1, 2, 3
    found = client.at("documentHighlight", client.uri(USER), _AT)
    assert [(each["range"]["start"]["line"], each["kind"]) for each in found] == [(3, write), (4, text), (5, read)]


def test_the_incoming_calls_of_a_member_are_the_functions_that_write_it(client: Client) -> None:
    (item,) = client.at("prepareCallHierarchy", client.uri(USER), _AT)
    (call,) = client.request("callHierarchy/incomingCalls", {"item": item})
    assert call["from"]["name"] == "lift"
    assert [span["start"]["line"] for span in call["fromRanges"]] == [3, 4]


def test_a_member_is_renamed_in_all_files(client: Client) -> None:
    changes = client.at("rename", client.uri(USER), _AT, newName="weight")["changes"]
    assert len(changes) == _FILES + 2
    assert sum(map(len, changes.values())) == 2 * _FILES + 4
    with pytest.raises(RequestFailed, match="is not a C identifier"):
        client.at("rename", client.uri(USER), _AT, newName="two words")
