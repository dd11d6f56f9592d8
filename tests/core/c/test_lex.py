"""Blanking of comments and strings; code stays at its offset."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexpert.core.c.lex import blank_comments, comment_spans


def check_blank(fixture: bytes, expected: bytes, *, strings: bool = True) -> None:
    """In ``expected``, ``~`` marks each byte that must become a blank."""
    assert blank_comments(fixture, strings) == expected.replace(b"~", b" ")


@pytest.mark.parametrize(
    ("fixture", "expected"),
    [
        (b"a /* b */ c", b"a ~~~~~~~ c"),
        (b"a // b\nc", b"a ~~~~\nc"),
        (b"a // b \\\n still\nc", b"a ~~~~~\\\n~~~~~~\nc"),
        (b"/* a\r\n b */c", b"~~~~\r\n~~~~~c"),
        (b"a /* never closed\n x", b"a ~~~~~~~~~~~~~~~\n~~"),
        (b'f("/* no */", g)', b'f("~~~~~~~~", g)'),
        (b"""if (c == '"') f("x");""", b"""if (c == '~') f("~");"""),
        (rb"""c == '\'' || c == '/*'""", rb"""c == '~~' || c == '~~'"""),
        (rb'"a\"b" /* " */ + "c"', rb'"~~~~" ~~~~~~~ + "~"'),
        (b'"a\\\nb" c', b'"~\\\n~" c'),
        (b"#error don't\nint x; /* c */", b"#error don'~\nint x; ~~~~~~~"),
        (b"a / b * c", b"a / b * c"),
        (b"#define M \\\n\t/* x\t\\\n\t * y */ \\\n\tz", b"#define M \\\n\t~~~~~\\\n~~~~~~~~ \\\n\tz"),
    ],
)
def test_comments_and_strings_become_blanks(fixture: bytes, expected: bytes) -> None:
    check_blank(fixture, expected)


def test_kept_strings_hide_comment_marks() -> None:
    check_blank(b'#include "a//b.h" // c', b'#include "a//b.h" ~~~~', strings=False)


@given(st.binary() | st.text(alphabet="/*\"'\\\n\r a").map(str.encode))
def test_length_and_newlines_stay(data: bytes) -> None:
    blanked = blank_comments(data)
    assert len(blanked) == len(data)
    assert all((b == c) or b == 0x20 for b, c in zip(blanked, data, strict=True))
    assert [i for i, c in enumerate(data) if c in b"\r\n"] == [i for i, c in enumerate(blanked) if c in b"\r\n"]


@given(st.text(alphabet="/*\"'\\\n\r a").map(str.encode))
def test_the_spans_of_comments_are_what_is_blanked(data: bytes) -> None:
    left = bytearray(data)
    for start, end in comment_spans(data):
        assert data[start : start + 2] in (b"/*", b"//")
        left[start:end] = bytes(c if c in b"\r\n\\" else 0x20 for c in data[start:end])
    blanked = blank_comments(data, strings=False)
    assert all(b in (c, 0x20) for b, c in zip(blanked, left, strict=True))
    assert blanked.replace(b"\\", b" ") == left.replace(b"\\", b" ")
