"""The answer that the others agree with most."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kexpert.features.explain.agreement import most_agreed


def test_the_odd_one_out_is_not_kept() -> None:
    texts = ["Stop the motor", "Free the buffers of a queue", "Free all buffers of the queue", "Free the buffers"]
    assert most_agreed(texts) == "Free the buffers of a queue"
    assert most_agreed(texts[::-1]) == "Free the buffers of a queue"


def test_the_first_of_equals_is_kept() -> None:
    assert most_agreed(["Start a toy", "stop"]) == "Start a toy"
    assert most_agreed(["Start a toy"]) == "Start a toy"
    assert most_agreed([]) == ""


@given(st.lists(st.text(max_size=30), min_size=1, max_size=6))
def test_one_of_the_texts_is_kept(texts: list[str]) -> None:
    assert most_agreed(texts) in texts


@given(st.text("abcdefgh", min_size=1, max_size=30), st.text("stuvwxyz", max_size=30))
def test_a_majority_of_equal_texts_wins(text: str, other: str) -> None:
    assert most_agreed([other, text, text]) == text
