"""Of several answers to one question, the one that the others agree with most.

Minimum Bayes risk decoding with samples (Eikema and Aziz 2020): a small model's likeliest answer is often not the one
that most of its probability speaks for. The likeness of two texts is chrF (Popovic 2015): the F-score, recall counting
twice as much, of the n-grams of characters, averaged over n from 1 to 6.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

_MAX_ORDER = 6
_BETA = 2.0


def most_agreed(texts: Sequence[str]) -> str:
    """The text with the highest mean likeness to the others, the earlier of equals; "" for none."""
    if not texts:
        return ""
    grams = [_grams(text) for text in texts]
    agreed = [
        sum(_likeness(one, other) for at, other in enumerate(grams) if at != here) for here, one in enumerate(grams)
    ]
    return texts[agreed.index(max(agreed))]


def _grams(text: str) -> list[Counter[str]]:
    """The n-grams of a text without blanks, for each n."""
    text = "".join(text.split())
    return [Counter(text[at : at + n] for at in range(len(text) - n + 1)) for n in range(1, _MAX_ORDER + 1)]


def _likeness(text: list[Counter[str]], reference: list[Counter[str]]) -> float:
    """chrF, 0 to 1; orders for which either text is too short do not count."""
    scores = []
    for one, other in zip(text, reference, strict=True):
        if not one or not other:
            continue
        common = (one & other).total()
        precision, recall = common / one.total(), common / other.total()
        weighted = _BETA**2 * precision + recall
        scores.append((1 + _BETA**2) * precision * recall / weighted if weighted else 0.0)
    return sum(scores) / len(scores) if scores else 0.0
