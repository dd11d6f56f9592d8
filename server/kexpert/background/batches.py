"""Files grouped into batches by their size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

_File = TypeVar("_File")


def batches(
    files: Iterable[_File], size_of: Callable[[_File], int], max_bytes: Callable[[int, int], int]
) -> Iterator[list[_File]]:
    """Group files in their order. A batch ends with the file by which it reaches ``max_bytes`` bytes.

    ``max_bytes(bytes in earlier batches, number of earlier batches)`` is called at the start of each batch.
    """
    batch: list[_File] = []
    before = held = number = 0
    limit = max_bytes(before, number)
    for file in files:
        batch.append(file)
        held += size_of(file)
        if held >= limit:
            yield batch
            number, before = number + 1, before + held
            batch, held, limit = [], 0, max_bytes(before, number)
    if batch:
        yield batch
