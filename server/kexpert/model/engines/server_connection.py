"""Ask an HTTP server that a setting names, and read its answer as it comes: for completion and for chat.

Text goes to the address in the settings and nowhere else: redirects and proxies are not followed. ``http.client``
rather than a client library, because a request must be cancelled within milliseconds by closing its socket. The server
is not trusted: an answer has bounds in time and size.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any
from urllib.parse import urlsplit

from kexpert.abilities import Cancelled, Failed, Refused

#: Interval at which a waiting request looks at ``cancelled()``.
_POLL_SECONDS = 0.01
_MAX_LINE_BYTES = 1 << 20
_MAX_ANSWER_BYTES = 16 << 20
_MAX_MESSAGE_CHARACTERS = 200
#: Pieces of an answer that wait for their reader. A server that is faster has to wait.
_MAX_PENDING = 64
_EVENT_STREAM, _JSON = "text/event-stream", "application/json"


class StatusError(Failed):
    """The server answered with another HTTP status than 200."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


class ServerConnection:
    """Where to connect, and with which key. Raises Refused for a URL that cannot be used.

    ``setting`` is the one that names the URL, ``key_variable`` the environment variable with the API key.
    """

    def __init__(self, url: str, setting: str, key_variable: str) -> None:
        try:
            parts = urlsplit(url)
            self._port = parts.port
        except ValueError:
            raise Refused(f"{setting}: {url!r} has no valid port") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Refused(f"{setting}: {url!r} is no http:// or https:// address")
        self._secure = parts.scheme == "https"
        self.host: str = parts.hostname
        self._base = parts.path.rstrip("/").removesuffix("/v1")
        self._key_variable = key_variable

    def get(self, path: str, cancelled: Callable[[], bool], timeout_seconds: float) -> Any:
        """The JSON at a path; None if the server has none there. Raises Failed or Cancelled."""

        def ask(connection: http.client.HTTPConnection) -> Iterator[bytes]:
            connection.request("GET", self._base + path, headers=self._headers())
            reply = connection.getresponse()
            if reply.status == 200:
                yield reply.read(_MAX_LINE_BYTES)
            elif reply.status in (401, 403):
                raise self._status_error(path, reply)

        with contextlib.closing(self._read_in_thread(ask, timeout_seconds, timeout_seconds, cancelled)) as replies:
            try:
                return json.loads(next(replies, b"null"))
            except (ValueError, RecursionError):
                return None

    def events(
        self, path: str, body: Any, cancelled: Callable[[], bool], timeout_seconds: float, max_seconds: float
    ) -> Generator[Any, None, None]:
        """The objects of an event stream, or the one object of a server that does not stream.

        ``timeout_seconds`` is for connecting and for each read, ``max_seconds`` for all. Raises Failed (StatusError for
        a status other than 200) or Cancelled.
        """
        endpoint = f"{self.host}{path}"

        def ask(connection: http.client.HTTPConnection) -> Iterator[bytes]:
            connection.request("POST", self._base + path, json.dumps(body), self._headers())
            reply = connection.getresponse()
            kind = reply.headers.get_content_type()
            if reply.status != 200:
                raise self._status_error(path, reply)
            if kind == _JSON:
                yield reply.read(_MAX_LINE_BYTES)
                return
            if kind.startswith("text/html"):
                raise Failed(f"{endpoint}: the answer is a web page ({kind}), no event stream")
            events = size = 0
            while line := reply.readline(_MAX_LINE_BYTES):
                size += len(line)
                if size > _MAX_ANSWER_BYTES:
                    raise Failed(f"{endpoint}: the answer has more than {_MAX_ANSWER_BYTES >> 20} MB")
                if line.startswith(b"data:"):
                    events += 1
                    yield line[5:].strip()
            if not events and kind != _EVENT_STREAM:
                raise Failed(f"{endpoint}: the answer is no event stream ({kind})")

        with contextlib.closing(self._read_in_thread(ask, timeout_seconds, max_seconds, cancelled)) as replies:
            for reply in replies:
                if reply == b"[DONE]":
                    return
                try:
                    event = json.loads(reply)
                except (ValueError, RecursionError):
                    raise Failed(f"{endpoint}: the answer is not JSON") from None
                if problem := entry(event, "error"):
                    raise Failed(f"{endpoint}: {_one_line(str(entry(problem, 'message') or problem))}")
                yield event

    def _headers(self) -> dict[str, str]:
        key = os.environ.get(self._key_variable, "").strip()
        return {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})

    def _status_error(self, path: str, reply: http.client.HTTPResponse) -> StatusError:
        text = _one_line(reply.read(4000).decode("utf-8", "replace"))
        with contextlib.suppress(ValueError, RecursionError):
            problem = entry(json.loads(text), "error")
            text = _one_line(str(entry(problem, "message") or problem or text))
        if reply.headers.get_content_type() == "text/html":
            text = "a web page"
        mend = f"; is {self._key_variable} in the environment the right key?" if reply.status in (401, 403) else ""
        return StatusError(f"{self.host}{path}: {reply.status} {reply.reason}: {text}{mend}", reply.status)

    def _read_in_thread(
        self,
        ask: Callable[[http.client.HTTPConnection], Iterator[bytes]],
        timeout_seconds: float,
        max_seconds: float,
        cancelled: Callable[[], bool],
    ) -> Generator[bytes, None, None]:
        """Yield what ``ask`` reads from a connection. Closing the socket ends it. Raises Failed or Cancelled."""
        received: queue.Queue[bytes | Exception | None] = queue.Queue(_MAX_PENDING)
        connection_class = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = connection_class(self.host, self._port, timeout=timeout_seconds)
        sockets: list[socket.socket] = []
        over = threading.Event()

        def put(piece: bytes | Exception | None) -> None:
            while not over.is_set():
                with contextlib.suppress(queue.Full):
                    received.put(piece, timeout=_POLL_SECONDS)
                    return

        def read() -> None:
            try:
                connection.connect()
                sockets.append(connection.sock)  # the connection drops it on "Connection: close"
                if cancelled():
                    return  # send no code that nobody waits for
                for piece in ask(connection):
                    put(piece)
                    if over.is_set():
                        return
                put(None)
            except Exception as problem:
                put(problem)

        threading.Thread(target=read, name="kexpert-model-server", daemon=True).start()
        deadline = time.monotonic() + max_seconds
        try:
            while not cancelled():
                if time.monotonic() > deadline:
                    raise Failed(f"{self.host}: the answer took longer than {max_seconds:g} s")
                try:
                    piece = received.get(timeout=_POLL_SECONDS)
                except queue.Empty:
                    continue
                if isinstance(piece, Exception):
                    raise piece if isinstance(piece, Failed) else Failed(f"{self.host}: {_reason(piece)}")
                if piece is None:
                    return
                yield piece
            raise Cancelled
        finally:
            over.set()
            with contextlib.suppress(OSError):
                for each in sockets:
                    each.shutdown(socket.SHUT_RDWR)
            connection.close()


def entry(found: Any, key: str) -> Any:
    """An entry of a JSON object; None if it is no object or has no such entry."""
    return found.get(key) if isinstance(found, dict) else None


def _reason(problem: Exception) -> str:
    return "it says nothing (timed out)" if isinstance(problem, TimeoutError) else _one_line(str(problem))


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_MAX_MESSAGE_CHARACTERS]
