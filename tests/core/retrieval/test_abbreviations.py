"""Names that write several words as one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexpert.core.retrieval.abbreviations import Spelled, contracted, contractions
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
    assert contracted(word, asked) is not None and Spelled(asked).says(word)
    assert word in contractions(asked)


def test_a_contraction_covers_all_the_words_that_it_stands_for() -> None:
    asked = query_stems("create a completion event queue")
    assert Spelled(asked).covered(stems("create_ceq")) == set(range(4))
    assert Spelled(asked).covered(stems("create_queue")) == {0, 3}


def test_a_word_in_two_parts_and_one_with_letters_left_out_are_covered() -> None:
    asked = ["soundcard", "mailbox"]
    assert Spelled(asked).covered(["sound", "card"]) == {0}
    assert Spelled(asked).covered(["mlbx"]) == {1} and not Spelled(asked).says("mlbx")


def test_what_only_begins_alike_is_no_contraction() -> None:
    asked = query_stems("read the register of a device")
    assert contracted("readahead", asked) is None and contracted("read", asked) is None
    assert not Spelled(asked).says("rd2x")


@given(st.data())
def test_any_beginnings_one_behind_the_other_are_a_contraction(data: st.DataObject) -> None:
    asked = data.draw(st.lists(st.text("abc", min_size=1, max_size=4), min_size=2, max_size=8))
    first = data.draw(st.integers(0, len(asked) - 2))
    run = asked[first : first + data.draw(st.integers(2, 5))]
    word = "".join(part[: data.draw(st.integers(1, len(part)))] for part in run)
    found = contracted(word, asked)
    assert found is not None and found[1] - found[0] >= len(run)
