"""Inline completion as an editor asks for it: through ``kexpert serve``, in a file that was opened a moment ago."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from kexpert_trainer.errors import UserError
from kexpert_trainer.evaluation.eval_holes import Hole

#: Between the opening of the file and the question.
_OPEN_SECONDS = 0.5
_AUTOMATIC = 2


def ask_server(
    tree: Path, model: str, holes: Sequence[Hole], say: Callable[[str], None] = lambda _: None
) -> list[tuple[str, float]]:
    """(the suggestion that is shown, or "", milliseconds) for each hole; the file is opened for it and then closed.

    The first hole is asked twice; its first answer, from a cold start, is dropped.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "kexpert", "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as server:
        session = _Session(server)
        capabilities = {"general": {"positionEncodings": ["utf-8"]}, "textDocument": {"inlineCompletion": {}}}
        options = {"model": {"path": model}} if model else {}
        session.request(
            "initialize",
            {"rootUri": tree.resolve().as_uri(), "capabilities": capabilities, "initializationOptions": options},
        )
        session.notify("initialized", {})
        answers = []
        for at, hole in enumerate([holes[0], *holes]):
            answers.append(_ask(session, (tree.resolve() / hole.path).as_uri(), hole))
            if at % 20 == 0:
                say(f"{at} of {len(holes) + 1} questions answered by the server")
        session.request("shutdown", None)
        session.notify("exit", None)
    return answers[1:]


def _ask(session: _Session, uri: str, hole: Hole) -> tuple[str, float]:
    document = {"uri": uri, "languageId": "c", "version": 1, "text": hole.before + hole.after}
    session.notify("textDocument/didOpen", {"textDocument": document})
    time.sleep(_OPEN_SECONDS)
    line = hole.before.count("\n")
    column = len(hole.before.rpartition("\n")[2].encode())
    question = {
        "textDocument": {"uri": uri}, "position": {"line": line, "character": column},
        "context": {"triggerKind": _AUTOMATIC},
    }  # fmt: skip
    began = time.perf_counter()
    found = session.request("textDocument/inlineCompletion", question)
    milliseconds = (time.perf_counter() - began) * 1000
    session.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
    items = found.get("items", []) if isinstance(found, dict) else found or []
    text = items[0]["insertText"] if items else ""
    return str(text["value"] if isinstance(text, dict) else text), milliseconds if items else math.nan


class _Session:
    """One conversation, a question at a time. What the server asks is answered with null."""

    def __init__(self, server: subprocess.Popen[bytes]) -> None:
        assert server.stdin and server.stdout
        self._in: IO[bytes] = server.stdin
        self._out: IO[bytes] = server.stdout
        self._last = 0

    def request(self, method: str, params: Any) -> Any:
        """The result; None for a refusal. Raises UserError if the server ends."""
        self._last += 1
        self._send({"id": self._last, "method": method, "params": params})
        while True:
            message = self._receive()
            if "method" not in message:
                if message.get("id") == self._last:
                    return message.get("result")
            elif "id" in message:
                self._send({"id": message["id"], "result": None})

    def notify(self, method: str, params: Any) -> None:
        self._send({"method": method, "params": params})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._in.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._in.flush()

    def _receive(self) -> dict[str, Any]:
        length = 0
        while (header := self._out.readline()) not in (b"\r\n", b""):
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        body = self._out.read(length)
        if not body:
            raise UserError("kexpert serve ended before it answered every question; run it by hand to see why")
        found: dict[str, Any] = json.loads(body)
        return found
