"""The answer that the others agree with most."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kexpert.features.explain.agreement import MIN_AGREEMENT, most_agreed


def test_the_odd_one_out_is_not_kept() -> None:
    texts = ["Stop the motor", "Free the buffers of a queue", "Free all buffers of the queue", "Free the buffers"]
    assert texts[most_agreed(texts)[0]] == "Free the buffers of a queue"
    assert texts[::-1][most_agreed(texts[::-1])[0]] == "Free the buffers of a queue"


def test_the_first_of_equals_is_kept() -> None:
    assert most_agreed(["Start a toy", "Start a toy"]) == (0, 1.0)
    assert most_agreed(["Start a toy"]) == (0, 1.0)


def test_answers_that_have_little_in_common_do_not_agree() -> None:
    _, alike = most_agreed(["Free the buffers of a queue", "Free all buffers of a queue", "Free buffers of the queue"])
    _, unlike = most_agreed(["Start a toy", "Free the queue", "Register a bus"])
    assert unlike < 0.2 < MIN_AGREEMENT < alike


@given(st.lists(st.text(max_size=30), min_size=1, max_size=6))
def test_one_of_the_texts_is_kept(texts: list[str]) -> None:
    at, agreement = most_agreed(texts)
    assert 0 <= at < len(texts)
    assert 0 <= agreement <= 1


@given(st.text("abcdefgh", min_size=1, max_size=30), st.text("stuvwxyz", max_size=30))
def test_a_majority_of_equal_texts_wins(text: str, other: str) -> None:
    assert most_agreed([other, text, text])[0] == 1
