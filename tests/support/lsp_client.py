"""A Language Server Protocol client over stdin and stdout, for tests, benchmarks and the demo.

It shares no code with the server, so that a mistake in framing shows.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

#: The server of this Python.
SERVE = (sys.executable, "-m", "kexpert", "serve")

#: Capabilities of a full-featured editor.
CAPABILITIES: dict[str, Any] = {
    "general": {"positionEncodings": ["utf-16"]},
    "window": {"workDoneProgress": True, "showDocument": {"support": True}},
    "workspace": {"configuration": False, "didChangeWatchedFiles": {"dynamicRegistration": True}},
    "textDocument": {
        "hover": {"contentFormat": ["markdown"]},
        "completion": {"completionItem": {"snippetSupport": True, "documentationFormat": ["markdown"]}},
        "documentSymbol": {"hierarchicalDocumentSymbolSupport": True},
        "rename": {"prepareSupport": True},
    },
}

_EXIT_SECONDS = 30  # the server takes seven at most, a busy machine makes them long


class ServerError(Exception):
    """The server refused a request or gave no answer."""


class RequestFailed(ServerError):
    """The server answered with an error; ``code`` is the protocol's number for it."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(error.get("message"))
        self.code: int = error["code"]


class NoAnswer(ServerError):
    """The server ended, or sent nothing within the timeout."""


class Client:
    """One conversation with one server process.

    Requests of the server are answered by ``answers`` (a function for each method), otherwise with null. Leaving the
    context closes the server's stdin and waits for its end. ``last_answer_at`` is the ``time.perf_counter()`` at which
    the last byte of the last response was read.
    """

    def __init__(
        self,
        command: Sequence[str] = SERVE,
        env: Mapping[str, str] | None = None,
        answers: Mapping[str, Callable[[Any], Any]] | None = None,
        timeout: float = 30.0,
        *,
        quiet: bool = False,
    ) -> None:
        """``timeout`` in seconds is for every answer; ``quiet`` drops what the server writes to stderr."""
        self.timeout = timeout
        self.root = Path("/")
        self.last_answer_at = 0.0
        self.notifications: deque[tuple[str, Any]] = deque()
        self.requests: list[tuple[str, Any]] = []
        #: (``time.perf_counter()``, token, value) of each ``$/progress`` that is no work done progress.
        self.parts: list[tuple[float, Any, Any]] = []
        self._answers = {"workspace/configuration": _no_configuration, **(answers or {})}
        self._process = subprocess.Popen(
            list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if quiet else None, env={**os.environ, **(env or {})}, start_new_session=True,
        )  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._out = self._process.stdin
        self._write_lock = threading.Lock()
        self._ids = itertools.count(1)
        self._arrival = threading.Condition()
        self._responses: dict[Any, dict[str, Any]] = {}
        self._progress: set[Any] = set()
        self._ended = False
        threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True).start()

    @property
    def pid(self) -> int:
        """The server's process, which leads a session of its own."""
        return self._process.pid

    @property
    def in_progress(self) -> int:
        """Number of open progress reports of the server."""
        return len(self._progress)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # the server may have ended
            self._out.close()
        try:
            self._process.wait(_EXIT_SECONDS)
        finally:
            self._process.kill()
            self._process.wait()

    # Messages

    def send_raw(self, data: bytes) -> None:
        with self._write_lock:
            self._out.write(data)
            self._out.flush()

    def send(self, method: str, params: Any = None) -> int:
        """Start a request; returns its id."""
        request_id = next(self._ids)
        self._send({"id": request_id, "method": method, "params": params})
        return request_id

    def wait(self, request_id: Any) -> Any:
        """The result of a request that was started. Raises RequestFailed or NoAnswer."""
        with self._arrival:
            self._until(lambda: request_id in self._responses, f"no answer to request {request_id}")
            response = self._responses.pop(request_id)
        if "error" in response:
            raise RequestFailed(response["error"])
        return response["result"]

    def request(self, method: str, params: Any = None) -> Any:
        return self.wait(self.send(method, params))

    def notify(self, method: str, params: Any = None) -> None:
        self._send({"method": method, "params": params})

    def wait_for(self, method: str, wanted: Callable[[Any], bool] = lambda params: True) -> Any:
        """The parameters of the next notification of this kind; those before it are dropped."""

        def matching() -> bool:
            while self.notifications:
                name, params = self.notifications[0]
                if name == method and wanted(params):
                    return True
                self.notifications.popleft()
            return False

        with self._arrival:
            self._until(matching, f"no {method}")
            return self.notifications.popleft()[1]

    def wait_for_request(self, method: str) -> Any:
        """The parameters of a request that the server made."""
        with self._arrival:
            self._until(lambda: any(name == method for name, _ in self.requests), f"no request {method}")
            return next(params for name, params in self.requests if name == method)

    # A session

    def initialize(
        self, root: Path | None = None, *, encodings: Sequence[str] = ("utf-16",), options: Any = None, **extra: Any
    ) -> dict[str, Any]:
        """Shake hands as an editor does; the server's capabilities. ``extra`` replaces parts of the client's."""
        capabilities = {**CAPABILITIES, "general": {"positionEncodings": list(encodings)}, **extra}
        self.root = root or self.root
        result: dict[str, Any] = self.request(
            "initialize",
            {
                "processId": os.getpid(),
                "rootUri": root.as_uri() if root else None,
                "capabilities": capabilities,
                "initializationOptions": options,
            },
        )
        self.notify("initialized", {})
        return result["capabilities"]

    def uri(self, path: str) -> str:
        """The URI of a file, by its path in the tree."""
        return (self.root / path).as_uri()

    def open(self, uri: str, text: str) -> None:
        document = {"uri": uri, "languageId": "c", "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})

    def open_file(self, path: str) -> str:
        """Open a file of the tree with its text on disk; its URI."""
        uri = self.uri(path)
        self.open(uri, (self.root / path).read_bytes().decode("utf-8", "replace"))
        return uri

    def change(self, uri: str, *changes: dict[str, Any]) -> None:
        self.notify(
            "textDocument/didChange",
            {"textDocument": {"uri": uri, "version": 2}, "contentChanges": list(changes)},
        )

    def close(self, uri: str) -> None:
        self.notify("textDocument/didClose", {"textDocument": {"uri": uri}})

    def at(self, method: str, uri: str, position: Mapping[str, int], **extra: Any) -> Any:
        """The result of a request about a position in a document."""
        return self.request(f"textDocument/{method}", {"textDocument": {"uri": uri}, "position": position, **extra})

    def leave(self) -> int:
        """Shut down in order; the exit code."""
        self.request("shutdown")
        self.notify("exit")
        return self._process.wait(_EXIT_SECONDS)

    def exit_code(self) -> int:
        return self._process.wait(_EXIT_SECONDS)

    # Inside

    def _send(self, message: dict[str, Any]) -> None:
        self.send_raw(frame({"jsonrpc": "2.0", **message}))

    def _read(self, stream: IO[bytes]) -> None:
        while (body := read_body(stream)) is not None:
            read_at = time.perf_counter()
            message = json.loads(body)
            with self._arrival:
                if "method" not in message:
                    self.last_answer_at = read_at
                    self._responses[message["id"]] = message
                elif "id" not in message:
                    self.notifications.append((message["method"], message["params"]))
                    self._note_progress(message, read_at)
                else:
                    self.requests.append((message["method"], message.get("params")))
                self._arrival.notify_all()
            if "method" in message and "id" in message:
                answer = self._answers.get(message["method"], _null)(message.get("params"))
                try:
                    self._send({"id": message["id"], "result": answer})
                except (OSError, ValueError):
                    break  # the server ended, or its stdin is closed
        with self._arrival:
            self._ended = True
            self._arrival.notify_all()

    def _note_progress(self, message: dict[str, Any], read_at: float) -> None:
        if message["method"] == "$/progress":
            value = message["params"]["value"]
            kind = value.get("kind") if isinstance(value, dict) else None
            if kind is None:
                self.parts.append((read_at, message["params"]["token"], message["params"]["value"]))
            if kind == "begin":
                self._progress.add(message["params"]["token"])
            elif kind == "end":
                self._progress.discard(message["params"]["token"])

    def _until(self, condition: Callable[[], bool], otherwise: str) -> None:
        if not self._arrival.wait_for(lambda: condition() or self._ended, self.timeout) or not condition():
            raise NoAnswer(otherwise + (" before the server ended" if self._ended else f" in {self.timeout} s"))


def frame(message: Any) -> bytes:
    """A message with its header, as it goes over the wire."""
    return framed(json.dumps(message).encode())


def framed(body: bytes) -> bytes:
    """Any bytes with the header of a message."""
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


def read_body(stream: IO[bytes]) -> bytes | None:
    """The JSON of the next message; None at the end of the stream."""
    length = 0
    while (header := stream.readline()) not in (b"\r\n", b""):
        name, _, value = header.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    body = stream.read(length)
    return body if length and len(body) == length else None


def _no_configuration(params: Any) -> list[None]:
    return [None] * len(params["items"])


def _null(params: Any) -> None:
    return None
