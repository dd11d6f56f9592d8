"""chrF, BLEU-4, ROUGE-L against values computed by sacrebleu 2.6.0, rouge-score 0.1.2 and by hand."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from kexpert_trainer.evaluation.text_metrics import bleu4, chrf, chrf_corpus, paired_bootstrap, rouge_l

PAIRS = [
    ("start the foo device", "Start a foo device."),
    ("read a single 16-bit value", "tpm_buf_read_u16 - Read a 16-bit value"),
    ("", "x"),
    ("ab", "abc"),
    ("a b c d e f g", "hijk"),
]


@pytest.mark.parametrize(
    ("pair", "expected"),
    list(zip(PAIRS, [57.62131995937635, 38.20212590003206, 0.0, 63.636363636363626, 0.0], strict=True)),
)
def test_chrf_of_a_sentence_is_that_of_sacrebleu(pair: tuple[str, str], expected: float) -> None:
    assert chrf(*pair) == pytest.approx(expected)


def test_chrf_of_a_corpus_is_that_of_sacrebleu() -> None:
    answers, references = zip(*PAIRS, strict=True)
    assert chrf_corpus(answers, references) == pytest.approx(42.100423706172776)


def test_chrf_by_hand() -> None:
    # "ab" beside "abc": unigrams P 1, R 2/3; bigrams P 1, R 1/2; no longer n-gram of the answer. P 1, R 7/12.
    assert chrf("ab", "abc") == pytest.approx(100 * 5 * (7 / 12) / (4 + 7 / 12))
    assert chrf("a b", "ab") == 100.0


def test_bleu_adds_one_to_the_longer_ngrams() -> None:
    # answer of 4 words, reference of 5: 3 of 4, 1 of 3, 0 of 2, 0 of 1
    precisions = [3 / 4, (1 + 1) / (3 + 1), 1 / (2 + 1), 1 / (1 + 1)]
    expected = 100 * math.prod(precisions) ** 0.25 * math.exp(1 - 6 / 5)
    assert bleu4("start the foo device", "Start a foo device.") == pytest.approx(expected)


def test_bleu_splits_names_at_underscores_and_ignores_case() -> None:
    assert bleu4("Foo_Bar baz", "foo _ bar BAZ") == 100.0
    assert bleu4("nothing", "in common") == 0.0
    assert bleu4("", "x") == 0.0


@pytest.mark.parametrize(("pair", "expected"), list(zip(PAIRS, [75.0, 200 / 3, 0, 0.0, 0.0], strict=True)))
def test_rouge_l_is_that_of_rouge_score(pair: tuple[str, str], expected: float) -> None:
    assert rouge_l(*pair) == pytest.approx(expected)


def test_rouge_l_counts_words_in_order_only() -> None:
    # the longest common subsequence of "b a c" and "a b c" has two words
    assert rouge_l("b a c", "a b c") == pytest.approx(200 * 2 / 6)


def test_a_constant_advantage_is_certain() -> None:
    found = paired_bootstrap([3.0, 4.0, 5.0], [1.0, 2.0, 3.0])
    assert (found.mean, found.low, found.high) == (2.0, 2.0, 2.0)
    assert found.p == 1 / 2000


def test_equal_writers_do_not_differ() -> None:
    found = paired_bootstrap([1.0, 2.0] * 20, [2.0, 1.0] * 20)
    assert found.mean == 0.0
    assert found.low < 0 < found.high
    assert found.p > 0.5


def test_more_functions_make_a_difference_more_certain() -> None:
    values = [paired_bootstrap([2.0, 0.0, 3.0] * count, [1.0, 1.0, 1.0] * count) for count in (3, 30, 100)]
    assert all(left.high - left.low > right.high - right.low for left, right in pairwise(values))


def test_nothing_to_compare_is_no_number() -> None:
    assert math.isnan(paired_bootstrap([], []).mean)
