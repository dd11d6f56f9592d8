"""Occurrences found by the text around a hit equal those found by blanking comments in the whole file."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from kexpert.core.c.lex import blank_comments
from kexpert.core.positions import LineIndex
from kexpert.core.symbols import UNKNOWN_COLUMN
from kexpert.index.occurrences import lines_and_columns, occurrences

_PIECES = [b"foo", b"foo(", b" foo ", b"_foo", b"foo2", b"/* foo */", b"/*", b"*/", b"// foo\n", b'"foo"', b'"',
           b"'\"'", b"\\\n", b"\n", b";", b"x/y*z", b"#error don't foo\n", b"/"]  # fmt: skip


@settings(max_examples=600)
@given(st.lists(st.sampled_from(_PIECES), max_size=30).map(b"".join))
def test_occurrences_equal_those_in_a_file_without_comments(data: bytes) -> None:
    expected = [m.start() for m in re.finditer(rb"(?<![A-Za-z0-9_])foo(?![A-Za-z0-9_])", blank_comments(data))]
    assert list(occurrences(data, b"foo")) == expected


@given(st.text(alphabet="ab \n\té\U0001f600", max_size=40).map(str.encode), st.sets(st.integers(0, 60), max_size=8))
def test_known_columns_are_the_same_in_every_encoding(data: bytes, wanted: set[int]) -> None:
    offsets = sorted(offset for offset in wanted if offset <= len(data))
    lines = LineIndex(data)
    for offset, line, column in zip(offsets, *lines_and_columns(data, offsets), strict=True):
        if column != UNKNOWN_COLUMN:
            assert (line, column) == lines.to_position(offset, "utf-8") == lines.to_position(offset, "utf-16")
