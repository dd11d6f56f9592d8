"""Of several answers to one question, the one that the others agree with most, and how much they agree.

Minimum Bayes risk decoding with samples (Eikema and Aziz 2020): a small model's likeliest answer is often not the one
that most of its probability speaks for. Answers that have little in common say that the model does not know. The
likeness of two texts is chrF (Popovic 2015): the F-score, recall counting twice as much, of the n-grams of characters,
precision and recall averaged over n from 1 to 6.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from kexpert.features.explain.check import Evidence, checked_summary, finished_part, summary_line

#: Answers to ask for, and the agreement below which none of them is shown.
CANDIDATES, MIN_AGREEMENT = 8, 0.5
_MAX_ORDER = 6
_BETA = 2.0


def most_agreed(texts: Sequence[str]) -> tuple[int, float]:
    """(index of the text with the highest mean likeness to the others, the earlier of equals; that likeness, 0 to 1)"""
    if len(texts) == 1:
        return 0, 1.0
    grams = [_grams(text) for text in texts]
    agreed = [
        sum(_likeness(one, other) for at, other in enumerate(grams) if at != here) for here, one in enumerate(grams)
    ]
    best = max(agreed)
    return agreed.index(best), best / (len(texts) - 1)


def agreed_summary(
    answers: Sequence[tuple[str, bool]], evidence: Evidence, name: str, code: str, briefs: Sequence[str]
) -> str:
    """The line that most of several answers (text, whether it ended) agree on, if it may be shown; else "".

    For the other arguments see ``checked_summary``.
    """
    texts = [text if ended else finished_part(text) for text, ended in answers]
    at, agreement = most_agreed([summary_line(text, name) for text in texts])
    return checked_summary(texts[at], evidence, name, code, briefs) if agreement >= MIN_AGREEMENT else ""


def _grams(text: str) -> list[Counter[str]]:
    """The n-grams of a text without blanks, for each n."""
    text = "".join(text.split())
    return [Counter(text[at : at + n] for at in range(len(text) - n + 1)) for n in range(1, _MAX_ORDER + 1)]


def _likeness(text: list[Counter[str]], reference: list[Counter[str]]) -> float:
    """chrF, 0 to 1; orders for which either text is too short do not count."""
    pairs = [(one, other) for one, other in zip(text, reference, strict=True) if one and other]
    if not pairs:
        return 0.0
    common = [(one & other).total() for one, other in pairs]
    precision = sum(each / one.total() for each, (one, _) in zip(common, pairs, strict=True)) / len(pairs)
    recall = sum(each / other.total() for each, (_, other) in zip(common, pairs, strict=True)) / len(pairs)
    weighted = _BETA**2 * precision + recall
    return (1 + _BETA**2) * precision * recall / weighted if weighted else 0.0
