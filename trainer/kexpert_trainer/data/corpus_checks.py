"""Checks of a corpus as a whole: how its rows are distributed, and whether its splits leak into each other."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

from datasketch import MinHashLSH

from kexpert_trainer.data.near_duplicates import minhash_of, signature
from kexpert_trainer.data.rows import Row
from kexpert_trainer.data.subsystems import subsystem_of

#: A subsystem may have at most this share of the rows, a file and a repeated answer at most so many rows.
MAX_SUBSYSTEM_SHARE = 0.2
MAX_FILE_ROWS = 400
MAX_SAME_ANSWERS = 20
#: A held-out row leaks if a row for training has a symbol whose text is at least this similar (Jaccard of token runs).
LEAK_SIMILARITY = 0.7
_PERMUTATIONS = 64


def excess_rows(rows: Sequence[Row]) -> dict[str, str]:
    """Row id -> why it is too many of its kind. Of each group, the first rows in the order of their ids may stay."""
    allowed = max(1, int(MAX_SUBSYSTEM_SHARE * len(rows)))
    seen: Counter[tuple[str, ...]] = Counter()
    found = {}
    for row in sorted(rows, key=lambda row: row.id):
        groups = (
            (("subsystem", subsystem_of(row.path)), allowed, "its subsystem has too large a share"),
            (("file", row.path), MAX_FILE_ROWS, "its file has too many rows"),
            (("answer", row.task, row.output.lower()), MAX_SAME_ANSWERS, "its answer is repeated too often"),
        )
        for group, limit, reason in groups:
            seen[group] += 1
            if seen[group] > limit:
                found[row.id] = reason
    return found


def leaking_rows(
    rows: Sequence[Row], splits: Mapping[str, str], advance: Callable[[], None] = lambda: None
) -> dict[str, str]:
    """Id of a held-out row -> why training would show it. ``splits``: row id -> split."""
    index = MinHashLSH(threshold=LEAK_SIMILARITY, num_perm=_PERMUTATIONS)
    known = {}
    exact: dict[tuple[str, str], str] = {}
    held_out: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in rows:
        where = (row.path, row.line)
        if splits[row.id] != "train":
            held_out[where].append(row)
            continue
        exact[row.name, row.output] = f"{row.path}:{row.line}"
        if row.code and where not in known:
            known[where] = minhash_of(signature(row.code, row.name))
            index.insert(where, known[where], check_duplication=False)
        advance()
    found = {}
    for group in held_out.values():
        similar = ""
        if group[0].code:
            minhash = minhash_of(signature(group[0].code, group[0].name))
            near = sorted(at for at in index.query(minhash) if known[at].jaccard(minhash) >= LEAK_SIMILARITY)
            similar = f"{near[0][0]}:{near[0][1]} is nearly the same" if near else ""
        for row in group:
            same = exact.get((row.name, row.output), "")
            if reason := similar or (f"{same} has the same name and answer" if same else ""):
                found[row.id] = reason
            advance()
    return found
