"""The trigrams of every file, stored by bit: which files can match a regular expression.

A pass after indexing stores them part by part, by file id. A part lists the files that it covers and never becomes
wrong, because an id is one state of one file. A file that no part covers can match anything, so no answer depends on
how far the pass has come.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from kexpert.background.batches import batches
from kexpert.background.progress import OnProgress, Progress, ignore_progress
from kexpert.core.retrieval.trigrams import ROWS, Bits, piece_sets, rows_of
from kexpert.index.file_pass import PassFile, jobs_for, pass_files, run_tasks, singles, unchanged_texts
from kexpert.index.schema import SymbolStore

#: Run a pass when more files than this are not covered: reading as many takes a twentieth of a second.
_MAX_UNCOVERED_FILES = 500
#: Pieces of one part; a part has a row of this many bits for each trigram, of which two fill a page of SQLite.
_PART_PIECES = 15_000
_BATCH_BYTES = 8 << 20
_TITLE = "Noting what text is where"

_TABLES = (
    # ``id`` is the highest file id that was looked at; ``files`` and ``pieces``: the ids covered (int64) and how many
    # pieces each has (int32)
    "CREATE TABLE IF NOT EXISTS trigram_parts (id INTEGER PRIMARY KEY, files BLOB, pieces BLOB)",
    # ``id``: the bit shifted by _PART_SHIFT, plus the part
    "CREATE TABLE IF NOT EXISTS trigrams (id INTEGER PRIMARY KEY, pieces BLOB)",
)
_PART_SHIFT = 40
#: Bytes of the sets that are transposed at once.
_COLUMN_BYTES = 64

Ids = npt.NDArray[np.int64]


class _Sets(NamedTuple):
    """The bit sets of some files: ids, the number of pieces of each, and all pieces."""

    ids: list[int]
    counts: list[int]
    sets: Bits


def is_pass_due(store: SymbolStore) -> bool:
    """True if more than ``_MAX_UNCOVERED_FILES`` files are not covered."""
    try:
        late = store.db.execute(
            "SELECT count(*) FROM files WHERE id > (SELECT coalesce(max(id), 0) FROM trigram_parts)"
        )
    except sqlite3.OperationalError:  # no pass has begun
        return store.file_count() > _MAX_UNCOVERED_FILES
    return int(late.fetchone()[0]) > _MAX_UNCOVERED_FILES


def cover_files(
    root: Path,
    database: Path,
    *,
    jobs: int | None = None,
    on_progress: OnProgress = ignore_progress,
    interrupted: Callable[[], bool] = lambda: False,
) -> bool:
    """Run the pass over all files that are not covered. Returns whether it finished. The caller holds the writer lock.

    Returns at once when ``interrupted``; what is committed stays, and the next call goes on after it.
    """
    done = 0
    with contextlib.closing(SymbolStore(database)) as store:
        last = _create_tables(store)
        rows = store.db.execute("SELECT id, path, size, mtime_ns FROM files WHERE id > ? ORDER BY id", (last,))
        files = pass_files(rows)
        jobs = jobs_for(files, jobs)
        held: list[_Sets] = []
        for batch, found in run_tasks(partial(_sets_of, str(root)), _batches(files), jobs, interrupted, singles):
            if found is not None:  # a file that killed its worker is passed over: nothing is known of it
                held.append(found)
            done += len(batch)
            last = batch[-1].id
            if sum(len(each.sets) for each in held) >= _PART_PIECES:
                _write(store, last, held)
                held = []
            on_progress(Progress(_TITLE, done, len(files)))
        if held:
            _write(store, last, held)
    on_progress(Progress(_TITLE, done, len(files), "", finished=True))
    return done == len(files)


def _create_tables(store: SymbolStore) -> int:
    """Create the tables; empty them if most covered files are superseded. Returns the highest id that was covered."""
    db = store.db
    db.execute("BEGIN IMMEDIATE")
    for statement in _TABLES:
        db.execute(statement)
    covered, last = db.execute(
        "SELECT coalesce(sum(length(files)), 0) / 8, coalesce(max(id), 0) FROM trigram_parts"
    ).fetchone()
    if covered > 2 * store.file_count():
        db.execute("DELETE FROM trigram_parts")
        db.execute("DELETE FROM trigrams")
        last = 0
    db.execute("COMMIT")
    return int(last)


def _write(store: SymbolStore, last: int, held: Sequence[_Sets]) -> None:
    """Store a part: for each bit, the pieces that have it."""
    ids = np.array([number for each in held for number in each.ids], np.int64)
    counts = np.array([count for each in held for count in each.counts], np.int32)
    sets = np.concatenate([each.sets for each in held])
    db = store.db
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT INTO trigram_parts VALUES (?, ?, ?)", (last, ids.tobytes(), counts.tobytes()))
    for column in range(0, sets.shape[1], _COLUMN_BYTES):
        bits = np.unpackbits(sets[:, column : column + _COLUMN_BYTES], axis=1)
        by_bit = np.packbits(np.ascontiguousarray(bits.T), axis=1)
        first = column * 8
        db.executemany(
            "INSERT INTO trigrams VALUES (?, ?)",
            [((first + at) << _PART_SHIFT | last, row.tobytes()) for at, row in enumerate(by_bit) if row.any()],
        )
    db.execute("COMMIT")


def _batches(files: Sequence[PassFile]) -> Iterator[list[PassFile]]:
    return batches(files, lambda file: file.identity.size, lambda before, number: _BATCH_BYTES)


# -- in the workers ---------------------------------------------------------------------------------


def _sets_of(root: str, files: Sequence[PassFile]) -> _Sets:
    """The sets of these files, without those that changed since the symbol index read them."""
    ids, counts, sets = [], [], [np.zeros((0, ROWS // 8), np.uint8)]
    for number, data in unchanged_texts(root, files):
        sets.append(piece_sets(data))
        ids.append(number)
        counts.append(len(sets[-1]))
    return _Sets(ids, counts, np.concatenate(sets))


# -- reading ----------------------------------------------------------------------------------------


def ids_that_can_hold(
    rows: Callable[[str, Sequence[int]], list[tuple[Any, ...]]], clauses: Sequence[Collection[bytes]]
) -> list[int] | None:
    """Ids of the files that can hold for every clause one of its literals, and of those that no part covers.

    ``rows`` runs a query. None if nothing narrows the search: no clause, or no part.
    """
    wanted = [[rows_of(literal) for literal in clause] for clause in clauses]
    wanted = [clause for clause in wanted if clause and all(clause)]
    parts = rows("SELECT id, files, pieces FROM trigram_parts", ()) if wanted else []
    if not parts:
        return None
    stored: dict[tuple[int, int], bytes] = {}
    for bit in sorted({bit for clause in wanted for literal in clause for bit in literal}):
        of_bit = (bit << _PART_SHIFT, (bit + 1) << _PART_SHIFT)
        for number, pieces in rows("SELECT id, pieces FROM trigrams WHERE id >= ? AND id < ?", of_bit):
            stored[number & ((1 << _PART_SHIFT) - 1), bit] = pieces
    covered, passing = [], []
    for part, files, counts in parts:
        ids, sizes = np.frombuffer(files, np.int64), np.frombuffer(counts, np.int32)
        covered.append(ids)
        passing.append(ids[_holds(part, wanted, stored, sizes)])
    every = np.array([row[0] for row in rows("SELECT id FROM files", ())], np.int64)
    uncovered = every[~np.isin(every, np.concatenate(covered))]
    found: list[int] = np.concatenate([uncovered, *passing]).tolist()
    return found


def _holds(
    part: int,
    clauses: Sequence[Sequence[Sequence[int]]],
    stored: dict[tuple[int, int], bytes],
    sizes: npt.NDArray[np.int32],
) -> npt.NDArray[np.bool_]:
    """For each file of a part, whether its pieces hold one literal of each clause."""
    total = int(sizes.sum())
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    passing = np.ones(len(sizes), np.bool_)
    for clause in clauses:
        any_of = np.zeros((total + 7) // 8, np.uint8)
        for literal in clause:
            all_of = np.full((total + 7) // 8, 0xFF, np.uint8)
            for bit in literal:
                pieces = stored.get((part, bit))
                all_of &= np.frombuffer(pieces, np.uint8) if pieces is not None else 0
            any_of |= all_of
        passing &= np.logical_or.reduceat(np.unpackbits(any_of, count=total).astype(np.bool_), starts)
    return passing
