"""Metrics of ranked answers, where each question has one right answer; means of numbers that may be missing."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

DEPTH = 10  # answers that count


@dataclass(frozen=True, slots=True)
class RetrievalMetrics:
    """Means over the questions."""

    mrr: float  # MRR@10: mean of 1 / rank of the right answer, 0 below rank 10
    recall: float  # Recall@10
    first: float  # Recall@1
    questions: int


def retrieval_metrics(ranks: Sequence[int]) -> RetrievalMetrics:
    """``ranks`` of the right answers: 1 for the first, 0 if it is not among the first ten."""
    count = max(len(ranks), 1)
    return RetrievalMetrics(
        sum(1 / rank for rank in ranks if rank) / count,
        sum(1 for rank in ranks if rank) / count,
        sum(1 for rank in ranks if rank == 1) / count,
        len(ranks),
    )


def rank_of(answers: Sequence[Hashable], right: Hashable) -> int:
    """1 for the first answer; 0 if the right one is not among the first ten."""
    shown = list(answers[:DEPTH])
    return shown.index(right) + 1 if right in shown else 0


def mean(values: Iterable[float]) -> float:
    """Mean; NaN of nothing."""
    numbers = list(values)
    return math.fsum(numbers) / len(numbers) if numbers else math.nan


def percentile(values: Iterable[float], percent: float) -> float:
    """The value at or above ``percent`` of the others (a measured value, not interpolated); NaN of nothing.

    Missing values (NaN) are left out.
    """
    numbers = [value for value in values if not math.isnan(value)]
    return float(np.percentile(numbers, percent, method="higher")) if numbers else math.nan
