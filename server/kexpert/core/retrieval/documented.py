"""Documented neighbours of a symbol: functions nearby whose kernel-doc shows the style and the terms of a file."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from kexpert.core.retrieval.words import stems


def nearest_documented(name: str, candidates: Sequence[tuple[str, str]], count: int) -> list[tuple[str, str]]:
    """The ``count`` candidates (name, brief) whose names share most with ``name``, best first.

    A shared stem counts by its rarity among the candidates, so the prefix that all of them have counts little. The
    order of the candidates decides ties: give the nearest first. ``name`` itself is left out.
    """
    others = [(stems(other), (other, brief)) for other, brief in candidates if other != name and brief]
    frequency = Counter(stem for words, _ in others for stem in set(words))
    wanted = set(stems(name))

    def weight(words: set[str]) -> float:
        # fsum: a set has another order in each process, and a plain sum depends on the order
        return math.fsum(math.log((len(others) + 1) / (frequency[word] + 0.5)) for word in words)

    def score(words: Sequence[str]) -> float:
        own = set(words)
        return weight(own & wanted) / math.sqrt(max(weight(own), 0.1))

    ranked = sorted(range(len(others)), key=lambda at: (-score(others[at][0]), at))
    return [others[at][1] for at in ranked[:count]]
