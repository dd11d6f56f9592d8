"""No request hangs, whatever file it names, and a server ends with its client, whatever its threads do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import kexpert.lsp.requests  # noqa: F401
from kexpert.lsp.request import HANDLERS
from tests.support.lsp_client import Client, RequestFailed, frame, read_body
from tests.support.toy_tree import TOY_FILES, home_environment, make_toy_tree, write_tree

TEXT = TOY_FILES["drivers/toy/core.c"]
_END_SECONDS = 30

STUCK_SERVER = """
import sys
from kexpert.lsp.request import answers
import kexpert.lsp.requests

@answers("textDocument/hover")
def hover(request):
    while True:
        pass

from kexpert.lsp.server import serve
sys.exit(serve())
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("limits")
    tree = make_toy_tree(folder / "linux")
    write_tree(folder / "other", {"drivers/toy/core.c": TEXT})
    (folder / "module.c").write_text(TEXT)
    with Client(env=home_environment(folder)) as client:
        client.initialize(tree)
        yield client


@pytest.mark.parametrize("place", ["../module.c", "../other/drivers/toy/core.c", "untitled:toy.c", "../no/such/file.c"])
def test_every_question_about_a_file_is_answered(client: Client, place: str) -> None:
    """A file in no tree, one of a second tree, a buffer without a path, one that is not there."""
    uri = place if place.startswith("untitled:") else client.uri(place)
    if not place.startswith("../no"):
        client.open(uri, TEXT)
    start = {"line": 12, "character": 6}
    span = {"start": start, "end": {"line": 14, "character": 0}}
    item = {"name": "toy", "kind": 12, "uri": uri, "range": span, "selectionRange": span, "data": []}
    params = {
        "textDocument": {"uri": uri}, "position": start, "positions": [start], "range": span, "item": item,
        "context": {"includeDeclaration": True, "diagnostics": [], "triggerKind": 1}, "query": "toy", "newName": "toy2",
        "label": "toy", "command": "kexpert.findSimilar", "arguments": [uri, span], "previousResultId": "0",
        "options": {"tabSize": 8, "insertSpaces": False},
    }  # fmt: skip
    asked = {method: client.send(method, params) for method in HANDLERS}
    given_up = {method for method, request_id in asked.items() if "no answer within" in refusal(client, request_id)}
    assert not given_up


def refusal(client: Client, request_id: int) -> str:
    """Why a request was refused; "" if it was answered."""
    try:
        client.wait(request_id)
    except RequestFailed as refused:
        return str(refused)
    return ""


def test_a_thread_that_never_ends_does_not_keep_the_server(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", STUCK_SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env=home_environment(tmp_path),
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    initialize = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"capabilities": {}}}
    hover = {"textDocument": {"uri": "untitled:x"}, "position": {"line": 0, "character": 0}}
    process.stdin.write(frame(initialize))
    process.stdin.flush()
    assert read_body(process.stdout)
    process.stdin.write(frame({"jsonrpc": "2.0", "id": 2, "method": "textDocument/hover", "params": hover}))
    process.stdin.close()
    assert process.wait(_END_SECONDS) is not None
