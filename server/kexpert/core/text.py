"""File bytes as text, identifiers in them, and the range that an edit changed.

A kernel file is bytes. Bytes that are not UTF-8 (old Latin-1 comments) are decoded with ``surrogateescape``: each is
one character in every encoding, as in editors, and encoding the text again restores the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_CHUNK_BYTES = 4096  # compared at once
IDENTIFIER = re.compile(rb"[A-Za-z_]\w*")


def decode(data: bytes) -> str:
    """Decode file bytes to text. Never raises; ``encode`` restores the bytes."""
    return data.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """The inverse of ``decode``. Lone surrogates that ``decode`` cannot produce become ``?``."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def identifier_at(data: bytes, offset: int) -> tuple[int, int] | None:
    """(start, end) of the C identifier that contains or touches ``offset``, or None."""
    def is_word(at: int) -> bool:
        return 0 <= at < len(data) and (data[at : at + 1].isalnum() or data[at] == 0x5F)

    start = end = min(max(offset, 0), len(data))
    while is_word(start - 1):
        start -= 1
    while is_word(end):
        end += 1
    if start == end or data[start : start + 1].isdigit():
        return None
    return start, end


def changed_range(old: bytes, new: bytes) -> tuple[int, int, int]:
    """(start, old end, new end) of the range between the common prefix and the common suffix of two texts."""
    start = _common_prefix(old, new)
    shared = _common_suffix(old, new, min(len(old), len(new)) - start)
    return start, len(old) - shared, len(new) - shared


def _common_prefix(a: bytes, b: bytes) -> int:
    low, high = 0, min(len(a), len(b))
    return _longest(low, high, lambda s, e: a[s:e] == b[s:e])


def _common_suffix(a: bytes, b: bytes, max_length: int) -> int:
    return _longest(0, max_length, lambda s, e: a[len(a) - e : len(a) - s] == b[len(b) - e : len(b) - s])


def _longest(low: int, high: int, same: Callable[[int, int], bool]) -> int:
    """The largest n <= high with ``same(low, n)``. Compares chunks first, then bisects the first that differs."""
    while low < high:
        step = min(_CHUNK_BYTES, high - low)
        if same(low, low + step):
            low += step
            continue
        while step > 1:
            half = step // 2
            if same(low, low + half):
                low += half
                step -= half
            else:
                step = half
        return low
    return low
