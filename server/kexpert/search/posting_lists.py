"""Posting lists of all chunks with their share of BM25 worked out, in one file that every process maps.

FTS5 scores each row that holds any word of a question, at more than a microsecond a row: a question of
frequent words ("get the device of a page") takes it half a second. Here the same sum is a few additions of
arrays. The file is made when a tree has been read, and again when much is new; chunks newer than it are
asked of FTS5, and those that are gone are passed over by whoever reads their rows.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kexpert.core.retrieval.abbreviations import ABBREVIATION_WEIGHT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kexpert.search.chunk_store import ChunkStore

#: Bump when the layout changes.
_FORMAT = b"kexpert postings 1\n"
#: Chunks that are read at a time, and between which a maker can do something else.
_BLOCK = 10_000
#: As in FTS5's bm25().
_K1, _B = 1.2, 0.75
#: Parts of BM25 are kept as bytes: 255 is the most that a word can give, k1 + 1.
_SCALE = 255 / (_K1 + 1)


def identity(path: Path) -> str:
    """What tells a file of posting lists from an older one; "" where there is none."""
    try:
        stat = path.stat()
    except OSError:
        return ""
    return f"{stat.st_size}:{stat.st_mtime_ns}"


class _Block(NamedTuple):
    """The postings of some chunks, in the order of their words."""

    words: NDArray[np.int32]
    chunks: NDArray[np.int32]  # places in the list of chunks
    parts: NDArray[np.uint8]


class Postings:
    """One file, mapped."""

    def __init__(self, path: Path) -> None:
        """Raises OSError, or ValueError for a file that is no such."""
        data = np.memmap(path, np.uint8, "r")
        head = len(_FORMAT)
        if data[:head].tobytes() != _FORMAT:
            raise ValueError(f"{path}: no posting lists of this version")
        counts = np.frombuffer(data[head : head + 32].tobytes(), np.int64)
        if len(counts) != 4:
            raise ValueError(f"{path}: cut short")
        chunks, words, postings, text = map(int, counts)
        if min(chunks, words, postings, text) < 0:
            raise ValueError(f"{path}: damaged")
        at = _padded(head + 32)

        def part(kind: type, count: int) -> NDArray[Any]:
            nonlocal at
            size = np.dtype(kind).itemsize * count
            found = data[at : at + size]
            if len(found) != size:
                raise ValueError(f"{path}: cut short")
            at = _padded(at + size)
            return found.view(kind)

        self._numbers = part(np.int64, chunks)
        self._starts = part(np.int64, words + 1)
        self._chunks = part(np.int32, postings)
        self._parts = part(np.uint8, postings)
        names = part(np.uint8, text).tobytes().decode().split("\n")
        self._place = {word: place for place, word in enumerate(names)}
        if len(names) != words or int(self._starts[-1]) != postings or (np.diff(self._starts) < 0).any():
            raise ValueError(f"{path}: damaged")
        #: The highest number of a chunk that is in here.
        self.last = int(self._numbers[-1]) if chunks else 0

    def match(
        self, words: Iterable[str], limit: int, within: Sequence[int] = (), also: Iterable[str] = ()
    ) -> list[tuple[int, float]]:
        """(chunk, BM25) of the best matches, best first; ``within``, if any, are the only ones looked at. The words
        of ``also`` count ``ABBREVIATION_WEIGHT`` times as much."""
        count = len(self._numbers)
        scores = np.zeros(count, np.float32)
        counted = dict.fromkeys(also, ABBREVIATION_WEIGHT) | dict.fromkeys(words, 1.0)
        for word, factor in counted.items():
            place = self._place.get(word)
            if place is None:
                continue
            start, end = int(self._starts[place]), int(self._starts[place + 1])
            rarity = np.log((count - (end - start) + 0.5) / (end - start + 0.5))
            weight = np.float32(factor * max(rarity, 1e-6) / _SCALE)
            # a chunk stands in a list once, so that this adds to each of them
            scores[self._chunks[start:end]] += self._parts[start:end] * weight
        if within:
            places = np.searchsorted(self._numbers, np.array(sorted(within), np.int64))
            places = places[places < count]
            places = places[np.isin(self._numbers[places], np.array(within, np.int64))]
            kept = np.zeros(count, np.float32)
            kept[places] = scores[places]
            scores = kept
        best = _highest(scores, limit)
        best = best[np.lexsort((self._numbers[best], -scores[best]))][:limit]
        return [(int(self._numbers[at]), float(scores[at])) for at in best]


def _highest(scores: NDArray[np.float32], limit: int) -> NDArray[np.int64]:
    """Places of the highest scores above 0: at least ``limit`` where there are so many, and few more.

    By a histogram: numpy's partition takes a hundred times as long where most scores are equal, as zeros are."""
    top = float(scores.max(initial=0.0))
    if top <= 0:
        return np.zeros(0, np.int64)
    for share in (0.6, 0.45, 0.3):
        found = np.flatnonzero(scores >= top * np.float32(share))
        if len(found) >= limit:
            return found
    steps = (scores * np.float32(1000 / top)).astype(np.int16)
    at_least = np.bincount(steps, minlength=1)[::-1].cumsum()[::-1]
    enough = np.flatnonzero(at_least >= limit)
    return np.flatnonzero((steps >= (enough[-1] if len(enough) else 0)) & (scores > 0))


def make(store: ChunkStore, path: Path, weights: Sequence[float]) -> Iterator[None]:
    """Write the posting lists of all chunks to ``path``, in steps. ``weights`` are those of the columns name,
    doc, body and path."""
    words: dict[str, int] = {}
    numbers: list[NDArray[np.int64]] = []
    blocks: list[_Block] = []
    average = store.average_length()
    last, count = 0, 0
    while True:
        rows = store.texts(last, _BLOCK)
        if not rows:
            break
        last = rows[-1][0]
        numbers.append(np.array([row[0] for row in rows], np.int64))
        blocks.append(_block(rows, words, weights, count, average))
        count += len(rows)
        yield
    totals = np.zeros(len(words) + 1, np.int64)
    for block in blocks:
        totals[1:] += np.bincount(block.words, minlength=len(words))
    starts = np.cumsum(totals)
    chunks, parts = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.uint8)
    filled = starts[:-1].copy()
    for block in blocks:
        held = np.bincount(block.words, minlength=len(words))
        # the block is in the order of its words: the nth posting of a word goes behind what is filled of it
        first = np.cumsum(held) - held
        target = filled[block.words] + np.arange(len(block.words)) - first[block.words]
        chunks[target], parts[target] = block.chunks, block.parts
        filled += held
        yield
    all_numbers = np.concatenate(numbers) if numbers else np.zeros(0, np.int64)
    _write(path, all_numbers, starts, chunks, parts, list(words))


def _block(
    rows: Sequence[tuple[int, str, str, str, str]],
    words: dict[str, int],
    weights: Sequence[float],
    first: int,
    average: float,
) -> _Block:
    keys, amounts = [], []
    lengths = np.zeros(len(rows), np.float32)
    for column, weight in enumerate(weights, 1):
        split = [str(row[column]).split() for row in rows]
        sizes = np.array([len(each) for each in split])
        lengths += sizes
        owner = np.repeat(np.arange(len(rows), dtype=np.int64), sizes)
        found = np.fromiter(
            (words.setdefault(word, len(words)) for each in split for word in each), np.int64, int(sizes.sum())
        )
        keys.append(found << 32 | owner)
        amounts.append(np.full(len(found), weight, np.float32))
    key, place = np.unique(np.concatenate(keys), return_inverse=True)
    amount = np.bincount(place, np.concatenate(amounts), len(key))
    word, owner = (key >> 32).astype(np.int32), key & 0xFFFFFFFF
    long = _K1 * (1 - _B + _B * lengths[owner] / max(average, 1.0))
    part = amount * (_K1 + 1) / (amount + long)
    return _Block(word, (owner + first).astype(np.int32), np.ceil(part * _SCALE).clip(1, 255).astype(np.uint8))


def _write(
    path: Path,
    numbers: NDArray[np.int64],
    starts: NDArray[np.int64],
    chunks: NDArray[np.int32],
    parts: NDArray[np.uint8],
    words: list[str],
) -> None:
    text = np.frombuffer("\n".join(words).encode(), np.uint8)
    counts = np.array([len(numbers), len(words), len(chunks), len(text)], np.int64)
    temporary = path.with_suffix(".new")
    with open(temporary, "wb") as file:
        file.write(_FORMAT)
        for array in (counts, numbers, starts, chunks, parts, text):
            if array is not counts:
                file.write(b"\0" * (_padded(file.tell()) - file.tell()))
            file.write(array.tobytes())
    os.replace(temporary, path)


def _padded(size: int) -> int:
    return size + -size % 8
