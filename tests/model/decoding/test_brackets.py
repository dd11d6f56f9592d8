"""Tokens that the brackets of a statement allow."""

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
def test_brackets_are_closed_before_the_statement_ends(before: bytes, allowed: list[bytes]) -> None:
    mask = BRACKETS.allowed_after(before)
    assert [piece for at, piece in enumerate(PIECES) if piece in CLOSING and (mask is None or mask[at])] == allowed


@pytest.mark.parametrize("text", [b"(", b")", b'"', b"\\", b"\xff"])
def test_the_time_does_not_grow_with_the_text(text: bytes) -> None:
    assert seconds_for(text * 400_000) < 3 * seconds_for(text * 100_000) + 0.01


def seconds_for(text: bytes) -> float:
    """CPU time, the best of five runs."""
    times = []
    for _ in range(5):
        start = time.process_time()
        BRACKETS.allowed_after(text)
        times.append(time.process_time() - start)
    return min(times)


def test_tokens_without_closing_brackets_are_always_allowed() -> None:
    mask = BRACKETS.allowed_after(b"f(((a")
    assert mask is not None
    assert all(mask[PIECES.index(piece)] for piece in (b"x", b"(", b"[i]", b"\xff", b'");'))
