"""A real HTTP server on the loopback that answers as a test wants."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Server:
    """Answers POSTs with the events of ``answer(path, body)``, with ``kind`` as their content type, and ``status``.

    ``props`` is the answer to a GET, None for status 404. ``asked`` records (path, body, authorization).
    """

    def __init__(
        self,
        answer: Callable[[str, Any], Iterator[bytes]],
        props: bytes | None = None,
        kind: str = "text/event-stream",
        status: int = 200,
        get_status: int = 200,
        port: int = 0,
    ) -> None:
        self.asked: list[tuple[str, Any, str | None]] = []
        self.gone = threading.Event()  # the client closed the connection before the end
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(404 if props is None else get_status)
                self.end_headers()
                self.wfile.write(props or b"")

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append((self.path, body, self.headers["Authorization"]))
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.end_headers()
                try:
                    for event in answer(self.path, body):
                        self.wfile.write(event)
                except OSError:
                    outer.gone.set()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def event(**data: Any) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"
