"""Search by meaning through the real server: commands, code action, symbols, hover, freshness."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.lsp_client import Client, RequestFailed
from tests.support.toy_embedder import make_embedder
from tests.support.toy_tree import WRITEBACK_FILES, home_environment, write_tree
from tests.support.waiting import eventually

PROBE = WRITEBACK_FILES["mm/probe.c"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("search") / "linux", WRITEBACK_FILES)


@pytest.fixture(scope="module")
def client(tree: Path) -> Iterator[Client]:
    """A server that has its vectors at hand."""
    folder = tree.parent
    with Client(env=home_environment(folder)) as client:
        client.initialize(tree, options={"vectors": {"embedder": str(make_embedder(folder / "embedder"))}})
        eventually(lambda: "folio_wait_writeback" in names(search(client, "sleep flush")), seconds=60)
        yield client


def search(client: Client, *arguments: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = command(client, "kexpert.search", *arguments)
    return found


def command(client: Client, name: str, *arguments: Any) -> Any:
    return client.request("workspace/executeCommand", {"command": name, "arguments": list(arguments)})


def names(found: list[dict[str, Any]]) -> list[str]:
    return [each["name"] for each in found]


def test_the_search_command_gives_places_and_lines(client: Client, tree: Path) -> None:
    assert len(search(client, "writeback of a folio", 1)) == 1
    found = next(each for each in search(client, "writeback of a folio") if each["name"] == "folio_wait_writeback")
    assert found["kind"] == "function"
    assert found["location"]["uri"] == (tree / "mm/writeback.c").as_uri()
    assert found["location"]["range"]["start"] == {"line": 1, "character": len("void ")}
    assert found["lines"] == [{"line": 3, "text": "wait_on_bit(folio);"}]
    narrowed = {each["path"] for each in search(client, "table path:mm")}
    assert narrowed <= {"mm/probe.c", "mm/writeback.c"}
    assert "mm/probe.c" in narrowed


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("kexpert.search", []), ("kexpert.search", [7]), ("kexpert.findSimilar", ["x"]), ("kexpert.rm", ["/"])],
)
def test_a_command_with_other_arguments_is_refused(client: Client, name: str, arguments: list[Any]) -> None:
    with pytest.raises(RequestFailed):
        command(client, name, *arguments)


def test_workspace_symbols_answer_a_question(client: Client) -> None:
    found = client.request("workspace/symbol", {"query": "sleep until flush"})
    assert "folio_wait_writeback" in names(found)
    assert names(client.request("workspace/symbol", {"query": "probe_list"}))[0] == "probe_list"


def test_similar_code_is_offered_for_a_selection_and_found(client: Client, tree: Path) -> None:
    uri = (tree / "mm/probe.c").as_uri()
    client.open(uri, PROBE)
    place = {"start": {"line": 0, "character": 0}, "end": {"line": 5, "character": 0}}
    asked = {"textDocument": {"uri": uri}, "context": {"diagnostics": []}}
    (action,) = client.request("textDocument/codeAction", {**asked, "range": place})
    assert action["title"] == "Find similar code"
    found = command(client, action["command"]["command"], *action["command"]["arguments"])
    assert names(found)[0] == "frob_probe"
    empty = {"start": place["start"], "end": place["start"]}
    assert client.request("textDocument/codeAction", {**asked, "range": empty}) == []
    other = {**asked, "range": place, "context": {"diagnostics": [], "only": ["quickfix"]}}
    assert client.request("textDocument/codeAction", other) == []
    at_cursor = {"start": {"line": 2, "character": 3}, "end": {"line": 2, "character": 3}}
    assert names(command(client, "kexpert.findSimilar", uri, at_cursor))[0] == "frob_probe"


def test_a_hover_names_similar_code(client: Client, tree: Path) -> None:
    uri = (tree / "mm/probe.c").as_uri()
    client.open(uri, PROBE)
    where = {"textDocument": {"uri": uri}, "position": {"line": 0, "character": 6}}

    def seen() -> bool:
        return (
            "See also `frob_probe` in `drivers/frob.c:1`"
            in client.request("textDocument/hover", where)["contents"]["value"]
        )

    eventually(seen, seconds=5)  # a hover does not wait long for it


def test_a_saved_file_is_found(client: Client, tree: Path) -> None:
    path = tree / "drivers/new.c"
    path.write_text("int omega_copy(int zeta)\n{\n\treturn copy_thing(zeta);\n}\n")
    client.notify("workspace/didChangeWatchedFiles", {"changes": [{"uri": path.as_uri(), "type": 1}]})
    eventually(lambda: "omega_copy" in names(search(client, "copy omega zeta")), seconds=5)
    path.unlink()
    client.notify("workspace/didChangeWatchedFiles", {"changes": [{"uri": path.as_uri(), "type": 3}]})
    eventually(lambda: "omega_copy" not in names(search(client, "copy omega zeta")), seconds=5)


def test_without_a_tree_nothing_is_found() -> None:
    with Client() as client:
        client.initialize()
        assert search(client, "anything at all") == []
        assert client.request("workspace/symbol", {"query": "two words"}) == []
