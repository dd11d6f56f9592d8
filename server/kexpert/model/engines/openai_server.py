"""A model on a server: llama-server through ``/infill``, any other through OpenAI's ``/v1/completions``.

The server tokenizes, so there is no token healing here. Code goes to the address in the settings and nowhere else:
redirects and proxies are not followed. ``http.client`` rather than a client library, because a request must be
cancelled within milliseconds by closing its socket.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import os
import queue
import socket
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any
from urllib.parse import urlsplit

from kexpert.abilities import NO_NEIGHBOURS, Cancelled, Completer, Failed, Neighbours, Refused, Token
from kexpert.model.types import Api
from kexpert.prompt.fim import Context

#: Timeout of connecting and of each read, for completions and for ``probe``.
_TIMEOUT_SECONDS = 30.0
_PROBE_TIMEOUT_SECONDS = 5.0
#: Interval at which a waiting request looks at ``cancelled()``.
_POLL_SECONDS = 0.01
#: Context in tokens if the settings name none.
_DEFAULT_CONTEXT = 2048
_MAX_LINE_BYTES = 1 << 20
_MAX_MESSAGE_CHARACTERS = 200
#: The environment variable with the API key.
KEY_VARIABLE = "KEXPERT_MODEL_KEY"


class OpenAIServer(Completer):
    """A newer request closes the connection of the one before, which most servers take as a cancellation.

    Ignores neighbours. Raises Refused for a URL that cannot be used.
    """

    def __init__(self, url: str, name: str, api: Api, context: int = 0) -> None:
        parts = urlsplit(url)
        try:
            self._port = parts.port
        except ValueError:
            raise Refused(f"model.url: {url!r} has no valid port") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Refused(f"model.url: {url!r} is no http:// or https:// address")
        self.context = context or _DEFAULT_CONTEXT
        self._secure = parts.scheme == "https"
        self._host = parts.hostname
        self._base = parts.path.rstrip("/").removesuffix("/v1")
        self._name = name
        self._api: Api = api
        self._newest = 0

    def stream(
        self, context: Context, max_tokens: int, cancelled: Callable[[], bool], neighbours: Neighbours = NO_NEIGHBOURS
    ) -> Generator[Token, None, None]:
        """See ``Completer.stream``."""
        self._newest += 1
        number = self._newest

        def obsolete() -> bool:
            return self._newest != number or cancelled()

        if self._api == "auto":
            self._api = self.probe(obsolete)
        if self._api == "infill":
            path, body, read = "/infill", _infill(context, max_tokens), _read_infill
        else:
            path, body, read = "/v1/completions", _completions(context, max_tokens, self._name), _read_completion
        for event in self._events(path, body, obsolete):
            token = read(event)
            yield token
            if token.last:
                return

    def close(self) -> None:
        """Cancel the current request."""
        self._newest += 1

    def ready(self, cancelled: Callable[[], bool]) -> None:
        """Reach the server. Raises Failed or Cancelled."""
        self.probe(cancelled)

    def probe(self, cancelled: Callable[[], bool]) -> Api:
        """Find the server's API: llama-server describes itself at ``/props``. Raises Failed or Cancelled."""

        def ask(connection: http.client.HTTPConnection) -> Iterator[bytes]:
            connection.request("GET", f"{self._base}/props", headers=_headers())
            reply = connection.getresponse()
            if reply.status == 200:
                yield reply.read(_MAX_LINE_BYTES)

        with contextlib.closing(self._read_in_thread(ask, _PROBE_TIMEOUT_SECONDS, cancelled)) as replies:
            try:
                properties = json.loads(next(replies, b"null"))
            except (ValueError, RecursionError):
                properties = None
        is_llama_server = isinstance(properties, dict) and "default_generation_settings" in properties
        return "infill" if is_llama_server else "completions"

    def _events(self, path: str, body: Any, cancelled: Callable[[], bool]) -> Generator[Any, None, None]:
        """The objects of an event stream, or the one object of a server that does not stream."""
        endpoint = f"{self._host}{path}"

        def ask(connection: http.client.HTTPConnection) -> Iterator[bytes]:
            connection.request("POST", self._base + path, json.dumps(body), _headers())
            reply = connection.getresponse()
            kind = reply.headers.get_content_type()
            if reply.status != 200:
                message = _one_line(reply.read(500).decode("utf-8", "replace"))
                raise Failed(f"{endpoint}: {reply.status} {reply.reason}: {message}")
            if kind == "application/json":
                yield reply.read(_MAX_LINE_BYTES)
                return
            events = 0
            while line := reply.readline(_MAX_LINE_BYTES):
                if line.startswith(b"data:"):
                    events += 1
                    yield line[5:].strip()
            if not events:
                raise Failed(f"{endpoint}: the answer is no event stream ({kind})")

        with contextlib.closing(self._read_in_thread(ask, _TIMEOUT_SECONDS, cancelled)) as replies:
            for reply in replies:
                if reply == b"[DONE]":
                    return
                try:
                    event = json.loads(reply)
                except (ValueError, RecursionError):
                    raise Failed(f"{endpoint}: the answer is not JSON") from None
                if problem := _get(event, "error"):
                    raise Failed(f"{endpoint}: {_one_line(str(_get(problem, 'message') or problem))}")
                yield event

    def _read_in_thread(
        self,
        ask: Callable[[http.client.HTTPConnection], Iterator[bytes]],
        timeout_seconds: float,
        cancelled: Callable[[], bool],
    ) -> Generator[bytes, None, None]:
        """Yield what ``ask`` reads from a connection. Closing the socket ends it. Raises Failed or Cancelled."""
        received: queue.SimpleQueue[bytes | Exception | None] = queue.SimpleQueue()
        connection_class = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = connection_class(self._host, self._port, timeout=timeout_seconds)
        sockets: list[socket.socket] = []

        def read() -> None:
            try:
                connection.connect()
                sockets.append(connection.sock)  # the connection drops it on "Connection: close"
                if cancelled():
                    return  # send no code that nobody waits for
                for piece in ask(connection):
                    received.put(piece)
                received.put(None)
            except Exception as problem:
                received.put(problem)

        threading.Thread(target=read, name="kexpert-openai-server", daemon=True).start()
        try:
            while not cancelled():
                try:
                    piece = received.get(timeout=_POLL_SECONDS)
                except queue.Empty:
                    continue
                if isinstance(piece, Exception):
                    raise piece if isinstance(piece, Failed) else Failed(f"{self._host}: {piece}")
                if piece is None:
                    return
                yield piece
            raise Cancelled
        finally:
            with contextlib.suppress(OSError):
                for each in sockets:
                    each.shutdown(socket.SHUT_RDWR)
            connection.close()


def _headers() -> dict[str, str]:
    key = os.environ.get(KEY_VARIABLE)
    return {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})


def _infill(context: Context, max_tokens: int) -> dict[str, Any]:
    extra = [{"filename": excerpt.path, "text": excerpt.text} for excerpt in context.excerpts]
    return {
        "input_prefix": context.prefix, "input_suffix": context.suffix, "input_extra": extra, "prompt": "",
        "n_predict": max_tokens, "temperature": 0, "n_probs": 1, "stream": True, "cache_prompt": True,
    }  # fmt: skip


def _completions(context: Context, max_tokens: int, name: str) -> dict[str, Any]:
    excerpts = "".join(f"{excerpt.text.rstrip()}\n\n" for excerpt in context.excerpts)
    body = {
        "prompt": excerpts + context.prefix, "max_tokens": max_tokens, "temperature": 0, "logprobs": 1, "stream": True,
    }  # fmt: skip
    # No empty suffix: some servers refuse the parameter, and at the end of a file they are of use without it.
    return body | ({"suffix": context.suffix} if context.suffix else {}) | ({"model": name} if name else {})


def _read_infill(event: Any) -> Token:
    """``{"content": "…", "stop": false, "completion_probabilities": [{"logprob": -0.1}]}``"""
    text, stop = _get(event, "content"), _get(event, "stop")
    entries = _get(event, "completion_probabilities")
    logprobs = [_get(entry, "logprob") for entry in entries] if isinstance(entries, list) else []
    return Token(text if isinstance(text, str) else "", _mean(logprobs), stop is True)


def _read_completion(event: Any) -> Token:
    """``{"choices": [{"text": "…", "finish_reason": null, "logprobs": {"token_logprobs": [-0.1]}}]}``"""
    choices = _get(event, "choices")
    choice = choices[0] if isinstance(choices, list) and choices else {}
    text = _get(choice, "text")
    logprobs = _get(_get(choice, "logprobs"), "token_logprobs")
    last = _get(choice, "finish_reason") == "stop"
    return Token(text if isinstance(text, str) else "", _mean(logprobs if isinstance(logprobs, list) else []), last)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_MAX_MESSAGE_CHARACTERS]


def _get(found: Any, key: str) -> Any:
    return found.get(key) if isinstance(found, dict) else None


def _mean(logprobs: list[Any]) -> float:
    numbers = [number for number in logprobs if isinstance(number, (int, float))]
    return sum(numbers) / len(numbers) if numbers else math.nan
