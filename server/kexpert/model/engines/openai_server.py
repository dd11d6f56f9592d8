"""A model that another program serves: llama-server by ``/infill``, or what has OpenAI's ``/v1/completions``.

The server cuts text into tokens itself, so there is no token healing here. What is asked for goes to the
address in the settings and nowhere else: redirects and proxies are not followed.
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
from kexpert.model.engine import Api
from kexpert.prompt.fim import Context

#: Seconds that connecting and any one read may take, those of the question what a server is, and between two looks
#: at whether anybody waits.
_PATIENCE = 30.0
_PROBING = 5.0
_POLL = 0.01
#: Tokens of a server's context that are used if the settings name none.
_CONTEXT = 2048
_MOST_LINE = 1 << 20
#: The environment variable that holds the key for a server that wants one.
KEY = "KEXPERT_MODEL_KEY"


class OpenAIServer(Completer):
    """An ``Completer``. A newer question closes the connection of the one before, which ends it on most servers."""

    def __init__(self, url: str, name: str, api: Api, context: int = 0) -> None:
        parts = urlsplit(url)
        try:
            self._port = parts.port
        except ValueError:
            raise Refused(f"model.url: {url!r} has no valid port") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Refused(f"model.url: {url!r} is no http:// or https:// address")
        self.context = context or _CONTEXT
        self._secure = parts.scheme == "https"
        self._host = parts.hostname
        self._base = parts.path.rstrip("/").removesuffix("/v1")
        self._name = name
        self._api: Api = api
        self._newest = 0

    def stream(
        self, context: Context, max_tokens: int, cancelled: Callable[[], bool], neighbours: Neighbours = NO_NEIGHBOURS
    ) -> Generator[Token, None, None]:
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
        self._newest += 1

    def ready(self, cancelled: Callable[[], bool]) -> None:
        """Reach the server."""
        self.probe(cancelled)

    def probe(self, cancelled: Callable[[], bool]) -> Api:
        """llama-server describes itself at ``/props``; others do not."""

        def ask(connection: http.client.HTTPConnection) -> Iterator[bytes]:
            connection.request("GET", f"{self._base}/props", headers=_headers())
            reply = connection.getresponse()
            if reply.status == 200:
                yield reply.read(_MOST_LINE)

        with contextlib.closing(self._apart(ask, _PROBING, cancelled)) as replies:
            try:
                about = json.loads(next(replies, b"null"))
            except (ValueError, RecursionError):
                about = None
        known = isinstance(about, dict) and "default_generation_settings" in about
        return "infill" if known else "completions"

    def _events(self, path: str, body: Any, cancelled: Callable[[], bool]) -> Generator[Any, None, None]:
        """The objects of an event stream, or the only one of a server that does not stream."""
        where = f"{self._host}{path}"

        def ask(connection: http.client.HTTPConnection) -> Iterator[bytes]:
            connection.request("POST", self._base + path, json.dumps(body), _headers())
            reply = connection.getresponse()
            kind = reply.headers.get_content_type()
            if reply.status != 200:
                said = _line(reply.read(500).decode("utf-8", "replace"))
                raise Failed(f"{where}: {reply.status} {reply.reason}: {said}")
            if kind == "application/json":
                yield reply.read(_MOST_LINE)
                return
            events = 0
            while line := reply.readline(_MOST_LINE):
                if line.startswith(b"data:"):
                    events += 1
                    yield line[5:].strip()
            if not events:
                raise Failed(f"{where}: the answer is no event stream ({kind})")

        with contextlib.closing(self._apart(ask, _PATIENCE, cancelled)) as replies:
            for reply in replies:
                if reply == b"[DONE]":
                    return
                try:
                    event = json.loads(reply)
                except (ValueError, RecursionError):
                    raise Failed(f"{where}: the answer is not JSON") from None
                if problem := _get(event, "error"):
                    raise Failed(f"{where}: {_line(str(_get(problem, 'message') or problem))}")
                yield event

    def _apart(
        self,
        ask: Callable[[http.client.HTTPConnection], Iterator[bytes]],
        patience: float,
        cancelled: Callable[[], bool],
    ) -> Generator[bytes, None, None]:
        """What ``ask`` reads from a connection, on a thread of its own, which the closed connection ends."""
        arrived: queue.SimpleQueue[bytes | Exception | None] = queue.SimpleQueue()
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=patience)
        opened: list[socket.socket] = []

        def read() -> None:
            try:
                connection.connect()
                opened.append(connection.sock)  # the connection forgets it when the server is to close it
                if cancelled():
                    return  # what stands around the cursor goes nowhere for nobody
                for piece in ask(connection):
                    arrived.put(piece)
                arrived.put(None)
            except Exception as problem:
                arrived.put(problem)

        threading.Thread(target=read, name="kexpert-remote", daemon=True).start()
        try:
            while not cancelled():
                try:
                    piece = arrived.get(timeout=_POLL)
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
                for wire in opened:
                    wire.shutdown(socket.SHUT_RDWR)
            connection.close()


def _headers() -> dict[str, str]:
    key = os.environ.get(KEY)
    return {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})


def _infill(context: Context, max_tokens: int) -> dict[str, Any]:
    extra = [{"filename": excerpt.path, "text": excerpt.text} for excerpt in context.excerpts]
    return {
        "input_prefix": context.prefix, "input_suffix": context.suffix, "input_extra": extra, "prompt": "",
        "n_predict": max_tokens, "temperature": 0, "n_probs": 1, "stream": True, "cache_prompt": True,
    }  # fmt: skip


def _completions(context: Context, max_tokens: int, name: str) -> dict[str, Any]:
    told = "".join(f"{excerpt.text.rstrip()}\n\n" for excerpt in context.excerpts)
    asked = {
        "prompt": told + context.prefix, "max_tokens": max_tokens, "temperature": 0, "logprobs": 1, "stream": True,
    }  # fmt: skip
    # At a file's end there is no hole, and some servers know no suffix at all.
    return asked | ({"suffix": context.suffix} if context.suffix else {}) | ({"model": name} if name else {})


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


def _line(text: str) -> str:
    """What a server says, short and in one line."""
    return " ".join(text.split())[:200]


def _get(found: Any, key: str) -> Any:
    return found.get(key) if isinstance(found, dict) else None


def _mean(logprobs: list[Any]) -> float:
    numbers = [number for number in logprobs if isinstance(number, (int, float))]
    return sum(numbers) / len(numbers) if numbers else math.nan
