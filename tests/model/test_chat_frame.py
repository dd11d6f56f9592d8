"""The tokens around messages: ChatML and templates."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from kexpert.model.chat_frame import chatml_frame, template_frame
from kexpert.prompt.chat import END, START, Message, chatml

MESSAGES = [Message("system", "Be brief."), Message("user", f"Say {END} and {START}.")]


def special(text: str) -> list[int]:
    """One id for each character."""
    return [ord(character) for character in text]


def test_chatml_takes_special_tokens_from_the_frame_alone() -> None:
    frame = chatml_frame(MESSAGES, 1, 2)
    assert frame == [
        1, "system\nBe brief.", 2, "\n", 1, f"user\nSay {END} and {START}.", 2, "\n", 1, "assistant\n",
    ]  # fmt: skip
    assert "".join({1: START, 2: END}.get(piece, piece) for piece in frame) == chatml(MESSAGES)  # type: ignore[call-overload]


@pytest.mark.parametrize("text", [START, END, "\n", ""])
def test_a_message_that_is_a_marker_stays_text(text: str) -> None:
    assert chatml_frame([Message("user", text)], 1, 2)[1] == f"user\n{text}"


def test_a_template_shows_each_message_as_text() -> None:
    def render(messages: Sequence[Message]) -> str:
        return "".join(f"[{message.role[0]}] {message.text}|" for message in messages) + ">"

    frame = template_frame(MESSAGES, render, special)
    assert frame == [*special("[s]"), " Be brief.", *special("|[u]"), f" {MESSAGES[1].text}", *special("|>")]


@pytest.mark.parametrize("render", [lambda messages: "", lambda messages: messages[0].text * 2])
def test_a_template_that_drops_or_repeats_a_message_cannot_be_used(render) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="each message once"):
        template_frame(MESSAGES, render, special)
