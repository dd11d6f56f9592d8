"""What of a model's answer is shown: sentences that cite their sources and name nothing else."""

from __future__ import annotations

import pytest

from kexpert.features.ask.ask import Answer, Citation
from kexpert.features.ask.model_answer import checked_answer, messages
from kexpert.prompt.chat import SMALL

FOUND = Answer(
    "How is a toy wound?", "", "sources",
    (
        Citation("drivers/toy.c", 4, "toy_wind() takes &toy->lock (mutex)"),
        Citation("Documentation/toy.rst", 9, "Winding: A toy is wound with a key."),
        Citation("drivers/toy.c", 8, "toy_wind() returns -EINVAL if !toy || turns < 0"),
    ),
)  # fmt: skip


def checked(text: str) -> Answer:
    return checked_answer(FOUND, text, "parrot", "")


def test_a_cited_sentence_is_kept_and_the_numbers_follow_the_citations() -> None:
    found = checked("A toy is wound with a key [2].")
    assert (found.text, found.origin, found.model) == ("A toy is wound with a key [1].", "model", "parrot")
    assert found.citations == (FOUND.citations[1],)
    assert found.others == (FOUND.citations[0], FOUND.citations[2])


def test_citations_after_the_full_stop_and_in_lists() -> None:
    assert checked("A toy is wound with a key. [2]").text == "A toy is wound with a key [1]."
    assert checked("toy_wind() takes &toy->lock to wind a toy [1, 2].").text.endswith("[1] [2].")


def test_code_of_a_source_is_kept_as_it_is() -> None:
    assert checked("-EINVAL if !toy || turns < 0 [3]").text == "-EINVAL if !toy || turns < 0 [1]."
    assert checked("&toy->lock (mutex) [1]").text == "&toy->lock (mutex) [1]."


@pytest.mark.parametrize(
    "text",
    [
        "A toy is wound with a key.",  # no source
        "A toy is wound with a key [7].",
        "A toy is wound with a key [0].",
        "toy_stop() stops it [1].",
        "It takes the spring_lock [1].",
        "toy_wind() returns -ENOMEM [3].",
        "It takes &toy->lock [2].",  # another source says so
        "[1]",
        "The sources do not say.",
        "<script>alert(1)</script> [2]",
        "See http://example.org/ [2].",
        "",
    ],
)
def test_other_sentences_are_cut(text: str) -> None:
    assert checked(text) is FOUND


def test_what_is_borne_out_stays_beside_what_is_cut() -> None:
    found = checked("A toy is wound with a key [2]. It is made by toy_factory() [2]. It takes &toy->lock [1].")
    assert found.text == "A toy is wound with a key [1]. It takes &toy->lock [2]."
    assert [each.path for each in found.citations] == ["Documentation/toy.rst", "drivers/toy.c"]


def test_the_prompt_numbers_the_sources_with_their_places() -> None:
    text = messages(FOUND, SMALL)[-1].text
    assert "[1] drivers/toy.c:5: toy_wind() takes &toy->lock (mutex)\n[2] Documentation/toy.rst:10: Winding" in text
    assert text.endswith("Question: How is a toy wound?")
