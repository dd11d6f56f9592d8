"""A small Language Server Protocol client over stdio, enough to time a server and to show its answers."""

from __future__ import annotations

import itertools
import json
import os
import queue
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Self

JSON = Any


class ServerError(Exception):
    """The server answered with an error, or not at all."""


class Client:
    """One server process. Requests wait for their answers; what the server asks is answered with nothing.

    Positions are in UTF-8 columns, which any of the servers measured here agrees to.
    """

    def __init__(self, command: Sequence[str], root: Path, env: dict[str, str] | None = None) -> None:
        self.root = root
        self.server_info: JSON = None
        self.arrived = 0.0  # when the last byte of the last answer was read (time.perf_counter)
        self._ids = itertools.count(1)
        self._answers: queue.Queue[JSON] = queue.Queue()
        self._write_lock = threading.Lock()
        self._process = subprocess.Popen(
            command, cwd=root, env=os.environ | (env or {}), start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.request("shutdown", None, timeout=10)
            self.notify("exit", None)
            self._process.wait(10)
        except (ServerError, OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()

    def initialize(self, options: JSON = None) -> JSON:
        result = self.request(
            "initialize",
            {
                "processId": os.getpid(),
                "rootUri": self.root.as_uri(),
                "workspaceFolders": [{"uri": self.root.as_uri(), "name": self.root.name}],
                "initializationOptions": options,
                "capabilities": {
                    "general": {"positionEncodings": ["utf-8"]},
                    "textDocument": {
                        "hover": {"contentFormat": ["markdown"]},
                        "definition": {"linkSupport": False},
                        "completion": {"completionItem": {"documentationFormat": ["markdown"]}},
                    },
                },
            },
        )
        self.notify("initialized", {})
        return result

    def open(self, path: str, text: bytes | None = None) -> None:
        data = (self.root / path).read_bytes() if text is None else text
        item = {"uri": self.uri(path), "languageId": "c", "version": 1, "text": data.decode("utf-8", "replace")}
        self.notify("textDocument/didOpen", {"textDocument": item})

    def close(self, path: str) -> None:
        self.notify("textDocument/didClose", {"textDocument": {"uri": self.uri(path)}})

    def at(self, method: str, path: str, line: int, column: int, **more: JSON) -> JSON:
        """A request about a position: 0-based line, UTF-8 column."""
        where = {"textDocument": {"uri": self.uri(path)}, "position": {"line": line, "character": column}}
        return self.request(f"textDocument/{method}", where | more)

    def uri(self, path: str) -> str:
        return (self.root / path).as_uri()

    def request(self, method: str, params: JSON, timeout: float = 120) -> JSON:
        number = next(self._ids)
        self._write({"id": number, "method": method, "params": params})
        while True:
            try:
                found = self._answers.get(timeout=timeout)
            except queue.Empty:
                raise ServerError(f"{method}: no answer in {timeout} s") from None
            if found is None:
                raise ServerError(f"{method}: the server is gone (exit code {self._process.wait()})")
            answer, self.arrived = found
            if answer["id"] == number:
                if "error" in answer:
                    raise ServerError(f"{method}: {answer['error'].get('message')}")
                return answer.get("result")

    def notify(self, method: str, params: JSON) -> None:
        self._write({"method": method, "params": params})

    def _write(self, message: JSON) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin
        with self._write_lock:
            self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
            self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout
        while (body := read_body(self._process.stdout)) is not None:
            arrived = time.perf_counter()
            message = json.loads(body)
            if "method" not in message:
                self._answers.put((message, arrived))
            elif "id" in message:
                asked = message["method"] == "workspace/configuration"
                nothing = [None] * len(message["params"]["items"]) if asked else None
                self._write({"id": message["id"], "result": nothing})
        self._answers.put(None)


def read_body(stream: IO[bytes]) -> bytes | None:
    """The next message's JSON; None at the end of the stream."""
    length = 0
    while (header := stream.readline()) not in (b"\r\n", b""):
        name, _, value = header.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    body = stream.read(length)
    return body if length and len(body) == length else None
