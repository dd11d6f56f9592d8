"""A gate between a neighbour's comment and a model: the neighbour, where it is like enough (by its cosine)."""

from __future__ import annotations

import math
from collections.abc import Sequence


def fit_gate(cosines: Sequence[float], neighbour: Sequence[float], model: Sequence[float]) -> float:
    """The least cosine from which the neighbour is taken, so that the mean score is best on these functions.

    ``neighbour`` and ``model`` are the scores of both on each function. Infinity: never take the neighbour.
    """
    order = sorted(range(len(cosines)), key=lambda at: -cosines[at])
    best, threshold = 0.0, math.inf
    gained = 0.0
    for place, at in enumerate(order):
        gained += neighbour[at] - model[at]
        is_last_of_equals = place + 1 == len(order) or cosines[order[place + 1]] < cosines[at]
        if is_last_of_equals and gained > best:
            best, threshold = gained, cosines[at]
    return threshold


def gated(threshold: float, cosines: Sequence[float], neighbour: Sequence[str], model: Sequence[str]) -> list[str]:
    """The answers of both, as the gate chooses."""
    return [
        one if cosine >= threshold else other
        for cosine, one, other in zip(cosines, neighbour, model, strict=True)
    ]  # fmt: skip
