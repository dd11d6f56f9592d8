"""Messages on the wire: the base protocol's framing and its JSON, for both ends of a connection.

A body may be other text than JSON allows. Neovim sends the bytes of a Latin-1 file as they are, so an
incoming body need not be UTF-8: it is decoded with ``surrogateescape``, as ``core.text`` decodes files. In
an outgoing message such a byte would be a lone surrogate, which strict parsers refuse: it is sent as the
Latin-1 character that it most likely is.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

#: A longer body is skipped: reading it would exhaust memory.
MAX_BODY_BYTES = 256 << 20
_MAX_HEADER_BYTES = 64 << 10
_SKIP_BYTES = 1 << 20

_LENGTH = re.compile(rb"\s*content-length\s*:\s*(\d{1,18})\s*", re.IGNORECASE)
#: In ASCII-only JSON: an escaped backslash, a surrogate pair, or half of one.
_ESCAPES = re.compile(r"\\\\|\\ud[89ab]..\\ud[c-f]..|\\ud[89a-f]..")


class BadMessage(ValueError):
    """A whole frame whose body is no message."""


def read_message(stream: BinaryIO) -> Any | None:
    """The next message as JSON values; None at the end of the stream.

    Lines that are no header are skipped, so that a client's stray output does no harm. Raises BadMessage for a
    body that is not JSON; the stream is then at the next frame.
    """
    length: int | None = None
    while True:
        line = stream.readline(_MAX_HEADER_BYTES)
        if not line:
            return None
        if match := _LENGTH.fullmatch(line):
            length = int(match[1])
        elif not line.strip() and length is not None:
            break
    if length > MAX_BODY_BYTES:
        _skip(stream, length)
        raise BadMessage(f"a message of {length} bytes is longer than {MAX_BODY_BYTES}")
    body = stream.read(length)
    if len(body) < length:
        return None
    try:
        message = json.loads(body.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise BadMessage(f"a message is not JSON: {error}") from None
    if message is None:
        raise BadMessage("a message is null")
    return message


def _skip(stream: BinaryIO, length: int) -> None:
    while length > 0:
        got = len(stream.read(min(length, _SKIP_BYTES)))
        if not got:
            return
        length -= got


@dataclass(frozen=True, slots=True)
class Encoded:
    """A result that is JSON text already, in pieces: it may be 40 MB, which should be copied once."""

    json: Sequence[bytes]


def error_response(request_id: Any, code: int, message: str) -> dict[str, Any]:
    """The answer to a request that failed or was refused."""
    return {"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": message}}


def response(request_id: Any, result: Any, default: Callable[[Any], Any] | None = None) -> bytes:
    """The answer to a request, framed."""
    if isinstance(result, Encoded):
        head = f'{{"jsonrpc":"2.0","id":{json.dumps(request_id)},"result":'
        return _framed(head.encode("ascii"), *result.json, b"}")
    return frame({"jsonrpc": "2.0", "id": request_id, "result": result}, default)


def frame(message: Any, default: Callable[[Any], Any] | None = None) -> bytes:
    """A message as bytes to send. ``default`` converts objects that ``json`` does not know."""
    text = json.dumps(message, default=default, separators=(",", ":"))
    if "\\ud" in text:
        text = _ESCAPES.sub(_whole, text)
    return _framed(text.encode("ascii"))


def _framed(*body: bytes) -> bytes:
    return b"".join([b"Content-Length: %d\r\n\r\n" % sum(map(len, body)), *body])


def _whole(match: re.Match[str]) -> str:
    escape = match[0]
    if len(escape) != 6:
        return escape
    code = int(escape[2:], 16)
    return f"\\u{code - 0xDC00:04x}" if 0xDC80 <= code <= 0xDCFF else "\\ufffd"


class Writer:
    """The sending end: whole frames only, from any thread. A closed connection is no error here; the reading
    end notices it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, message: Any) -> None:
        self.write(frame(message))

    def write(self, data: bytes) -> None:
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._stream.write(data)
            self._stream.flush()

    def close(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            self._stream.close()
