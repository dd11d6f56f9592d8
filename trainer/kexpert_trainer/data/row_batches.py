"""A file of rows in byte ranges, so that several processes can read it without passing rows to each other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kexpert_trainer.data.rows import Row, parse_row
from kexpert_trainer.errors import UserError

_BATCH_BYTES = 4_000_000


def batches_of(path: Path, size: int = _BATCH_BYTES) -> list[tuple[int, int]]:
    """Ranges of whole lines of about ``size`` bytes. Raises OSError."""
    total = path.stat().st_size
    ranges = []
    with path.open("rb") as file:
        start = 0
        while start < total:
            file.seek(min(start + size, total))
            file.readline()
            end = file.tell()
            ranges.append((start, end))
            start = end
    return ranges


def rows_of(path: Path, batch: tuple[int, int]) -> Iterator[Row]:
    """Yield the rows of a range. Raises OSError, and UserError for a line that is no row."""
    start, end = batch
    with path.open("rb") as file:
        file.seek(start)
        while file.tell() < end:
            at = file.tell()
            try:
                row = parse_row(file.readline().decode())
            except (ValueError, TypeError) as problem:
                raise UserError(f"{path}: no row at byte {at} ({problem}); make the file again") from None
            yield row
