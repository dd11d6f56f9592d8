"""Which tokens the brackets of a statement allow."""

from __future__ import annotations

import time

import pytest

from kexpert.model.decoding.brackets import BracketFilter

PIECES = [b"", b"x", b")", b"))", b");", b"));\n", b";", b"(", b"[i]", b"(a);", b'");', b"\xff"]
BRACKETS = BracketFilter(PIECES)
CLOSING = [b")", b"))", b");", b"));\n", b";", b"(a);"]


@pytest.mark.parametrize(
    ("before", "allowed"),
    [
        (b"\tf(", [b")", b");"]),
        (b"\tif (f(a", [b")", b"))", b"));\n"]),
        (b"\tx = a", [b";", b"(a);"]),
        (b"\tf(a);\n\tx", [b";", b"(a);"]),
        (b"\tfor (i = 0", [b")", b");", b";", b"(a);"]),
        (b"\tbefore_for_it(1", [b")", b");"]),
        (b"\tf(')', \")\"", [b")", b");"]),
        (b"\tf(\"a ", CLOSING),
        (b"/* it's so ( */\n\tx", [b";", b"(a);"]),
        (b"", [b";", b"(a);"]),
    ],
)
def test_what_is_open_is_closed_before_the_statement_ends(before: bytes, allowed: list[bytes]) -> None:
    mask = BRACKETS.allowed_after(before)
    assert [piece for at, piece in enumerate(PIECES) if piece in CLOSING and (mask is None or mask[at])] == allowed


@pytest.mark.parametrize("text", [b"(" * 100_000, b")" * 100_000, b'"' * 99_999, b"\\" * 100_000, b"\xff" * 100_000])
def test_nonsense_takes_no_time(text: bytes) -> None:
    began = time.process_time()
    BRACKETS.allowed_after(text)
    assert time.process_time() - began < 0.5


def test_what_has_no_brackets_is_always_allowed() -> None:
    mask = BRACKETS.allowed_after(b"f(((a")
    assert mask is not None
    assert all(mask[PIECES.index(piece)] for piece in (b"x", b"(", b"[i]", b"\xff", b'");'))
