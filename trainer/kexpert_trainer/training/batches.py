"""Documents packed into rows, and rows into batches: the same ones in the same order for the same seed.

No row holds part of a document and no document sees another. Where training stands is two numbers, epoch and row.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kexpert_trainer.data.shards import Tokens
from kexpert_trainer.models.llama import Documents
from kexpert_trainer.training.loss import IGNORED

#: Rows that are open at a time: more would fill them better and mix documents less.
_OPEN_ROWS = 64

Row = list[int]  # numbers of documents


@dataclass(slots=True)
class Batch:
    """``targets`` are the tokens that follow, IGNORED behind a document's last and in what is left of a row."""

    tokens: Tensor  # (B, T)
    targets: Tensor  # (B, T)
    documents: Documents

    @property
    def count(self) -> int:
        """How many targets there are."""
        return int((self.targets != IGNORED).sum())

    def kinds(self, hole: int) -> Tensor:
        """(B, T): 0 for a token of a document without a hole, 1 from ``<|fim_middle|>`` on, 2 for the rest."""
        document = (self.documents.position == 0).cumsum(1)
        kinds = torch.zeros_like(self.tokens)
        for row, column in (self.tokens == hole).nonzero().tolist():
            same = document[row] == document[row, column]
            kinds[row, same] = 2
            same[:column] = False
            kinds[row, same] = 1
        return kinds

    def to(self, device: torch.device, masked: bool) -> Batch:
        """On a device, with what its attention needs: a mask written out, or where documents begin."""
        position = self.documents.position
        mask = None if not masked else _mask(position).to(device)
        starts = None if masked else _starts(position).to(device)
        move = {"device": device, "non_blocking": True}
        return Batch(self.tokens.to(**move), self.targets.to(**move), Documents(position.to(**move), mask, starts))


class Packed:
    """A split of a corpus, packed into rows of ``sequence`` tokens."""

    def __init__(self, tokens: Tokens, end: int, hole: int, sequence: int, seed: int = 0) -> None:
        """``end`` is the id that ends a document, ``hole`` one that only documents with a hole have."""
        self.tokens = tokens
        self.end, self.hole = end, hole
        self.sequence = sequence
        self.seed = seed
        self.ends = np.flatnonzero(tokens == end) + 1
        self.begins = np.concatenate([[0], self.ends[:-1]])
        longest = int((self.ends - self.begins).max(initial=0))
        if longest > sequence:
            raise ValueError(f"documents are up to {longest} tokens long, rows {sequence}: make the corpus for them")

    def rows(self, epoch: int) -> list[Row]:
        """Every document once, in rows, shuffled anew each epoch."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.ends))
        lengths = (self.ends - self.begins)[order]
        return _fill(order.tolist(), lengths.tolist(), self.sequence)

    def batch(self, rows: Sequence[Row]) -> Batch:
        """The tensors of a few rows, on the CPU."""
        shape = (len(rows), self.sequence)
        tokens = np.full(shape, self.end, dtype=np.int64)
        targets = np.full(shape, IGNORED, dtype=np.int64)
        position = np.zeros(shape, dtype=np.int64)
        for at, row in enumerate(rows):
            column = 0
            for document in row:
                ids = self.tokens[self.begins[document] : self.ends[document]].astype(np.int64)
                there = slice(column, column + len(ids))
                tokens[at, there] = ids
                targets[at, there] = self._targets(ids)
                position[at, there] = np.arange(len(ids))
                column += len(ids)
            position[at, column:] = np.arange(self.sequence - column)  # what is left is a document of its own
        return Batch(torch.from_numpy(tokens), torch.from_numpy(targets), Documents(torch.from_numpy(position)))

    def _targets(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        targets = np.append(ids[1:], IGNORED)
        if self.hole not in ids:
            targets[-2:] = IGNORED  # a window of a file ends where it happens to; a hole ends where it is filled
        return targets


def _fill(documents: list[int], lengths: list[int], sequence: int) -> list[Row]:
    """Best fit: each document into the open row with the least room that still has enough."""
    done: list[Row] = []
    # (room, -age, row): the age makes entries distinct, so that rows are never compared.
    open_rows: list[tuple[int, int, Row]] = []
    for age, (document, length) in enumerate(zip(documents, lengths, strict=True)):
        at = bisect_left(open_rows, (length,))
        if at < len(open_rows):
            room, _, row = open_rows.pop(at)
            row.append(document)
            room -= length
        else:
            row, room = [document], sequence - length
            if len(open_rows) == _OPEN_ROWS:
                done.append(open_rows.pop(0)[2])  # the fullest
        if room:
            insort(open_rows, (room, age, row))
        else:
            done.append(row)
    return done + [row for _, _, row in open_rows]


def _mask(position: Tensor) -> Tensor:
    """(B, 1, T, T): a token sees itself and what came before it in its document."""
    document = (position == 0).cumsum(1)
    same = document.unsqueeze(2) == document.unsqueeze(1)
    return same.tril_().unsqueeze(1)


def _starts(position: Tensor) -> Tensor:
    """Begins of documents in the flattened batch and its length, padded so that few sizes occur."""
    starts = (position.flatten() == 0).nonzero().flatten()
    size = 64
    while size < len(starts) + 1:
        size *= 2
    padding = torch.full((size - len(starts),), position.numel())
    return torch.cat([starts, padding]).to(torch.int32)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where training stands in the data."""

    epoch: int = 0
    row: int = 0


def steps(data: Packed, cursor: Cursor, rows_per_step: int) -> Iterator[tuple[list[Row], Cursor]]:
    """The rows of one step after another, without end, each with where training stands after it."""
    epoch, start = cursor.epoch, cursor.row
    while True:
        rows = data.rows(epoch)
        if len(rows) < rows_per_step:
            raise ValueError(f"a step takes {rows_per_step} rows, an epoch has {len(rows)}")
        for at in range(start, len(rows) - rows_per_step + 1, rows_per_step):
            yield rows[at : at + rows_per_step], Cursor(epoch, at + rows_per_step)
        epoch, start = epoch + 1, 0
