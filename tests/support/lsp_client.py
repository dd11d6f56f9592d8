"""A small language client: starts the real server and speaks with it over its stdin and stdout."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from kexpert.lsp.transport import Writer, read_message

SERVER = (sys.executable, "-c", "import sys; from kexpert.lsp.server import serve; sys.exit(serve())")

#: What a capable editor says of itself.
CAPABILITIES: dict[str, Any] = {
    "general": {"positionEncodings": ["utf-16"]},
    "window": {"workDoneProgress": True},
    "workspace": {"configuration": False, "didChangeWatchedFiles": {"dynamicRegistration": True}},
    "textDocument": {
        "hover": {"contentFormat": ["markdown"]},
        "completion": {"completionItem": {"snippetSupport": True}},
        "documentSymbol": {"hierarchicalDocumentSymbolSupport": True},
        "rename": {"prepareSupport": True},
    },
}


class RequestFailed(Exception):
    """The server answered with an error."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(error.get("message"))
        self.code: int = error["code"]


class Client:
    """One conversation. Requests of the server are answered from ``answers`` (by method), else with null."""

    def __init__(
        self,
        command: Sequence[str] = SERVER,
        env: Mapping[str, str] | None = None,
        answers: Mapping[str, Callable[[Any], Any]] | None = None,
        timeout: float = 30.0,
    ) -> None:
        self.timeout = timeout
        self._answers = dict(answers or {})
        self._process = subprocess.Popen(
            list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **(env or {})}
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._out = Writer(self._process.stdin)
        self._next_id = 0
        self._arrived = threading.Condition()
        self._responses: dict[Any, dict[str, Any]] = {}
        self.notifications: deque[tuple[str, Any]] = deque()
        self.requests: list[tuple[str, Any]] = []
        self._ended = False
        threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True).start()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._out.close()
        try:
            self._process.wait(10)
        finally:
            self._process.kill()
            self._process.wait()

    def _read(self, stream: Any) -> None:
        while (message := read_message(stream)) is not None:
            with self._arrived:
                if "method" not in message:
                    self._responses[message["id"]] = message
                elif "id" not in message:
                    self.notifications.append((message["method"], message["params"]))
                else:
                    self.requests.append((message["method"], message.get("params")))
                self._arrived.notify_all()
            if "method" in message and "id" in message:
                answer = self._answers.get(message["method"], lambda params: None)(message.get("params"))
                self._out.send({"jsonrpc": "2.0", "id": message["id"], "result": answer})
        with self._arrived:
            self._ended = True
            self._arrived.notify_all()

    def send_raw(self, data: bytes) -> None:
        self._out.write(data)

    def send(self, method: str, params: Any = None) -> int:
        """Start a request; its id."""
        self._next_id += 1
        self._out.send({"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": params})
        return self._next_id

    def wait(self, request_id: Any) -> Any:
        """The result of a request that was started."""
        with self._arrived:
            self._until(lambda: request_id in self._responses, f"no answer to request {request_id}")
            response = self._responses.pop(request_id)
        if "error" in response:
            raise RequestFailed(response["error"])
        return response["result"]

    def request(self, method: str, params: Any = None) -> Any:
        return self.wait(self.send(method, params))

    def notify(self, method: str, params: Any = None) -> None:
        self._out.send({"jsonrpc": "2.0", "method": method, "params": params})

    def wait_for(self, method: str, wanted: Callable[[Any], bool] = lambda params: True) -> Any:
        """The parameters of the next notification of this kind; those before it are dropped."""

        def matching() -> bool:
            while self.notifications:
                name, params = self.notifications[0]
                if name == method and wanted(params):
                    return True
                self.notifications.popleft()
            return False

        with self._arrived:
            self._until(matching, f"no {method}")
            return self.notifications.popleft()[1]

    def wait_for_request(self, method: str) -> Any:
        """The parameters of a request that the server made."""
        with self._arrived:
            self._until(lambda: any(name == method for name, _ in self.requests), f"no request {method}")
            return next(params for name, params in self.requests if name == method)

    def _until(self, condition: Callable[[], bool], otherwise: str) -> None:
        if not self._arrived.wait_for(lambda: condition() or self._ended, self.timeout) or not condition():
            raise TimeoutError(otherwise + (" before the server ended" if self._ended else ""))

    def initialize(
        self, root: Path | None = None, *, encodings: Sequence[str] = ("utf-16",), options: Any = None, **extra: Any
    ) -> dict[str, Any]:
        """Shake hands as an editor does; the server's capabilities."""
        capabilities = {**CAPABILITIES, "general": {"positionEncodings": list(encodings)}, **extra}
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

    def open(self, uri: str, text: str) -> None:
        document = {"uri": uri, "languageId": "c", "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})

    def change(self, uri: str, *changes: dict[str, Any]) -> None:
        self.notify(
            "textDocument/didChange",
            {"textDocument": {"uri": uri, "version": 2}, "contentChanges": list(changes)},
        )

    def at(self, method: str, uri: str, position: dict[str, int], **extra: Any) -> Any:
        """A request about a position in a document."""
        return self.request(f"textDocument/{method}", {"textDocument": {"uri": uri}, "position": position, **extra})

    def leave(self) -> int:
        """Shut down in order; the exit code."""
        self.request("shutdown")
        self.notify("exit")
        return self._process.wait(10)

    def exit_code(self) -> int:
        return self._process.wait(10)
