"""What a client may do with a connection before its request is whole."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import uvicorn

from kexpert.http.connection import BoundedConnection
from tests.support.waiting import eventually


class _Impatient(BoundedConnection):
    head_seconds = 0.3
    max_head_bytes = 2000


class _Patient(BoundedConnection):
    """A busy machine may take long to send a request that is right."""

    head_seconds = 60
    max_head_bytes = 2000


async def _app(scope: dict[str, object], receive: object, send: object) -> None:
    assert scope["type"] == "http" and callable(send)
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


@contextmanager
def listening(kind: type[BoundedConnection]) -> Iterator[int]:
    """The port of a server with connections of this kind."""
    config = uvicorn.Config(_app, host="127.0.0.1", port=0, http=kind, lifespan="off", log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        eventually(lambda: server.started)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with listening(_Impatient) as port:
        yield port


def said(port: int, *pieces: bytes) -> bytes:
    """What the server says, until it closes, to a client that sends some pieces and then waits."""

    async def ask() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with suppress(ConnectionError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.01)
        found = b""
        with suppress(ConnectionError):
            found = await reader.read()
        writer.close()
        return found

    return asyncio.run(asyncio.wait_for(ask(), 60))


def test_a_whole_request_is_answered_on_a_kept_connection() -> None:
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    with listening(_Patient) as port:
        found = said(port, request, request, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert found.count(b"204 No Content") == 3


def test_too_long_a_head_closes_the_connection_at_once() -> None:
    with listening(_Patient) as port:
        assert said(port, b"GET / HTTP/1.1\r\n", *[b"X: " + b"y" * 100 + b"\r\n"] * 60) == b""


@pytest.mark.parametrize("head", [b"", b"GET", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_a_head_that_does_not_end_closes_the_connection(port: int, head: bytes) -> None:
    assert said(port, head) == b""
