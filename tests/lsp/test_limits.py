"""No request hangs, whatever file it names, and a server ends with its client, whatever its threads do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import kexpert.lsp.requests  # noqa: F401
from kexpert.lsp.request import HANDLERS
from tests.support.lsp_client import Client, RequestFailed, frame, read_body
from tests.support.toy_tree import TOY_FILES, home_environment, make_toy_tree, write_tree
from tests.support.waiting import eventually

TEXT = TOY_FILES["drivers/toy/core.c"]
_END_SECONDS = 60
NO_CAPABILITIES: dict[str, Any] = {"capabilities": {}}

STUCK_SERVER = """
import re, sys
from kexpert.lsp import scheduler
from kexpert.lsp.request import answers
import kexpert.lsp.requests

scheduler._MAX_STUCK_CPU_SECONDS = 3.0

@answers("textDocument/hover")
def hover(request):
    open("began", "w").close()
    HANG

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


@pytest.mark.parametrize("stuck", ["while True: pass", "re.match('(a+)+b', 60 * 'a')"], ids=["thread", "interpreter"])
def test_what_never_ends_does_not_keep_the_server(tmp_path: Path, stuck: str) -> None:
    """A thread that never ends; a C function that never ends and lets no other thread run."""
    with subprocess.Popen(
        [sys.executable, "-c", STUCK_SERVER.replace("HANG", stuck)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env={**os.environ, **home_environment(tmp_path)}, cwd=tmp_path,
    ) as process:  # fmt: skip
        try:
            assert process.stdin is not None and process.stdout is not None and process.stderr is not None
            process.stdin.write(frame({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": NO_CAPABILITIES}))
            process.stdin.flush()
            assert read_body(process.stdout)
            hover = {"textDocument": {"uri": "untitled:x"}, "position": {"line": 0, "character": 0}}
            process.stdin.write(frame({"jsonrpc": "2.0", "id": 2, "method": "textDocument/hover", "params": hover}))
            process.stdin.flush()
            assert eventually((tmp_path / "began").exists)
            process.stdin.close()
            process.wait(_END_SECONDS)
            said = process.stderr.read()
        finally:
            process.kill()
    if stuck.startswith("re."):
        assert b"in hover" in said, "it does not say where it hung"


SLOW_SERVER = """
import sys, threading
from kexpert.lsp import scheduler
from kexpert.lsp.request import answers
import kexpert.lsp.requests

scheduler.Scheduler.__init__.__defaults__ = (0.5,)

@answers("textDocument/hover")
def hover(request):
    if request.params.position.line:
        return None
    threading.Event().wait()

from kexpert.lsp.server import serve
sys.exit(serve())
"""


def test_a_request_that_takes_too_long_is_refused_and_named_in_the_log(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with Client([sys.executable, "-c", SLOW_SERVER], env=home_environment(tmp_path)) as client:
        client.initialize()
        for _ in range(5):  # more than there are threads
            with pytest.raises(RequestFailed, match=r"no answer within 0\.5 s"):
                client.at("hover", "untitled:x", {"line": 0, "character": 0})
        assert client.at("hover", "untitled:x", {"line": 1, "character": 0}) is None
        assert client.leave() == 0
    assert "textDocument/hover: no answer within" in capfd.readouterr().err
