"""Splits a corpus by subsystem and file family: copies of a driver are never on both sides.

A unit goes to one split as a whole. It is a subsystem, with the headers that belong to its files. Subsystems that the
evaluation holds out (``data.subsystems``) are always in the test split.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from kexpert_trainer.data.rows import Row
from kexpert_trainer.data.subsystems import is_held_out_subsystem, subsystem_of

SPLITS = ("train", "validation", "test")
SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}
#: A unit with more than this share of the rows is for training: it would fill a held-out split alone.
_MAX_HELD_OUT_SHARE = 0.03


def split_rows(rows: Sequence[Row]) -> dict[str, str]:
    """Row id -> split. The shares hold for each task as nearly as whole units allow."""
    units = families(row.path for row in rows)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        counts[units[row.path]][row.task] += 1
    splits = assign(counts)
    return {row.id: splits[units[row.path]] for row in rows}


def families(paths: Iterable[str]) -> dict[str, str]:
    """Path -> unit. A header under include/ is in the unit of the one subsystem that has a C file of its name."""
    known = sorted(set(paths))
    owners: dict[str, set[str]] = defaultdict(set)
    for path in known:
        if path.endswith(".c"):
            owners[_stem(path)].add(subsystem_of(path))
    units = {}
    for path in known:
        owner = owners.get(_stem(path), set()) if path.startswith("include/") else set()
        units[path] = next(iter(owner)) if len(owner) == 1 else subsystem_of(path)
    return units


def assign(counts: Mapping[str, Mapping[str, int]]) -> dict[str, str]:
    """Unit -> split, for units with their rows by task.

    Units come in the order of their hash; each goes to the split that lacks most of what the unit has.
    """
    totals: Counter[str] = Counter()
    for by_task in counts.values():
        totals.update(by_task)
    all_rows = totals.total()
    filled = {split: Counter[str]() for split in SPLITS}
    splits = {}

    def lack(split: str, by_task: Mapping[str, int]) -> float:
        """How far a split is from its share of the tasks that a unit has, in shares of the split."""
        missing = (
            by_task[task] * (1 - filled[split][task] / max(SHARES[split] * totals[task], 1e-9)) for task in by_task
        )
        return sum(missing)

    for unit in sorted(counts, key=lambda unit: (not is_held_out_unit(unit), _hash(unit))):
        by_task = counts[unit]
        if is_held_out_unit(unit):
            split = "test"
        elif sum(by_task.values()) > _MAX_HELD_OUT_SHARE * all_rows:
            split = "train"
        else:
            split = max(SPLITS, key=lambda split: lack(split, by_task))
        filled[split].update(by_task)
        splits[unit] = split
    return splits


def is_held_out_unit(unit: str) -> bool:
    """True for a unit whose subsystem no model is trained on."""
    return is_held_out_subsystem(unit if unit.startswith("include/") else f"{unit}/x.c")


def _stem(path: str) -> str:
    return path.rpartition("/")[2].partition(".")[0]


def _hash(unit: str) -> str:
    return hashlib.sha256(f"split {unit}".encode("utf-8", "replace")).hexdigest()
