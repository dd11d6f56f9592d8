"""Positions in bytes, code points and UTF-16 units."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from kexpert.core.positions import Encoding, LineIndex, positions, span_positions
from kexpert.core.text import decode, encode
from tests.support.complexity import assert_linear

ENCODINGS: tuple[Encoding, ...] = ("utf-8", "utf-16", "utf-32")
#: What kernel files hold: ASCII, Latin-1 bytes, an emoji, form feeds, every kind of line end.
kernel_bytes = st.lists(
    st.sampled_from([b"a", b"foo_1", b"\t", b" ", b"\n", b"\r\n", b"\r", b"\f", b"\xe9", "é".encode(), "🐧".encode()])
    | st.binary(max_size=4)
).map(b"".join)


def boundaries(data: bytes) -> list[int]:
    """Offsets between characters, except those inside ``\\r\\n``."""
    offsets = [0]
    for char in decode(data):
        offsets.append(offsets[-1] + len(encode(char)))
    return [at for at in offsets if data[at - 1 : at + 1] != b"\r\n" or at == 0]


def columns_by_definition(data: bytes, offset: int) -> dict[Encoding, tuple[int, int]]:
    """The protocol's definition, implemented literally."""
    before = decode(data[:offset])
    lines = re.split("\r\n|\n|\r", before)
    last = lines[-1]
    # A lone surrogate stands for one byte and is one unit; so errors must not end the count.
    utf16 = len(last.encode("utf-16-le", "surrogatepass")) // 2
    return {
        "utf-8": (len(lines) - 1, len(encode(last))),
        "utf-16": (len(lines) - 1, utf16),
        "utf-32": (len(lines) - 1, len(last)),
    }




@given(kernel_bytes, st.sampled_from(ENCODINGS))
def test_positions_agree_with_the_protocol_and_convert_back(data: bytes, encoding: Encoding) -> None:
    index = LineIndex(data)
    for offset in boundaries(data):
        position = index.to_position(offset, encoding)
        assert position == columns_by_definition(data, offset)[encoding]
        at_line_end = data[offset : offset + 1] in (b"\r", b"\n") and data[offset - 1 : offset] == b"\r"
        if not at_line_end:
            assert index.to_offset(*position, encoding) == offset


@given(kernel_bytes, st.sampled_from(ENCODINGS))
def test_many_positions_at_once_equal_single_conversions(data: bytes, encoding: Encoding) -> None:
    offsets = boundaries(data)
    index = LineIndex(data)
    assert positions(data, offsets, encoding) == [index.to_position(offset, encoding) for offset in offsets]


@given(kernel_bytes, st.data(), st.sampled_from(ENCODINGS))
def test_positions_of_spans_in_any_order(
    data: bytes, draw: st.DataObject, encoding: Encoding
) -> None:
    ends = st.tuples(*[st.sampled_from(boundaries(data))] * 2)
    spans = [(min(pair), max(pair)) for pair in draw.draw(st.lists(ends, max_size=6))]
    index = LineIndex(data)
    expected = [(index.to_position(start, encoding), index.to_position(end, encoding)) for start, end in spans]
    assert span_positions(data, spans, encoding) == expected


@given(kernel_bytes, st.integers(-5, 50), st.integers(-5, 50), st.sampled_from(ENCODINGS))
def test_any_position_has_an_offset_in_its_line(data: bytes, line: int, character: int, encoding: Encoding) -> None:
    index = LineIndex(data)
    offset = index.to_offset(line, character, encoding)
    assert 0 <= offset <= len(data)
    if 0 <= line < len(index.starts):
        assert index.starts[line] <= offset <= index.starts[line] + len(index.line_bytes(line))


def test_a_form_feed_does_not_end_a_line() -> None:
    index = LineIndex(b"one\f\ntwo\x0bstill two\n")
    assert len(index.starts) == 3
    assert index.line_bytes(1) == b"two\x0bstill two"


def test_a_character_beyond_the_basic_plane_is_two_utf16_units_and_one_code_point() -> None:
    data = '"🐧" x'.encode()
    at = data.index(b"x")
    index = LineIndex(data)
    assert index.to_position(at, "utf-16") == (0, 5)
    assert index.to_position(at, "utf-32") == (0, 4)
    assert index.to_position(at, "utf-8") == (0, at)


def test_a_position_inside_a_surrogate_pair_is_its_start() -> None:
    assert LineIndex("🐧".encode()).to_offset(0, 1, "utf-16") == 0


def test_a_very_long_line_takes_linear_time() -> None:
    data = "é".encode() * 1000
    offsets = list(range(0, len(data), 20))
    assert positions(data, offsets, "utf-16")[-1] == (0, offsets[-1] // 2)
    assert_linear(lambda size: positions("é".encode() * size, range(0, 2 * size, 20), "utf-16"))


