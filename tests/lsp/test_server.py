"""The real server over stdin and stdout, as an editor meets it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kexpert.lsp.handshake import choose_encoding
from tests.support.fixture_text import cursor, position_after
from tests.support.lsp_client import Client, RequestFailed, frame, framed, read_body
from tests.support.toy_tree import TOY_FILES, home_environment, make_toy_tree
from tests.support.waiting import eventually

CORE, USER = TOY_FILES["drivers/toy/core.c"], TOY_FILES["drivers/toy/user.c"]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_toy_tree(tmp_path / "linux")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return home_environment(tmp_path)


@pytest.fixture
def client(environment: dict[str, str]) -> Iterator[Client]:
    with Client(env=environment) as client:
        yield client


@pytest.fixture(scope="module")
def running() -> Iterator[Client]:
    """A server without a tree, for tests that leave it as it was."""
    with Client() as client:
        client.initialize()
        yield client


# The life of a connection


def test_shutdown_and_exit_end_the_server_with_code_0(client: Client) -> None:
    client.initialize()
    assert client.leave() == 0


def test_exit_without_shutdown_is_an_error(client: Client) -> None:
    client.initialize()
    client.notify("exit")
    assert client.exit_code() == 1


def test_exit_before_initialize_is_an_error(client: Client) -> None:
    client.notify("exit")
    assert client.exit_code() == 1


def test_requests_before_initialize_are_refused(client: Client) -> None:
    client.open("file:///a.c", "int a;")
    with pytest.raises(RequestFailed) as refused:
        client.request("textDocument/hover", {})
    assert refused.value.code == -32002
    client.initialize()


def test_requests_after_shutdown_are_refused(client: Client) -> None:
    client.initialize()
    client.request("shutdown")
    with pytest.raises(RequestFailed) as refused:
        client.request("workspace/symbol", {"query": "x"})
    assert refused.value.code == -32600
    client.notify("exit")
    assert client.exit_code() == 0


def test_a_second_initialize_is_refused(client: Client) -> None:
    client.initialize()
    with pytest.raises(RequestFailed) as refused:
        client.request("initialize", {"capabilities": {}})
    assert refused.value.code == -32600


def test_capabilities_are_those_of_the_protocol(client: Client) -> None:
    from lsprotocol import types
    from lsprotocol.converters import get_converter

    announced = client.initialize()
    converter = get_converter()
    structured = converter.structure(announced, types.ServerCapabilities)
    assert json.loads(json.dumps(converter.unstructure(structured))) == announced


# Files outside the tree


def test_a_file_outside_the_tree_is_answered_and_so_is_the_tree_afterwards(
    tree: Path, tmp_path: Path, client: Client
) -> None:
    client.initialize(tree)
    module = tmp_path / "module" / "hello.c"
    module.parent.mkdir()
    text, position = cursor("static int he/*|*/llo(void)\n{\n\treturn 0;\n}\n")
    module.write_text(text)
    client.open(module.as_uri(), text)
    for _ in range(3):  # more often than there are threads for quick requests
        card = client.at("hover", module.as_uri(), position)
        assert "static int hello(void)" in card["contents"]["value"]
    inside = (tree / "drivers/toy/core.c").as_uri()
    text, position = cursor(CORE.replace("int toy_wind", "int toy/*|*/_wind"))
    client.open(inside, text)
    assert "toy_wind" in client.at("hover", inside, position)["contents"]["value"]


# Nonsense


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"method": "textDocument/hover", "params": {"position": "here"}}, -32602),
        ({"method": "textDocument/hover"}, -32602),
        ({"method": "textDocument/hover", "params": [1, 2]}, -32602),
        ({"method": "no/such/method", "params": {}}, -32601),
        ({"method": 7}, -32600),
        ({"method": "callHierarchy/incomingCalls", "params": {"item": {"data": [1]}}}, -32602),
    ],
)
def test_a_nonsense_request_is_answered_and_the_server_lives(running: Client, message: Any, code: int) -> None:
    running.send_raw(framed(json.dumps({**message, "id": "nonsense"}).encode()))
    with pytest.raises(RequestFailed) as refused:
        running.wait("nonsense")
    assert refused.value.code == code
    assert running.request("workspace/symbol", {"query": ""}) == []


@pytest.mark.parametrize(
    "raw",
    [
        b"Content-Length: -5\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        framed(b"{{{{"),
        framed(b"[]"),
        framed(b"null"),
        framed(b'{"jsonrpc": "2.0", "method": "$/foo"}'),
        framed(b'{"jsonrpc": "2.0", "id": [], "result": 1}'),
        framed(b'{"jsonrpc": "2.0", "id": "unknown", "result": 1}'),
        framed(b'{"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": [1, 2]}'),
        framed(b'{"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {}}'),
    ],
)
def test_the_server_survives_nonsense_on_the_wire(running: Client, raw: bytes) -> None:
    running.send_raw(raw)
    assert running.request("workspace/symbol", {"query": ""}) == []


@pytest.mark.parametrize("uri", ["untitled:Untitled-1", "nonsense", "file:///no/such/dir/a.c", "http://x/y.c", ""])
def test_documents_with_any_uri_have_an_outline(running: Client, uri: str) -> None:
    running.open(uri, "struct foo {\n\tint a;\n};\n")
    (found,) = running.request("textDocument/documentSymbol", {"textDocument": {"uri": uri}})
    assert (found["name"], [child["name"] for child in found["children"]]) == ("foo", ["a"])


def test_positions_past_the_end_mean_the_end(running: Client) -> None:
    uri = "untitled:far"
    running.open(uri, "int a;\n")
    far = {"line": 2**31 - 1, "character": 2**31 - 1}
    for method in ("hover", "definition", "completion", "signatureHelp", "documentHighlight", "prepareCallHierarchy"):
        running.at(method, uri, far)
    running.request("textDocument/selectionRange", {"textDocument": {"uri": uri}, "positions": [far]})
    running.change(uri, {"range": {"start": far, "end": far}, "text": "int b;\n"})
    found = running.request("textDocument/documentSymbol", {"textDocument": {"uri": uri}})
    assert [symbol["name"] for symbol in found] == ["a", "b"]


def test_a_document_that_was_never_opened_and_is_no_file_has_no_answers(running: Client) -> None:
    assert running.at("hover", "file:///no/such/file.c", {"line": 0, "character": 0}) is None
    assert running.request("textDocument/documentSymbol", {"textDocument": {"uri": "file:///no/such/file.c"}}) is None


# Positions


@pytest.mark.parametrize(
    ("offered", "chosen", "unit"),
    [
        (["utf-16", "utf-8"], "utf-8", "utf-8"),
        (["utf-32", "utf-16"], "utf-32", "utf-32-le"),
        (["utf-16"], "utf-16", "utf-16-le"),
    ],
)
def test_positions_are_right_in_every_encoding(client: Client, offered: list[str], chosen: str, unit: str) -> None:
    assert client.initialize(encodings=offered)["positionEncoding"] == chosen
    width = {"utf-8": 1, "utf-16-le": 2, "utf-32-le": 4}[unit]
    before = '/* "🐧é" */ '
    # A form feed, and both kinds of line end before the place.
    client.open("untitled:x", f"/* a\f\r\n */\r\n{before}int penguin;\n")
    (found,) = client.request("textDocument/documentSymbol", {"textDocument": {"uri": "untitled:x"}})
    start = len((before + "int ").encode(unit)) // width
    assert found["selectionRange"] == {
        "start": {"line": 2, "character": start},
        "end": {"line": 2, "character": start + len("penguin")},
    }
    at_name = {"line": 2, "character": start}
    client.change("untitled:x", {"range": {"start": at_name, "end": at_name}, "text": "big_"})
    (found,) = client.request("textDocument/documentSymbol", {"textDocument": {"uri": "untitled:x"}})
    assert found["name"] == "big_penguin"


@pytest.mark.parametrize("offered", [None, [], ["klingon"], "utf-8", {"utf-8": 1}, [["utf-8"]], [None]])
def test_a_client_that_offers_nothing_known_counts_in_utf16(offered: object) -> None:
    assert choose_encoding({"capabilities": {"general": {"positionEncodings": offered}}}) == "utf-16"


def test_bytes_that_are_not_utf8_count_as_one_column(client: Client) -> None:
    client.initialize(encodings=["utf-8"])
    body = (
        b'{"jsonrpc":"2.0","method":"textDocument/didOpen","params":{"textDocument":'
        b'{"uri":"untitled:x","languageId":"c","version":1,"text":"/* J\xf6rg */ int a;"}}}'
    )
    client.send_raw(framed(body))
    (found,) = client.request("textDocument/documentSymbol", {"textDocument": {"uri": "untitled:x"}})
    assert found["selectionRange"]["start"]["character"] == len(b"/* J\xf6rg */ int ")


# A tree


def test_definition_jumps_to_another_file(client: Client, tree: Path) -> None:
    client.initialize(tree)
    text, here = cursor(USER.replace("toy_wind", "toy/*|*/_wind", 1))
    uri = (tree / "drivers/toy/user.c").as_uri()
    client.open(uri, text)
    found = eventually(lambda: client.at("definition", uri, here), bool)
    assert found[0]["uri"] == (tree / "drivers/toy/core.c").as_uri()
    assert found[0]["range"]["start"] == position_after(CORE.partition("toy_wind(struct")[0])


def test_references_cover_the_tree(client: Client, tree: Path) -> None:
    client.initialize(tree)
    text, here = cursor(USER.replace("toy_wind", "toy/*|*/_wind", 1))
    uri = (tree / "drivers/toy/user.c").as_uri()
    client.open(uri, text)
    context = {"includeDeclaration": True}
    found = eventually(
        lambda: client.at("references", uri, here, context=context), lambda found: found and len(found) == 6
    )
    assert {place["uri"].rpartition("/")[2] for place in found} == {"user.c", "core.c", "toy.h"}


def test_a_function_typed_a_moment_ago_completes_and_hovers(client: Client, tree: Path) -> None:
    client.initialize(tree)
    written, other = (tree / "drivers/toy/core.c").as_uri(), (tree / "drivers/toy/user.c").as_uri()
    client.open(written, CORE)
    end = position_after(CORE)
    client.change(
        written,
        {
            "range": {"start": end, "end": end},
            "text": "\nint toy_unwind(struct toy *toy)\n{\n\treturn 0;\n}\n",
        },
    )
    text, here = cursor(USER.replace("toy_wind(toy, turns * 2)", "toy_unw/*|*/"))
    client.open(other, text)
    completed = client.at("completion", other, here)
    assert "toy_unwind" in [item["label"] for item in completed["items"]]
    client.change(other, {"text": text.replace("toy_unw", "toy_unwind(toy)")})
    hover = client.at("hover", other, here)
    assert "int toy_unwind(struct toy *toy)" in hover["contents"]["value"]


def test_completion_brings_the_card_when_resolved(client: Client, tree: Path) -> None:
    client.initialize(tree)
    text, here = cursor(USER.replace("toy_wind(toy, turns * 2)", "toy_wi/*|*/"))
    uri = (tree / "drivers/toy/user.c").as_uri()
    client.open(uri, text)

    def complete() -> Any:
        return client.at("completion", uri, here)["items"]

    items = eventually(complete, lambda items: any(item["label"] == "toy_wind" for item in items))
    item = next(item for item in items if item["label"] == "toy_wind")
    resolved = client.request("completionItem/resolve", item)
    assert "toy_wind" in resolved["documentation"]["value"]


def test_call_hierarchy_both_ways(client: Client, tree: Path) -> None:
    client.initialize(tree)
    text, here = cursor(USER.replace("int car_play", "int car_/*|*/play"))
    uri = (tree / "drivers/toy/user.c").as_uri()
    client.open(uri, text)
    (item,) = client.at("prepareCallHierarchy", uri, here)
    (call,) = eventually(lambda: client.request("callHierarchy/outgoingCalls", {"item": item}), bool)
    assert call["to"]["name"] == "toy_wind"
    line = position_after(USER.partition("toy_wind(car")[0])["line"]
    assert [span["start"]["line"] for span in call["fromRanges"]] == [line, line]
    callers = eventually(lambda: client.request("callHierarchy/incomingCalls", {"item": call["to"]}), bool)
    assert sorted(caller["from"]["name"] for caller in callers) == ["car_play", "car_wind"]


def test_a_saved_edit_is_seen_by_other_files(client: Client, tree: Path) -> None:
    client.initialize(tree)
    header = tree / "include/linux/toy.h"
    uri = (tree / "drivers/toy/user.c").as_uri()
    text, here = cursor(USER.replace("toy_wind", "toy/*|*/_new", 1))
    client.open(uri, text)
    header.write_text(header.read_text() + "int toy_new(struct toy *toy);\n")
    client.notify("textDocument/didSave", {"textDocument": {"uri": header.as_uri()}})
    found = eventually(lambda: client.at("definition", uri, here), bool)
    assert found[0]["uri"] == header.as_uri()


def test_the_tree_is_found_from_the_first_file(client: Client, tree: Path) -> None:
    client.initialize(None)
    uri = (tree / "drivers/toy/user.c").as_uri()
    text, here = cursor(USER.replace("toy_wind", "toy/*|*/_wind", 1))
    client.open(uri, text)
    found = eventually(lambda: client.at("definition", uri, here), bool)
    assert found[0]["uri"].endswith("drivers/toy/core.c")


def test_a_missing_tree_is_shown_once_and_open_files_still_have_answers(client: Client, tmp_path: Path) -> None:
    client.initialize(tmp_path)
    for name in ("a.c", "b.c"):
        client.open((tmp_path / name).as_uri(), "static int one(void)\n{\n\treturn 1;\n}\nint two = 2;\n")
    assert "no kernel tree" in client.wait_for("window/showMessage")["message"]
    found = client.at("documentHighlight", (tmp_path / "a.c").as_uri(), {"line": 0, "character": 12})
    assert found
    assert not [message for method, message in client.notifications if method == "window/showMessage"]


def test_indexing_shows_its_progress_and_ends_it(client: Client, tree: Path) -> None:
    for number in range(200):
        (tree / f"drivers/toy/many{number}.c").write_text(f"int many_{number}(void)\n{{\n\treturn 0;\n}}\n")
    client.initialize(tree)
    token = client.wait_for_request("window/workDoneProgress/create")["token"]
    begin = client.wait_for("$/progress")
    assert begin["token"] == token
    assert begin["value"]["kind"] == "begin"
    assert begin["value"]["cancellable"]
    client.wait_for("$/progress", lambda params: params["token"] == token and params["value"]["kind"] == "end")


def test_the_client_is_asked_to_watch_files(client: Client, tree: Path) -> None:
    client.initialize(tree)
    (registration,) = client.wait_for_request("client/registerCapability")["registrations"]
    assert registration["method"] == "workspace/didChangeWatchedFiles"


# Settings


def test_bad_options_are_named_and_the_server_works(client: Client, tree: Path) -> None:
    (tree / ".kexpert.toml").write_text("[index]\nspeed = 11\n")
    client.initialize(tree, options={"completion": {"limit": "lots"}})
    said = {client.wait_for("window/showMessage")["message"] for _ in range(2)}
    assert any("completion.limit" in message for message in said)
    assert any("index.speed" in message for message in said)
    assert client.leave() == 0


def test_settings_are_asked_of_the_client(environment: dict[str, str], tree: Path) -> None:
    answers = {"workspace/configuration": lambda params: [{"log": {"level": "whisper"}}]}
    with Client(env=environment, answers=answers) as client:
        client.initialize(tree, workspace={"configuration": True})
        assert "log.level" in client.wait_for("window/showMessage")["message"]


# Over a socket


def test_an_address_that_other_machines_reach_is_refused() -> None:
    command = "import sys; from kexpert.lsp.server import serve; sys.exit(serve(('0.0.0.0', 0)))"
    refused = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "0.0.0.0" in refused.stderr


def test_the_server_speaks_over_a_socket() -> None:
    command = "import sys; from kexpert.lsp.server import serve; sys.exit(serve(('127.0.0.1', 0)))"
    with subprocess.Popen([sys.executable, "-c", command], stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        port = int(server.stderr.readline().rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile("rwb") as stream:
            for number, method in enumerate(["initialize", "shutdown"]):
                params = {"capabilities": {}} if method == "initialize" else None
                stream.write(frame({"jsonrpc": "2.0", "id": number, "method": method, "params": params}))
                stream.flush()
                assert json.loads(read_body(stream) or b"{}")["id"] == number
            stream.write(frame({"jsonrpc": "2.0", "method": "exit"}))
            stream.flush()
            assert server.wait(10) == 0
