"""What an editor draws, over stdio: what is offered, deltas of colours, the configuration that changes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kexpert.background.progress import Progress
from kexpert.lsp.client_log import Rate, described
from kexpert.lsp.handshake import Client as Announced
from kexpert.lsp.handshake import initialize_result
from kexpert.lsp.requests.semantic_tokens import edits
from kexpert.lsp.server_status import ServerStatus
from tests.support.lsp_client import CAPABILITIES, Client, RequestFailed
from tests.support.toy_tree import home_environment, make_toy_tree, write_tree
from tests.support.waiting import eventually

DRAWS: dict[str, Any] = {
    "semanticTokens": {}, "inlayHint": {}, "codeLens": {}, "documentLink": {}, "typeHierarchy": {},
    "inactiveRegionsCapabilities": {"inactiveRegions": True},
}  # fmt: skip
FILE = "drivers/lamp.c"
TEXT = """\
static int lamp_on(int level)
{
	return level;
}
#ifdef CONFIG_LAMP
int lamp_more;
#endif
int lamp_use(void)
{
	return lamp_on(3);
}
"""


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    tree = write_tree(tmp_path / "linux", {FILE: TEXT})
    with Client(env=home_environment(tmp_path)) as client:
        client.initialize(
            tree,
            textDocument={**CAPABILITIES["textDocument"], **DRAWS},
            workspace={"semanticTokens": {"refreshSupport": True}},
        )
        yield client


def apply(before: list[int], changes: list[dict[str, Any]]) -> list[int]:
    for change in sorted(changes, key=lambda each: -each["start"]):
        before = [*before[: change["start"]], *change["data"], *before[change["start"] + change["deleteCount"] :]]
    return before


def test_only_what_a_client_draws_is_offered() -> None:
    plain = initialize_result(Announced({}, "utf-16"))["capabilities"]
    drawing = initialize_result(Announced({"capabilities": {"textDocument": DRAWS}}, "utf-16"))["capabilities"]
    assert drawing.keys() - plain.keys() == {
        "semanticTokensProvider", "inlayHintProvider", "codeLensProvider", "documentLinkProvider",
        "typeHierarchyProvider", "inactiveRegionsProvider",
    }  # fmt: skip


def test_an_edit_sends_only_what_changed(client: Client) -> None:
    uri = client.open_file(FILE)
    document = {"textDocument": {"uri": uri}}
    first = client.request("textDocument/semanticTokens/full", document)
    start = {"line": 2, "character": 8}
    client.change(uri, {"range": {"start": start, "end": start}, "text": "1 + "})
    asked = {**document, "previousResultId": first["resultId"]}
    delta = client.request("textDocument/semanticTokens/full/delta", asked)
    now = client.request("textDocument/semanticTokens/full", document)
    assert apply(first["data"], delta["edits"]) == now["data"]
    assert now["data"] != first["data"]
    assert sum(len(edit["data"]) for edit in delta["edits"]) < len(now["data"]) // 2
    unknown = client.request("textDocument/semanticTokens/full/delta", {**document, "previousResultId": "x"})
    assert unknown["data"] == now["data"]


def test_equal_answers_need_no_edit() -> None:
    assert edits([1, 2, 3], [1, 2, 3]) == []
    assert apply([1, 2, 3], edits([1, 2, 3], [1, 9, 8, 3])) == [1, 9, 8, 3]
    assert apply([], edits([], [1])) == [1]


def test_dimmed_branches_follow_the_configuration(client: Client) -> None:
    uri = client.open_file(FILE)
    assert client.wait_for("textDocument/inactiveRegions")["regions"] == []
    (client.root / ".config").write_text("# CONFIG_LAMP is not set\n")
    change = {"changes": [{"uri": client.uri(".config"), "type": 1}]}
    client.notify("workspace/didChangeWatchedFiles", change)
    sent = client.wait_for("textDocument/inactiveRegions")
    assert sent["textDocument"]["uri"] == uri
    assert sent["regions"] == [{"start": {"line": 5, "character": 0}, "end": {"line": 5, "character": 14}}]


def test_hints_and_lenses_are_off_by_default(client: Client) -> None:
    document = {"textDocument": {"uri": client.open_file(FILE)}}
    whole = {"start": {"line": 0, "character": 0}, "end": {"line": 99, "character": 0}}
    assert client.request("textDocument/inlayHint", {**document, "range": whole}) == []
    assert client.request("textDocument/codeLens", document) == []


def test_hostile_lenses_and_items_are_answered(client: Client) -> None:
    span = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 1}}
    for data in (None, [], ["x"], ["u", {"line": 1, "character": 1}, "callers", ["f", 1]], {"a": [1]}):
        assert "command" not in client.request("codeLens/resolve", {"range": span, "data": data})
        item = {"name": "x", "kind": 23, "uri": "file:///x", "range": span, "selectionRange": span, "data": data}
        assert client.request("typeHierarchy/subtypes", {"item": item}) is None


def test_progress_says_how_much_and_how_long() -> None:
    rate = Rate()
    assert rate.seconds_left(Progress("Indexing", 1000, 5000), 10.0) is None
    left = rate.seconds_left(Progress("Indexing", 2000, 5000), 20.0)
    assert left == 30.0
    assert described(Progress("Indexing", 2000, 5000), left) == "2,000 of 5,000 files, 30 s left"
    assert described(Progress("Indexing", 2000, 50000), 300.0) == "2,000 of 50,000 files, 5 min left"
    assert rate.seconds_left(Progress("Ordering", 0, 10), 21.0) is None


def test_the_server_is_ready_when_the_last_of_several_works_ends() -> None:
    """Names and search are read at the same time, in several trees: whoever searches meanwhile must see that."""

    class Told(list[tuple[str, Any]]):
        def notify(self, method: str, params: Any) -> None:
            self.append((params["message"], params["quiescent"]))

    announced = {"capabilities": {"experimental": {"serverStatusNotification": True}}}
    told = Told()
    status = ServerStatus(Announced(announced, "utf-16"), told)  # type: ignore[arg-type]
    status.progress("linux", Progress("Indexing for search", 0, 0))
    status.progress("linux", Progress("Noting common names", 3, 9))
    status.progress("stable", Progress("Noting common names", 5, 9))
    status.progress("linux", Progress("Noting common names", 9, 9, finished=True))
    assert told[-1] == ("Indexing for search", False)
    status.progress("linux", Progress("Indexing for search", 9, 9, finished=True))
    assert told[-1] == ("Noting common names: 55 %, 5 of 9 files", False)
    status.progress("stable", Progress("Noting common names", 9, 9, finished=True))
    assert told[-1] == ("", True)
    status.progress("stable", Progress("Indexing", 0, 9))
    status.keep_only(["linux"])
    assert told[-1] == ("", True), "a tree was closed while it was read"


def test_what_is_typed_never_changes_elsewhere_at_once() -> None:
    """Linked editing is off: a name in C may be another thing a line further on."""
    asked = {"capabilities": {"textDocument": {**DRAWS, "linkedEditingRange": {"dynamicRegistration": True}}}}
    assert "linkedEditingRangeProvider" not in initialize_result(Announced(asked, "utf-16"))["capabilities"]


def test_navigation_can_be_left_to_another_server() -> None:
    """clangd answers jumps; cards, search and suggestions stay, and nothing is answered twice."""
    drawing = {"capabilities": {"textDocument": DRAWS}}
    for options in ({"navigation": {"enabled": False}}, {"navigation.enabled": False}):
        left = initialize_result(Announced({**drawing, "initializationOptions": options}, "utf-16"))["capabilities"]
        for gone in ("definition", "completion", "semanticTokens", "workspaceSymbol", "callHierarchy", "typeHierarchy",
                     "inactiveRegions"):  # fmt: skip
            assert f"{gone}Provider" not in left
        assert {"hoverProvider", "executeCommandProvider", "inlineCompletionProvider",
                "codeActionProvider"} <= left.keys()  # fmt: skip


def test_the_state_of_the_server_is_told(client: Client, tmp_path: Path) -> None:
    state = client.request("workspace/executeCommand", {"command": "kexpert.status"})
    assert state["tree"] == str(client.root)
    assert state["completionModel"] == "kexpert-2m"
    assert client.request("workspace/executeCommand", {"command": "kexpert.reindex"}) is None
    with Client(env=home_environment(tmp_path)) as other:
        other.initialize(experimental={"serverStatusNotification": True})
        told = other.wait_for("experimental/serverStatus")
        assert (told["health"], told["quiescent"]) == ("warning", True)
        file = client.root / FILE
        document = {"uri": file.as_uri(), "languageId": "c", "version": 1, "text": file.read_text()}
        other.notify("textDocument/didOpen", {"textDocument": document})
        other.wait_for("experimental/serverStatus", lambda state: state["health"] == "ok" and state["quiescent"])


def test_a_search_knows_when_the_tree_is_not_read_yet(tmp_path: Path) -> None:
    """While the server says that it is ready, every function is found."""
    tree = make_toy_tree(tmp_path / "linux")
    with Client(env=home_environment(tmp_path)) as client:
        client.initialize(tree, experimental={"serverStatusNotification": True})
        client.wait_for("experimental/serverStatus", lambda state: state["message"].startswith("Indexing for search"))
        client.wait_for("experimental/serverStatus", lambda state: state["quiescent"])
        search = {"command": "kexpert.search", "arguments": ["wind a toy up"]}
        assert "toy_wind" in [each["name"] for each in client.request("workspace/executeCommand", search)]


def test_a_new_file_is_found_after_a_request_to_look_for_changes(client: Client) -> None:
    (client.root / "drivers/late.c").write_text("int late_comer(void)\n{\n\treturn 7331;\n}\n")
    client.request("workspace/executeCommand", {"command": "kexpert.reindex"})
    eventually(lambda: client.request("workspace/symbol", {"query": "late_comer"}) or None)


def test_grep_gives_places_and_refuses_what_is_no_expression(client: Client) -> None:
    grep = {"command": "kexpert.grep", "arguments": [r"lamp_on\(\d"]}
    found = eventually_found(client, grep)
    assert [(one["name"], one["location"]["range"]["start"]["line"]) for one in found] == [("lamp_use", 9)]
    with pytest.raises(RequestFailed):
        client.request("workspace/executeCommand", {"command": "kexpert.grep", "arguments": ["("]})


def eventually_found(client: Client, command: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []

    def ask() -> bool:
        found[:] = client.request("workspace/executeCommand", command)
        return bool(found)

    eventually(ask)
    return found


def test_the_open_change_is_a_page_with_links(client: Client) -> None:
    git = ["git", "-C", str(client.root), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "a lamp"]):
        subprocess.run([*git, *arguments], check=True)
    (client.root / FILE).write_text(TEXT.replace("return level;", "return level + 1;"))
    command = {"command": "kexpert.diff", "arguments": []}
    page = client.request("workspace/executeCommand", command)["markdown"]
    assert page.startswith("# Changes since HEAD\n")
    assert f"[{FILE}:1]({client.uri(FILE)}#L1): function lamp_on" in page
    with pytest.raises(RequestFailed):
        client.request("workspace/executeCommand", {"command": "kexpert.diff", "arguments": ["no-such-revision"]})
