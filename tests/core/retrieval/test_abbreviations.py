"""Names that write several words as one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexpert.core.retrieval.abbreviations import NameMatcher, abbreviated_run, candidate_abbreviations
from kexpert.core.retrieval.words import query_stems, stems


@pytest.mark.parametrize(
    ("question", "name", "said"),
    [
        ("create the completion event queue", "frob_create_ceq", "ceq"),
        ("bytes of tail room", "skb_tailroom", "tailroom"),
        ("set protocol specific flags", "desc_set_psflags", "psflags"),
        ("initialize tx queues", "frob_txq_init", "txq"),
        ("extract the destination SAP", "frob_dsap", "dsap"),
    ],
)
def test_a_name_says_what_it_contracts(question: str, name: str, said: str) -> None:
    asked = query_stems(question)
    (word,) = stems(said)
    assert word in stems(name)
    assert abbreviated_run(word, asked) is not None and NameMatcher(asked).mentions(word)
    assert word in candidate_abbreviations(asked)


def test_a_contraction_covers_all_the_words_that_it_stands_for() -> None:
    asked = query_stems("create a completion event queue")
    assert NameMatcher(asked).covered_words(stems("create_ceq")) == set(range(4))
    assert NameMatcher(asked).covered_words(stems("create_queue")) == {0, 3}


def test_a_word_in_two_parts_and_one_with_letters_left_out_are_covered() -> None:
    asked = ["soundcard", "mailbox"]
    assert NameMatcher(asked).covered_words(["sound", "card"]) == {0}
    assert NameMatcher(asked).covered_words(["mlbx"]) == {1} and not NameMatcher(asked).mentions("mlbx")


def test_what_only_begins_alike_is_no_contraction() -> None:
    asked = query_stems("read the register of a device")
    assert abbreviated_run("readahead", asked) is None and abbreviated_run("read", asked) is None
    assert not NameMatcher(asked).mentions("rd2x")


@given(st.data())
def test_any_beginnings_one_behind_the_other_are_a_contraction(data: st.DataObject) -> None:
    asked = data.draw(st.lists(st.text("abc", min_size=1, max_size=4), min_size=2, max_size=8))
    first = data.draw(st.integers(0, len(asked) - 2))
    run = asked[first : first + data.draw(st.integers(2, 5))]
    word = "".join(part[: data.draw(st.integers(1, len(part)))] for part in run)
    found = abbreviated_run(word, asked)
    assert found is not None and found[1] - found[0] >= len(run)
