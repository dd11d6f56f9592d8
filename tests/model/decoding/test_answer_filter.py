"""Where answers end: stop texts and loops."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexpert.model.decoding.answer_filter import AnswerFilter

SENTENCE = "It starts the foo of a bar."


def shown(pieces: list[str], stop: tuple[str, ...] = ()) -> tuple[str, str]:
    """(all that is shown, why it ended)"""
    filtered = AnswerFilter(stop)
    text = "".join(map(filtered.add, pieces))
    return text + filtered.flush(), filtered.end


@pytest.mark.parametrize("size", [1, 2, 5, 100])
@pytest.mark.parametrize("stop", [("\n",), ("END", "\n\n", "\n"), ("", "\n")])
def test_an_answer_ends_before_the_first_stop_text(size: int, stop: tuple[str, ...]) -> None:
    text = "Start the foo\nand more END"
    assert shown([text[at : at + size] for at in range(0, len(text), size)], stop) == ("Start the foo", "stop")


def test_what_may_be_a_stop_text_is_held_back_until_it_is_clear() -> None:
    filtered = AnswerFilter(["<end>"])
    assert [filtered.add(piece) for piece in ("a <", "en", "ter> b <e")] == ["a ", "", "<enter> b "]
    assert filtered.flush() == "<e"


def test_a_sentence_that_was_said_already_ends_the_answer() -> None:
    text = f"{SENTENCE} It takes a lock. {SENTENCE} It takes a lock."
    assert shown(list(text)) == (f"{SENTENCE} It takes a lock. ", "loop")


def test_a_repeated_last_sentence_without_an_end_is_left_out() -> None:
    assert shown([f"{SENTENCE} ", SENTENCE]) == (f"{SENTENCE} ", "loop")


@pytest.mark.parametrize("unit", ["the ", "-", " and so on", "@foo: the foo, "])
def test_a_loop_ends_the_answer(unit: str) -> None:
    text, end = shown(["Start ", *[unit] * 500])
    assert end == "loop"
    assert len(text) < 60


def test_different_sentences_and_short_lines_may_go_on() -> None:
    text = "@a: the first\n@b: the second\n}\n}\nIt starts the foo. It stops the foo, if one is there. 0, 0, 0"
    assert shown(list(text)) == (text, "")


@given(st.text(alphabet="ab. \n", max_size=80), st.integers(1, 9), st.lists(st.text("ab\n", max_size=3), max_size=3))
def test_what_is_shown_begins_the_text_and_does_not_depend_on_the_pieces(text: str, size: int, stop: list[str]) -> None:
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    found, end = shown(pieces, tuple(stop))
    assert text.startswith(found)
    assert end or found == text
    if end != "loop":
        assert not any(each and each in found for each in stop)
