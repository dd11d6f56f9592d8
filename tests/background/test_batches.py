"""Batches keep order and files, and end where their bound is reached."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kexpert.background.batches import batches


@given(st.lists(st.integers(0, 50)), st.integers(1, 60))
def test_a_batch_ends_with_the_file_that_fills_it(sizes: list[int], limit: int) -> None:
    found = list(batches(sizes, lambda size: size, lambda before, number: limit))
    assert [size for batch in found for size in batch] == sizes
    assert all(sum(batch) >= limit > sum(batch[:-1]) for batch in found[:-1])
    assert all(batch and sum(batch[:-1]) < limit for batch in found)


def test_the_bound_may_depend_on_what_is_done() -> None:
    asked: list[tuple[int, int]] = []

    def max_bytes(before: int, number: int) -> int:
        asked.append((before, number))
        return 2 + number

    assert list(batches([1] * 9, lambda size: size, max_bytes)) == [[1] * 2, [1] * 3, [1] * 4]
    assert asked == [(0, 0), (2, 1), (5, 2), (9, 3)]
