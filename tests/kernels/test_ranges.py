"""Intervals and masks are equivalent."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kexpert_kernels.ranges import causal_ranges, mask_of_ranges, packed_ranges, ranges_of_mask

LENGTHS = st.integers(0, 12)


@settings(deadline=None)  # the first example waits for torch
@given(queries=LENGTHS, keys=LENGTHS, offset=st.none() | st.integers(-5, 15), window=st.none() | st.integers(1, 8))
def test_causal_ranges_match_the_definition(queries: int, keys: int, offset: int | None, window: int | None) -> None:
    mask = mask_of_ranges(causal_ranges(2, queries, keys, offset=offset, window=window), keys)
    shift = keys - queries if offset is None else offset
    for i in range(queries):
        for j in range(keys):
            seen = j <= i + shift and (window is None or j > i + shift - window)
            assert bool(mask[1, i, j]) == seen


@settings(deadline=None)
@given(st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=5))
def test_a_round_trip_fills_only_the_holes_of_a_mask(rows: list[list[bool]]) -> None:
    mask = torch.tensor(rows)[None]
    filled = mask_of_ranges(ranges_of_mask(mask), 6)
    for before, after in zip(rows, filled[0].tolist(), strict=True):
        seen = [j for j, visible in enumerate(before) if visible]
        assert [j for j in range(6) if after[j]] == (list(range(seen[0], seen[-1] + 1)) if seen else [])


@settings(deadline=None)
@given(st.lists(LENGTHS, min_size=1, max_size=5), st.integers(0, 3), st.none() | st.integers(1, 4))
def test_packed_sequences_do_not_see_each_other(lengths: list[int], rest: int, window: int | None) -> None:
    starts = torch.tensor([0, *lengths]).cumsum(0).to(torch.int32)
    total = sum(lengths)
    mask = mask_of_ranges(packed_ranges(starts, starts, total + rest, window=window), total)[0]
    blocks = [mask_of_ranges(causal_ranges(1, n, n, window=window), n)[0] for n in lengths]
    expected = torch.zeros(total + rest, total, dtype=torch.bool)
    expected[:total] = torch.block_diag(*(block.int() for block in blocks if len(block))).bool() if total else False
    assert torch.equal(mask, expected)
