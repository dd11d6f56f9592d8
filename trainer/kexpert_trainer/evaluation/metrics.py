"""How good ranked answers are when each question has one right answer."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figures:
    """Means over the questions; ``mrr`` and ``recall`` look at the first ten answers."""

    mrr: float
    recall: float
    first: float  # the share whose first answer is right
    questions: int


def figures(answers: Sequence[Sequence[Hashable]], right: Sequence[Hashable]) -> Figures:
    return of_places([place_of(each, truth) for each, truth in zip(answers, right, strict=True)])


def of_places(places: Sequence[int]) -> Figures:
    """``places`` of the right answers, 1 for the first, 0 for one that is not among the first ten."""
    count = max(len(places), 1)
    return Figures(
        sum(1 / place for place in places if place) / count,
        sum(1 for place in places if place) / count,
        sum(1 for place in places if place == 1) / count,
        len(places),
    )


def place_of(answers: Sequence[Hashable], truth: Hashable, depth: int = 10) -> int:
    """1 for the first answer; 0 when the right one is not among the first ``depth``."""
    for place, answer in enumerate(answers[:depth], 1):
        if answer == truth:
            return place
    return 0
