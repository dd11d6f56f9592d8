"""Abbreviations that join several words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexpert.core.retrieval.abbreviations import NameMatcher, abbreviated_run, candidate_abbreviations
from kexpert.core.retrieval.words import query_stems, stems


@pytest.mark.parametrize(
    ("text", "name", "abbreviation"),
    [
        ("create the completion event queue", "frob_create_ceq", "ceq"),
        ("bytes of tail room", "skb_tailroom", "tailroom"),
        ("set protocol specific flags", "desc_set_psflags", "psflags"),
        ("initialize tx queues", "frob_txq_init", "txq"),
        ("extract the destination SAP", "frob_dsap", "dsap"),
    ],
)
def test_an_abbreviation_matches_the_words_of_the_query(text: str, name: str, abbreviation: str) -> None:
    query = query_stems(text)
    (word,) = stems(abbreviation)
    assert word in stems(name)
    assert abbreviated_run(word, query) is not None and list(NameMatcher(query).mentioned([word])) == [True]
    assert word in candidate_abbreviations(query)


def test_an_abbreviation_covers_all_words_that_it_joins() -> None:
    query = query_stems("create a completion event queue")
    assert NameMatcher(query).covered_words(stems("create_ceq")) == set(range(4))
    assert NameMatcher(query).covered_words(stems("create_queue")) == {0, 3}


def test_split_words_and_clipped_words_are_covered() -> None:
    query = ["soundcard", "mailbox"]
    assert NameMatcher(query).covered_words(["sound", "card"]) == {0}
    assert NameMatcher(query).covered_words(["mlbx"]) == {1} and list(NameMatcher(query).mentioned(["mlbx"])) == [False]


def test_a_common_beginning_is_no_abbreviation() -> None:
    query = query_stems("read the register of a device")
    assert abbreviated_run("readahead", query) is None and abbreviated_run("read", query) is None
    assert list(NameMatcher(query).mentioned(["rd2x"])) == [False]


@given(st.data())
def test_any_prefixes_of_consecutive_words_are_an_abbreviation(data: st.DataObject) -> None:
    query = data.draw(st.lists(st.text("abc", min_size=1, max_size=4), min_size=2, max_size=8))
    first = data.draw(st.integers(0, len(query) - 2))
    run = query[first : first + data.draw(st.integers(2, 5))]
    word = "".join(part[: data.draw(st.integers(1, len(part)))] for part in run)
    found = abbreviated_run(word, query)
    assert found is not None and found[1] - found[0] >= len(run)
