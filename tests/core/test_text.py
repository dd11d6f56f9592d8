"""File bytes as text, and identifiers in them."""

from __future__ import annotations

import pytest
from hypothesis import given

from kexpert.core.text import decode, encode, identifier_at
from tests.core.test_positions import kernel_bytes


@given(kernel_bytes)
def test_decoding_and_encoding_restore_the_bytes(data: bytes) -> None:
    assert encode(decode(data)) == data


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (b"a = /*|*/foo_1;", b"foo_1"),
        (b"a = fo/*|*/o_1;", b"foo_1"),
        (b"a = foo_1/*|*/;", b"foo_1"),
        (b"a = 12/*|*/34;", None),
        (b"a = /*|*/ = b", None),
        (b"/*|*/", None),
    ],
)
def test_the_identifier_at_an_offset(text: bytes, word: bytes | None) -> None:
    at = text.index(b"/*|*/")
    data = text.replace(b"/*|*/", b"")
    found = identifier_at(data, at)
    assert (data[found[0] : found[1]] if found else None) == word
