"""Framing and JSON, with what clients really send."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexpert.core.text import encode
from kexpert.lsp import transport as wire
from kexpert.lsp.transport import BadMessage, frame, read_message


def framed(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


@given(st.text().filter(lambda s: all(not 0xD800 <= ord(c) <= 0xDFFF for c in s)))
def test_text_survives_framing(text: str) -> None:
    assert read_message(io.BytesIO(frame({"text": text}))) == {"text": text}


@given(st.text(st.characters() | st.sampled_from("\ud83d\udc27\udce9\\u\U0001f427")))
def test_messages_are_strict_json(text: str) -> None:
    json.loads(frame([text]).partition(b"\r\n\r\n")[2])[0].encode("utf-8")


def test_a_latin1_byte_of_a_file_leaves_as_its_character() -> None:
    text = b"J\xf6rg \\ud83d \xf0\x9f\x90\xa7".decode("utf-8", "surrogateescape")
    assert read_message(io.BytesIO(frame([text]))) == ["Jörg \\ud83d 🐧"]


def test_a_body_that_is_not_utf8_keeps_its_bytes() -> None:
    message = read_message(io.BytesIO(framed(b'{"text": "J\xf6rg"}')))
    assert encode(message["text"]) == b"J\xf6rg"


def test_headers_in_any_case_and_order_and_stray_lines() -> None:
    stream = io.BytesIO(b"warning: something\r\n\r\nContent-Type: x\r\ncontent-length:2\r\n\r\n[]" + framed(b"{}"))
    assert read_message(stream) == []
    assert read_message(stream) == {}
    assert read_message(stream) is None


@pytest.mark.parametrize("body", [b"{", b"", b"[" * 100_000, b"\xff", b"nul", b"null", b"1" * 5000])
def test_a_bad_body_raises_and_the_next_message_is_read(body: bytes) -> None:
    stream = io.BytesIO(framed(body) + framed(b'"next"'))
    with pytest.raises(BadMessage):
        read_message(stream)
    assert read_message(stream) == "next"


def test_a_message_above_the_size_limit_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_BODY_BYTES", 10)
    stream = io.BytesIO(framed(b"x" * 5000) + framed(b"1"))
    with pytest.raises(BadMessage, match="5000"):
        read_message(stream)
    assert read_message(stream) == 1


@given(st.binary(max_size=200))
def test_arbitrary_bytes_end_or_are_refused(data: bytes) -> None:
    stream = io.BytesIO(data)
    while True:
        try:
            if read_message(stream) is None:
                break
        except BadMessage:
            continue
