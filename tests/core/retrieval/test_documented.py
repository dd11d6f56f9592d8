"""Documented neighbours: which are chosen, and that every process chooses the same."""

from __future__ import annotations

import os
import subprocess
import sys

from kexpert.core.retrieval.documented import nearest_documented

PROGRAM = """
import itertools
from kexpert.core.retrieval.documented import nearest_documented

words = ("read", "header", "alloc", "entry", "disk", "table", "block", "last", "sector")
names = ["_".join(each) for each in itertools.permutations(words, 4)][::7]
candidates = [(name, "brief") for name in names]
print([nearest_documented(name, candidates, 5) for name in names[::20]])
"""


def test_names_that_share_rare_words_come_first() -> None:
    candidates = [("toy_play", "Play"), ("toy_wind_spring", "Wind"), ("toy_stop", "Stop"), ("toy_spring", "")]
    assert nearest_documented("toy_check_spring", candidates, 1) == [("toy_wind_spring", "Wind")]
    assert "toy_spring" not in dict(nearest_documented("toy_check_spring", candidates, 9))


def test_every_process_chooses_the_same_neighbours() -> None:
    """Sets of strings have another order in each process, so a sum over one must not depend on it."""

    def chosen(seed: int) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
        done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert len({chosen(seed) for seed in range(4)}) == 1
