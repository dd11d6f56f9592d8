"""The trigrams of every file, stored by trigram: which files can match a regular expression.

A pass after indexing stores them part by part, by file id. A part lists the files that it covers and never becomes
wrong, because an id is one state of one file. A file that no part covers can match anything, so no answer depends on
how far the pass has come.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from kexpert.background.batches import batches
from kexpert.background.progress import OnProgress, Progress, ignore_progress
from kexpert.core.retrieval.trigrams import NUMBERS, Numbers, numbers_of, piece_numbers
from kexpert.index.file_pass import PassFile, jobs_for, pass_files, run_tasks, singles, unchanged_texts
from kexpert.index.schema import SymbolStore

#: Run a pass when more files than this are not covered: reading as many takes a twentieth of a second.
_MAX_UNCOVERED_FILES = 500
#: Pieces of one part, at most 65,536.
_PART_PIECES = 8_000
_BATCH_BYTES = 8 << 20
_TITLE = "Noting what text is where"

_TABLES = (
    # ``id`` is the highest file id that was looked at; ``files`` and ``pieces``: the ids covered (int64) and how many
    # pieces each has (int32)
    "CREATE TABLE IF NOT EXISTS trigram_files (id INTEGER PRIMARY KEY, files BLOB, pieces BLOB)",
    # ``id``: the number of a trigram shifted by _PART_SHIFT, plus the part; ``pieces``: see ``_encoded``
    "CREATE TABLE IF NOT EXISTS trigram_pieces (id INTEGER PRIMARY KEY, pieces BLOB)",
    # of an earlier form
    "DROP TABLE IF EXISTS trigram_parts",
    "DROP TABLE IF EXISTS trigrams",
)
_PART_SHIFT = 40
_LONG_GAP = 255
#: Numbers that are encoded at once, which bounds the memory.
_ENCODED_NUMBERS = 1 << 12

Ids = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class _Trigrams(NamedTuple):
    """The trigrams of some files: ids, how many pieces each has, and for all pieces how many numbers and which."""

    ids: list[int]
    pieces: list[int]
    sizes: list[int]
    numbers: Numbers


def is_pass_due(store: SymbolStore) -> bool:
    """True if more than ``_MAX_UNCOVERED_FILES`` files are not covered."""
    try:
        late = store.db.execute(
            "SELECT count(*) FROM files WHERE id > (SELECT coalesce(max(id), 0) FROM trigram_files)"
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
        held: list[_Trigrams] = []
        for batch, found in run_tasks(partial(_trigrams_of, str(root)), _batches(files), jobs, interrupted, singles):
            if found is not None:  # a file that killed its worker is passed over: nothing is known of it
                held.append(found)
            done += len(batch)
            last = batch[-1].id
            if sum(len(each.sizes) for each in held) >= _PART_PIECES:
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
        "SELECT coalesce(sum(length(files)), 0) / 8, coalesce(max(id), 0) FROM trigram_files"
    ).fetchone()
    if covered > 2 * store.file_count():
        db.execute("DELETE FROM trigram_files")
        db.execute("DELETE FROM trigram_pieces")
        last = 0
    db.execute("COMMIT")
    return int(last)


def _write(store: SymbolStore, last: int, held: Sequence[_Trigrams]) -> None:
    """Store a part: for each trigram, the pieces that hold it."""
    ids = np.array([number for each in held for number in each.ids], np.int64)
    counts = np.array([count for each in held for count in each.pieces], np.int32)
    sizes = [size for each in held for size in each.sizes]
    numbers = np.concatenate([each.numbers for each in held])
    pairs = numbers.astype(np.uint32) << np.uint32(16)
    pairs |= np.repeat(np.arange(len(sizes), dtype=np.uint32), sizes)
    pairs.sort()
    bounds = np.searchsorted(pairs, np.arange(_ENCODED_NUMBERS, NUMBERS, _ENCODED_NUMBERS, dtype=np.uint32) << 16)
    rows = chain.from_iterable(_encoded(some, len(sizes)) for some in np.split(pairs, bounds))
    db = store.db
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT INTO trigram_files VALUES (?, ?, ?)", (last, ids.tobytes(), counts.tobytes()))
    db.executemany(
        "INSERT INTO trigram_pieces VALUES (?, ?)",
        ((number << _PART_SHIFT | last, row) for number, row in rows),
    )
    db.execute("COMMIT")


def _batches(files: Sequence[PassFile]) -> Iterator[list[PassFile]]:
    return batches(files, lambda file: file.identity.size, lambda before, number: _BATCH_BYTES)


# -- in the workers ---------------------------------------------------------------------------------


def _trigrams_of(root: str, files: Sequence[PassFile]) -> _Trigrams:
    """The trigrams of these files, without those that changed since the symbol index read them."""
    ids, pieces = [], []
    found: list[Numbers] = [np.zeros(0, np.uint16)]
    for number, data in unchanged_texts(root, files):
        of_file = piece_numbers(data)
        ids.append(number)
        pieces.append(len(of_file))
        found += of_file
    return _Trigrams(ids, pieces, [len(each) for each in found[1:]], np.concatenate(found))


# -- a row ------------------------------------------------------------------------------------------


def _encoded(pairs: npt.NDArray[np.uint32], total: int) -> Iterator[tuple[int, bytes]]:
    """(trigram, its pieces) of sorted pairs, the trigram in the upper half: the gaps between the pieces, or a bit for
    each of all pieces where that is shorter.

    A gap is the bytes that sum up to it; all but the last are ``_LONG_GAP``.
    """
    if not len(pairs):
        return
    numbers, pieces = pairs >> 16, (pairs & 0xFFFF).astype(np.int32)
    starts = np.append(0, np.flatnonzero(numbers[1:] != numbers[:-1]) + 1)
    gaps = np.diff(pieces, prepend=np.int32(0))
    gaps[starts] = pieces[starts] + 1
    ends = np.cumsum(gaps // _LONG_GAP + 1, dtype=np.int32)
    by_gap = np.full(ends[-1], _LONG_GAP, np.uint8)
    by_gap[ends - 1] = gaps % _LONG_GAP
    of_row = pairwise((*starts.tolist(), len(pairs)))
    in_bytes = pairwise((0, *ends[starts[1:] - 1].tolist(), len(by_gap)))
    for (start, stop), (first, last) in zip(of_row, in_bytes, strict=True):
        row = by_gap[first:last]
        if len(row) >= (total + 7) // 8:
            mask = np.zeros(total, np.bool_)
            mask[pieces[start:stop]] = True
            row = np.packbits(mask)
        yield int(numbers[start]), row.tobytes()


def _decoded(row: bytes | None, total: int) -> Mask:
    """The pieces of a row, as a mask; none for no row."""
    if row is not None and len(row) == (total + 7) // 8:
        return np.unpackbits(np.frombuffer(row, np.uint8), count=total).view(np.bool_)
    mask = np.zeros(total, np.bool_)
    if row is not None:
        gaps = np.frombuffer(row, np.uint8)
        mask[np.cumsum(gaps, dtype=np.intp)[gaps < _LONG_GAP] - 1] = True
    return mask


# -- reading ----------------------------------------------------------------------------------------


def ids_that_can_hold(
    rows: Callable[[str, Sequence[int]], list[tuple[Any, ...]]], clauses: Sequence[Collection[bytes]]
) -> list[int] | None:
    """Ids of the files that can hold for every clause one of its literals, and of those that no part covers.

    ``rows`` runs a query. None if nothing narrows the search: no clause, or no part.
    """
    wanted = [[numbers_of(literal) for literal in clause] for clause in clauses]
    wanted = [clause for clause in wanted if clause and all(clause)]
    parts = rows("SELECT id, files, pieces FROM trigram_files", ()) if wanted else []
    if not parts:
        return None
    stored: dict[tuple[int, int], bytes] = {}
    for trigram in sorted({trigram for clause in wanted for literal in clause for trigram in literal}):
        bounds = (trigram << _PART_SHIFT, (trigram + 1) << _PART_SHIFT)
        for number, pieces in rows("SELECT id, pieces FROM trigram_pieces WHERE id >= ? AND id < ?", bounds):
            stored[number & ((1 << _PART_SHIFT) - 1), trigram] = pieces
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
) -> Mask:
    """For each file of a part, whether its pieces hold one literal of each clause."""
    total = int(sizes.sum())
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    passing = np.ones(len(sizes), np.bool_)
    for clause in clauses:
        any_of = np.zeros(total, np.bool_)
        for literal in clause:
            all_of = np.ones(total, np.bool_)
            for trigram in literal:
                all_of &= _decoded(stored.get((part, trigram)), total)
            any_of |= all_of
        passing &= np.logical_or.reduceat(any_of, starts)
    return passing
