"""The order of search results."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kexpert.core.retrieval.chunk import ChunkKind
from kexpert.core.retrieval.products import product
from kexpert.core.retrieval.ranking_features import FEATURES, CandidateFields, features
from kexpert.core.retrieval.words import stems
from kexpert.search.reranker import Candidate, fuse, rerank


def candidate(
    name: str, code: str = "", lexical: float = 0.0, vector: float = 0.0, comment: str = "", in_comment: float = 0.0
) -> Candidate:
    words, told = (" ".join(dict.fromkeys(stems(text))) for text in (f"{name} {code}", comment))
    return Candidate(name, ChunkKind.FUNCTION, "mm/page.c", words, told, False, lexical, in_comment, vector)


def test_candidates_of_both_retrievers_come_before_the_first_of_one() -> None:
    both, words, vectors = candidate("both", "", 5, 0.5), candidate("words", "", 9, 0), candidate("vectors", "", 0, 0.9)
    assert fuse([words, vectors, both])[0][1].name == "both"


def test_the_function_with_the_name_comes_first() -> None:
    found = [
        candidate("folio_wait_writeback", "folio_test_writeback io_schedule", 8, 0.7),
        candidate("folio_end_writeback", "folio_test_clear_writeback wake", 8, 0.7),
        candidate("page_cache_alloc", "alloc folio writeback wait", 8.1, 0.71),
        candidate("wait_event", "schedule", 6, 0.6),
    ]
    ranked = rerank("wait until writeback of a folio has finished", found)
    assert ranked[0][1].name == "folio_wait_writeback"
    assert [score for score, _ in ranked] == sorted((score for score, _ in ranked), reverse=True)


@pytest.mark.parametrize(("asked", "name"), [("delete", "remove"), ("print", "show"), ("stop", "disable")])
def test_a_synonym_in_the_name_counts_more_than_the_word_somewhere_in_the_code(asked: str, name: str) -> None:
    found = [
        candidate(f"widget_{name}", "struct widget static void list lock", 5, 0.6),
        candidate("widget_count", f"struct widget static sprintf {asked} buf", 5.5, 0.5),
        candidate("widget_open", "struct widget inode file", 5, 0.45),
    ]
    assert rerank(f"{asked} a widget", found)[0][1].name == f"widget_{name}"


def test_an_undocumented_function_that_does_what_is_asked_is_not_buried_by_comments_that_share_words() -> None:
    said = {
        "sfp_probe": "Allocate the state of an SFP device and get its name from the firmware node.",
        "sfp_module_start": "Called when the module of a device is there. The name of the device is logged.",
        "phylink_sfp_attach": "Attach a device to the SFP upstream, by name.",
        "sfp_check_state": "Get the state of the device.",
    }
    others = [candidate(name, "struct device int dev", 4, 0.5, text, 9) for name, text in said.items()]
    wanted = candidate("sfp_get_name", "struct sfp char const return dev name device", 10, 0.8)
    for found in ([*others, wanted], [wanted, *others]):
        assert rerank("get the SFP device name", found)[0][1].name == "sfp_get_name"


def test_a_comment_that_says_what_is_asked_brings_its_function_to_the_front() -> None:
    others = [candidate(f"frob_{at}_release", "int ring", 5, 0.5) for at in range(20)]
    wanted = candidate("frob_quiesce", "writel base port", 2, 0.3, "Make a port silent before it is released.", 9)
    assert rerank("make a port silent", [*others, wanted])[0][1].name == "frob_quiesce"


def test_the_order_does_not_depend_on_that_of_the_candidates() -> None:
    found = [candidate(f"frob_{at}", "same code", 1, 0.5) for at in range(20)]
    names = [each.name for _, each in rerank("frob", found)]
    assert names == [each.name for _, each in rerank("frob", found[::-1])]


@given(st.randoms(use_true_random=False), st.integers(1, 120))
@settings(deadline=None)
def test_equal_candidates_get_equal_scores_wherever_they_are_listed(random: Random, others: int) -> None:
    found = [candidate(f"frob_{at}", "same code", 1, 0.5) for at in range(7)]
    found += [candidate(f"widget_{at}_get", f"word{at} frob code", at / 7, at / 120) for at in range(others)]
    listed = rerank("frob the widget", found)
    random.shuffle(found)
    assert [(score, each.name) for score, each in rerank("frob the widget", found)] == [
        (score, each.name) for score, each in listed
    ]
    assert len({score for score, each in listed if each.name.startswith("frob")}) == 1


def test_a_product_is_the_same_in_any_row_and_column() -> None:
    random = np.random.default_rng(1)
    row, column = random.normal(size=256).astype(np.float32), random.normal(size=256).astype(np.float32)
    alone = product(row[None], column[:, None])[0, 0]
    np.testing.assert_allclose(alone, float(row.astype(np.float64) @ column.astype(np.float64)), atol=1e-5)
    for rows, columns in ((1, 40), (40, 1), (33, 7), (200, 65)):
        assert (product(np.tile(row, (rows, 1)), np.tile(column[:, None], columns)) == alone).all()


def test_ubiquitous_words_leave_the_fused_order() -> None:
    found = [candidate("widget_get", "", 1e-6, 0.2), candidate("other", "", 2e-6, 0.9)]
    assert rerank("widget get", found) == fuse(found)


def test_an_empty_query_or_no_candidates_is_no_error() -> None:
    assert rerank("anything", []) == []
    assert len(rerank("", [candidate("a"), candidate("b")])) == 2


@given(st.text(max_size=60), st.lists(st.tuples(st.text(max_size=20), st.text(max_size=60)), max_size=8))
def test_any_text_is_ranked(query: str, found: list[tuple[str, str]]) -> None:
    ranked = rerank(query, [candidate(name, code) for name, code in found])
    assert len(ranked) == len(found)
    assert all(np.isfinite(score) for score, _ in ranked)


def test_features_compare_words_and_vectors() -> None:
    """The vector of ``drop`` is near that of ``put``; none is near that of ``frob``."""
    vectors = {"put": (1.0, 0.0), "drop": (0.8, 0.6), "frob": (0.0, -1.0), "ref": (0.0, 1.0)}

    def lexicon(words):  # type: ignore[no-untyped-def]
        return np.array([vectors.get(word, (0.0, 0.0)) for word in words], np.float32), np.ones(len(words), np.float32)

    entries = [
        CandidateFields(["drop", "ref"], ["frob"], []),
        CandidateFields(["frob"], ["put", "ref"], [], static=True),
    ]
    rows = features(["put", "ref"], entries, lexicon, lambda words: np.array([3.0, 1.0], np.float32))
    of = {name: rows[:, at] for at, name in enumerate(FEATURES)}
    np.testing.assert_allclose(of["name"], [0.5, 0])
    np.testing.assert_allclose(of["name soft"], [0.9, 0], atol=1e-6)
    np.testing.assert_allclose(of["name weighed"], [0.85, 0], atol=1e-6)  # "put" counts three times as much as "ref"
    np.testing.assert_allclose(of["soft bigrams in name"], [0.8, 0], atol=1e-6)
    np.testing.assert_allclose(of["body"], [0, 1])
    np.testing.assert_allclose(of["weakest"], [0.8, 1], atol=1e-6)
    np.testing.assert_allclose(of["name used"], [0.5, 0])
    drop, ref, asked = np.array((0.8, 0.6)), np.array((0.0, 1.0)), np.array((1.0, 1.0))
    whole = (drop + ref) @ asked / np.linalg.norm(drop + ref) / np.linalg.norm(asked)
    np.testing.assert_allclose(of["name cosine"], [whole, -np.sqrt(0.5)], atol=1e-6)
    assert of["static"].tolist() == [0, 1]


def test_a_bigram_of_the_query_counts_only_where_both_words_are_neighbours() -> None:
    comments = (["stop", "queue"], ["queue", "stop"], ["stop", "a", "queue"])
    entries = [CandidateFields([], [], [], comment) for comment in comments]
    words = ["stop", "queue"]

    def lexicon(asked):  # type: ignore[no-untyped-def]
        return np.zeros((len(asked), 2), np.float32), np.ones(len(asked), np.float32)

    rows = features(words, entries, lexicon, lambda asked: np.ones(len(asked), np.float32))
    assert rows[:, FEATURES.index("bigrams in opening")].tolist() == [1, 0, 0]


def test_all_candidates_are_told_how_well_the_best_comment_answers() -> None:
    entries = [CandidateFields(["a"], [], []), CandidateFields(["b"], [], [], ["stop"])]

    def lexicon(asked):  # type: ignore[no-untyped-def]
        return np.zeros((len(asked), 2), np.float32), np.ones(len(asked), np.float32)

    rows = features(["stop"], entries, lexicon, lambda asked: np.ones(len(asked), np.float32))
    assert rows[:, FEATURES.index("best opening")].tolist() == [1, 1]
    assert rows[:, FEATURES.index("share commented")].tolist() == [0.5, 0.5]
