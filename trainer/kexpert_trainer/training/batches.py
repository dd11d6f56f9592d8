"""Packs documents into rows and rows into batches, in an order that depends on the seed alone.

A row holds whole documents, and no document attends to another. B is rows of a batch, T tokens of a row.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kexpert_trainer.data.shards import TokenIds
from kexpert_trainer.errors import UserError
from kexpert_trainer.models.llama import Documents
from kexpert_trainer.training.loss import IGNORED

#: Rows that are filled at a time; more would fill them better and mix documents less.
_MAX_OPEN_ROWS = 64

Row = list[int]  # numbers of documents


@dataclass(slots=True)
class Batch:
    """``targets`` are the next tokens; IGNORED after a document's last token and in the padding of a row."""

    tokens: Tensor  # (B, T) int64
    targets: Tensor  # (B, T) int64
    documents: Documents

    @property
    def count(self) -> int:
        """Number of targets that are not ignored."""
        return int((self.targets != IGNORED).sum())

    def kinds(self, fim_middle: int) -> Tensor:
        """(B, T) int64: 0 for tokens of plain documents; of documents with a FIM span 1 from its marker on, else 2."""
        document = (self.documents.position == 0).cumsum(1)
        kinds = torch.zeros_like(self.tokens)
        for row, column in (self.tokens == fim_middle).nonzero().tolist():
            same = document[row] == document[row, column]
            kinds[row, same] = 2
            same[:column] = False
            kinds[row, same] = 1
        return kinds

    def to(self, device: torch.device, masked: bool) -> Batch:
        """Move to a device, with what its attention needs: a mask, or the starts of documents."""
        position = self.documents.position
        mask = None if not masked else _mask(position).to(device)
        starts = None if masked else _starts(position).to(device)
        tokens, targets, position = (
            tensor.to(device, non_blocking=True) for tensor in (self.tokens, self.targets, position)
        )
        return Batch(tokens, targets, Documents(position, mask, starts))


class PackedSplit:
    """A split of a corpus, packed into rows of ``sequence`` tokens."""

    def __init__(self, tokens: TokenIds, end: int, fim_middle: int, sequence: int, seed: int = 0) -> None:
        """``end`` is the id that ends a document, ``fim_middle`` one that only documents with a FIM span have."""
        self.tokens = tokens
        self.end, self.fim_middle = end, fim_middle
        self.sequence = sequence
        self.seed = seed
        self.ends = np.flatnonzero(tokens == end) + 1
        self.begins = np.concatenate([[0], self.ends[:-1]])
        longest = int((self.ends - self.begins).max(initial=0))
        if longest > sequence:
            raise UserError(
                f"documents are up to {longest} tokens long, rows {sequence}; "
                f"make the corpus with --sequence {sequence}"
            )

    def rows(self, epoch: int) -> list[Row]:
        """Every document once, in rows; the order depends on seed and epoch."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.ends))
        lengths = (self.ends - self.begins)[order]
        return _fill(order.tolist(), lengths.tolist(), self.sequence)

    def micro_batches(self, rows: Sequence[Row], size: int) -> list[Batch]:
        """The rows as batches of at most ``size`` rows, on the CPU."""
        return [self.batch(rows[at : at + size]) for at in range(0, len(rows), size)]

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
            position[at, column:] = np.arange(self.sequence - column)  # the padding is a document of its own
        return Batch(torch.from_numpy(tokens), torch.from_numpy(targets), Documents(torch.from_numpy(position)))

    def _targets(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        targets = np.append(ids[1:], IGNORED)
        if self.fim_middle not in ids:
            targets[-2:] = IGNORED  # the end of a plain window is arbitrary; that of a filled span is learnt
        return targets


def _fill(documents: list[int], lengths: list[int], sequence: int) -> list[Row]:
    """Best fit: each document goes into the open row with the least room that it fits."""
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
            if len(open_rows) == _MAX_OPEN_ROWS:
                done.append(open_rows.pop(0)[2])  # the fullest
        if room:
            insort(open_rows, (room, age, row))
        else:
            done.append(row)
    return done + [row for _, _, row in open_rows]


def _mask(position: Tensor) -> Tensor:
    """(B, 1, T, T) bool: a token attends to itself and to earlier tokens of its document."""
    document = (position == 0).cumsum(1)
    same = document.unsqueeze(2) == document.unsqueeze(1)
    return same.tril_().unsqueeze(1)


def _starts(position: Tensor) -> Tensor:
    """(n,) int32: starts of documents in the flattened batch, then its length, padded to powers of two."""
    starts = (position.flatten() == 0).nonzero().flatten()
    size = 64
    while size < len(starts) + 1:
        size *= 2
    padding = torch.full((size - len(starts),), position.numel())
    return torch.cat([starts, padding]).to(torch.int32)


@dataclass(frozen=True, slots=True)
class Cursor:
    """The next row to train on."""

    epoch: int = 0
    row: int = 0


def steps(data: PackedSplit, cursor: Cursor, rows_per_step: int) -> Iterator[tuple[list[Row], Cursor]]:
    """Yield the rows of each step and the cursor after it, without end. Raises UserError if an epoch is too short."""
    epoch, start = cursor.epoch, cursor.row
    while True:
        rows = data.rows(epoch)
        if len(rows) < rows_per_step:
            raise UserError(f"a step takes {rows_per_step} rows, the corpus has {len(rows)}; lower --batch-rows")
        for at in range(start, len(rows) - rows_per_step + 1, rows_per_step):
            yield rows[at : at + rows_per_step], Cursor(epoch, at + rows_per_step)
        epoch, start = epoch + 1, 0
