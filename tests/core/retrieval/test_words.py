"""Tokenization and stemming of identifiers and prose."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexpert.core.retrieval.words import query_stems, split_words, stem, stems
from tests.support.complexity import assert_linear


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("folio_wait_writeback", "folio wait writeback"),
        ("PCIeLinkUp", "pcie link up"),
        ("HTTPServer", "http server"),
        ("GEN8_PPAT_LO", "gen8 ppat lo"),
        ("phyReset2(u32 *i2c)", "phy reset2 u32 i2c"),
        ("online CPUs don't sleep", "online cpus don sleep"),
        ("x = 0xdeadbeef + 10UL * i;", ""),
        ("__alloc_pages", "alloc pages"),
        ("a" * 41 + " kept", "kept"),
    ],
)
def test_identifiers_are_split_into_words(text: str, words: str) -> None:
    assert split_words(text) == words.split()


@pytest.mark.parametrize(
    "family",
    [
        "allocate allocates allocated allocating allocation allocator alloc",
        "initialize initializes initialized initialization init",
        "map maps mapped mapping",
        "free frees freed freeing",
        "register registers registered registration reg",
        "device devices dev",
        "write writes writing written",
        "query queries",
        "address addresses addr",
        "interrupt interrupts irq",
    ],
)
def test_related_words_have_one_stem(family: str) -> None:
    assert len({stem(word) for word in family.split()}) == 1


@pytest.mark.parametrize("pair", ["status state", "bus buf", "release read", "lock block", "process procfs"])
def test_unrelated_words_have_different_stems(pair: str) -> None:
    one, other = pair.split()
    assert stem(one) != stem(other)


def test_query_stems_are_distinct_and_without_stop_words() -> None:
    asked = query_stems("Where do we wait for the writeback of a folio, and who waits?")
    assert asked == stems("wait writeback folio")


def test_a_query_of_stop_words_alone_keeps_them() -> None:
    assert query_stems("what if not") == stems("what if not")


@given(st.text())
def test_words_of_any_text_are_lower_case(text: str) -> None:
    for word in split_words(text):
        assert word == word.lower()
        assert word.isalnum()
        assert word.isascii()
        assert stem(word)


@pytest.mark.parametrize("piece", ["a", "aA", "a1_", "é"])
def test_a_long_line_takes_linear_time(piece: str) -> None:
    assert_linear(lambda size: split_words(piece * size))
