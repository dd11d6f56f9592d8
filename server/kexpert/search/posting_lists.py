"""Posting lists of all chunks with precomputed BM25 terms, of code and of comments, in one file that every process
maps.

FTS5 scores each row that holds any word of a query, at more than a microsecond a row: half a second for a query of
frequent words ("get the device of a page"). Here the same sum is a few additions of arrays. The file is written when
a tree has been read, and again when many chunks are newer; FTS5 answers for newer chunks, and readers drop chunks
that are gone.

By hand, not by ``bm25s`` (one field without weights, float32 scores) or ``tantivy-py`` (a second index beside FTS5,
with a tokenizer of its own).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kexpert.background.file_identity import FileIdentity
from kexpert.core.retrieval.abbreviations import ABBREVIATION_WEIGHT
from kexpert.search.schema import MatchIn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kexpert.search.chunk_store import ChunkStore

#: Bump when the layout changes.
_FORMAT = b"kexpert postings 2\n"
#: Chunks read in one step.
_BLOCK_CHUNKS = 10_000
#: Parameters of BM25, as in FTS5's bm25().
_K1, _B = 1.2, 0.75
#: BM25 terms are stored as bytes: 255 is the maximum for a word, k1 + 1.
_SCALE = 255 / (_K1 + 1)
#: Numbers at the head of a file: of chunks, of words, of bytes of text, and two of each kind of lists.
_COUNTS = 3 + 2 * len(MatchIn)


def identity_of(path: Path) -> str:
    """The identity of a file of posting lists as text; "" if there is none."""
    return str(FileIdentity.of(path) or "")


class _Block(NamedTuple):
    """The postings of some chunks, sorted by word."""

    words: NDArray[np.int32]
    chunks: NDArray[np.int32]  # indices into the list of chunks
    terms: NDArray[np.uint8]


class _Lists(NamedTuple):
    """The posting lists of code or of comments: those of word n are ``starts[n]`` to ``starts[n + 1]``."""

    starts: NDArray[np.int64]
    chunks: NDArray[np.int32]  # indices into the list of chunks
    terms: NDArray[np.uint8]
    filled: int  # chunks that have any word here


class PostingLists:
    """A mapped file of posting lists."""

    def __init__(self, path: Path) -> None:
        """Raises OSError, or ValueError for a damaged file."""
        data = np.asarray(np.memmap(path, np.uint8, "r"))  # slices of a plain array cost less
        header = len(_FORMAT)
        if data[:header].tobytes() != _FORMAT:
            raise ValueError(f"{path}: no posting lists of this version")
        counts = np.frombuffer(data[header : header + 8 * _COUNTS].tobytes(), np.int64)
        if len(counts) != _COUNTS:
            raise ValueError(f"{path}: cut short")
        if int(counts.min()) < 0:
            raise ValueError(f"{path}: damaged")
        chunks, words, text, *of_lists = map(int, counts)
        at = _padded(header + 8 * _COUNTS)

        def array(kind: type, count: int) -> NDArray[Any]:
            nonlocal at
            size = np.dtype(kind).itemsize * count
            found = data[at : at + size]
            if len(found) != size:
                raise ValueError(f"{path}: cut short")
            at = _padded(at + size)
            return found.view(kind)

        self._numbers = array(np.int64, chunks)
        self._lists: dict[MatchIn, _Lists] = {}
        for match_in, postings, filled in zip(MatchIn, of_lists[::2], of_lists[1::2], strict=True):
            starts = array(np.int64, words + 1)
            if int(starts[-1]) != postings or (np.diff(starts) < 0).any():
                raise ValueError(f"{path}: damaged")
            self._lists[match_in] = _Lists(starts, array(np.int32, postings), array(np.uint8, postings), filled)
        names = array(np.uint8, text).tobytes().decode().split("\n")
        self._index_of = {word: index for index, word in enumerate(names)}
        if len(names) != words:
            raise ValueError(f"{path}: damaged")
        #: The highest number of a chunk in these lists.
        self.last = int(self._numbers[-1]) if chunks else 0

    def match(
        self,
        words: Iterable[str],
        limit: int,
        within: Sequence[int] = (),
        also: Iterable[str] = (),
        match_in: MatchIn = MatchIn.CODE,
    ) -> list[tuple[int, float]]:
        """(chunk, BM25) of the best matches, best first; only chunks in ``within``, if any. Words in ``also`` have the
        weight ``ABBREVIATION_WEIGHT``, those in ``words`` 1."""
        count, lists = len(self._numbers), self._lists[match_in]
        scores = np.zeros(count, np.float32)
        weights = dict.fromkeys(also, ABBREVIATION_WEIGHT) | dict.fromkeys(words, 1.0)
        for word, factor in weights.items():
            index = self._index_of.get(word)
            if index is None:
                continue
            start, end = int(lists.starts[index]), int(lists.starts[index + 1])
            idf = np.log((lists.filled - (end - start) + 0.5) / (end - start + 0.5))
            weight = np.float32(factor * max(idf, 1e-6) / _SCALE)
            # each chunk is in a list once, so this adds to every one
            scores[lists.chunks[start:end]] += lists.terms[start:end] * weight
        if within:
            indices = np.searchsorted(self._numbers, np.array(sorted(within), np.int64))
            indices = indices[indices < count]
            indices = indices[np.isin(self._numbers[indices], np.array(within, np.int64))]
            allowed = np.zeros(count, np.float32)
            allowed[indices] = scores[indices]
            scores = allowed
        best = _highest(scores, limit)
        best = best[np.lexsort((self._numbers[best], -scores[best]))][:limit]
        return list(zip(self._numbers[best].tolist(), scores[best].tolist(), strict=True))


def _highest(scores: NDArray[np.float32], limit: int) -> NDArray[np.int64]:
    """Indices of the highest scores above 0: at least ``limit`` if there are that many, and few more.

    A histogram is used: numpy's partition takes a hundred times as long if most scores are equal, as zeros are."""
    top = float(scores.max(initial=0.0))
    if top <= 0:
        return np.zeros(0, np.int64)
    for share in (0.6, 0.45, 0.3):
        found = np.flatnonzero(scores >= top * np.float32(share))
        if len(found) >= limit:
            return found
    found = np.flatnonzero(scores > 0)  # many fewer than all: the rest costs by their number
    steps = (scores[found] * np.float32(1000 / top)).astype(np.int16)
    at_least = np.bincount(steps, minlength=1)[::-1].cumsum()[::-1]
    sufficient = np.flatnonzero(at_least >= limit)
    return found[steps >= (sufficient[-1] if len(sufficient) else 0)]


def write_posting_lists(store: ChunkStore, path: Path) -> Iterator[None]:
    """Write the posting lists of all chunks to ``path``, in steps."""
    words: dict[str, int] = {}
    numbers: list[NDArray[np.int64]] = []
    blocks: dict[MatchIn, list[_Block]] = {match_in: [] for match_in in MatchIn}
    filled = dict.fromkeys(MatchIn, 0)
    average = {match_in: store.average_length(match_in) for match_in in MatchIn}
    last, count = 0, 0
    while True:
        rows = store.texts(last, _BLOCK_CHUNKS)
        if not rows:
            break
        last = rows[-1][0]
        numbers.append(np.array([row[0] for row in rows], np.int64))
        for match_in in MatchIn:
            block = _make_block(rows, words, match_in, count, average[match_in])
            blocks[match_in].append(block)
            filled[match_in] += len(np.unique(block.chunks))
        count += len(rows)
        yield
    lists = []
    for match_in in MatchIn:
        lists.append(_joined(blocks.pop(match_in), len(words), filled[match_in]))
        yield
    all_numbers = np.concatenate(numbers) if numbers else np.zeros(0, np.int64)
    _write(path, all_numbers, lists, list(words))


def _joined(blocks: Sequence[_Block], words: int, filled: int) -> _Lists:
    """The lists of all blocks together."""
    totals = np.zeros(words + 1, np.int64)
    for block in blocks:
        totals[1:] += np.bincount(block.words, minlength=words)
    starts = np.cumsum(totals)
    chunks, terms = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.uint8)
    next_of = starts[:-1].copy()
    for block in blocks:
        held = np.bincount(block.words, minlength=words)
        # the block is sorted by word: the nth posting of a word goes n after those already there
        first = np.cumsum(held) - held
        target = next_of[block.words] + np.arange(len(block.words)) - first[block.words]
        chunks[target], terms[target] = block.chunks, block.terms
        next_of += held
    return _Lists(starts, chunks, terms, filled)


def _make_block(
    rows: Sequence[tuple[int, str, str, str, str]],
    words: dict[str, int],
    match_in: MatchIn,
    first: int,
    average: float,
) -> _Block:
    """The postings of the chunks in ``rows``, of which ``first`` is the index of the first. Adds new words to
    ``words``; ``average`` is the average number of words of a chunk that has any."""
    keys, amounts = [], []
    lengths = np.zeros(len(rows), np.float32)
    for column in match_in.columns:
        weight = match_in.value[column]
        split = [str(row[1 + column]).split() for row in rows]
        sizes = np.array([len(each) for each in split])
        lengths += sizes
        owner = np.repeat(np.arange(len(rows), dtype=np.int64), sizes)
        found = np.fromiter(
            (words.setdefault(word, len(words)) for each in split for word in each), np.int64, int(sizes.sum())
        )
        keys.append(found << 32 | owner)
        amounts.append(np.full(len(found), weight, np.float32))
    key, inverse = np.unique(np.concatenate(keys), return_inverse=True)
    amount = np.bincount(inverse, np.concatenate(amounts), len(key))
    word, owner = (key >> 32).astype(np.int32), key & 0xFFFFFFFF
    saturation = _K1 * (1 - _B + _B * lengths[owner] / max(average, 1.0))
    term = amount * (_K1 + 1) / (amount + saturation)
    return _Block(word, (owner + first).astype(np.int32), np.ceil(term * _SCALE).clip(1, 255).astype(np.uint8))


def _write(path: Path, numbers: NDArray[np.int64], lists: Sequence[_Lists], words: list[str]) -> None:
    text = np.frombuffer("\n".join(words).encode(), np.uint8)
    of_lists = [count for each in lists for count in (len(each.chunks), each.filled)]
    arrays = [numbers, *(array for each in lists for array in (each.starts, each.chunks, each.terms)), text]
    temporary = path.with_suffix(".new")
    with open(temporary, "wb") as file:
        file.write(_FORMAT)
        file.write(np.array([len(numbers), len(words), len(text), *of_lists], np.int64).tobytes())
        for array in arrays:
            file.write(b"\0" * (_padded(file.tell()) - file.tell()))
            file.write(array.tobytes())
    os.replace(temporary, path)


def _padded(size: int) -> int:
    return size + -size % 8
