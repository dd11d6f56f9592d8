"""Ranking of symbols found by a prefix: those near the reader's file first, then those with many callers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from kexpert.core.symbols import Kind

#: A row whose first fields are those of a Symbol: name, kind, path.
NamedRow = TypeVar("NamedRow", bound=tuple[Any, ...])
_OUTSIDE = ("tools/", "samples/", "scripts/", "Documentation/")


class _Distances(dict[str, int]):
    """path -> its distance from one file, 0 (that file) to 6 (outside the kernel proper). Filled on demand."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._folder = origin.rpartition("/")[0]
        self._subsystem = "/".join(origin.split("/")[:2])

    def __missing__(self, path: str) -> int:
        self[path] = distance = self._distance(path)
        return distance

    def _distance(self, path: str) -> int:
        if path == self._origin:
            return 0
        if self._folder and path.startswith(self._folder + "/"):
            return 1
        if path.startswith("include/"):
            return 2 if path.startswith("include/linux/") else 3
        if self._subsystem and path.startswith(self._subsystem):
            return 4
        return 6 if path.startswith(_OUTSIDE) else 5


def ranked(rows: Iterable[NamedRow], callers: Mapping[str, int], near: str) -> list[NamedRow]:
    """One row for each name and kind, that nearest to the path ``near``; sorted by distance, callers and length.

    ``rows`` are symbols, or tuples that begin with the same fields: the user waits, and of a thousand rows only
    a few are worth making symbols of.
    """
    distances = _Distances(near)
    best: dict[tuple[str, Kind], tuple[int, NamedRow]] = {}
    for row in rows:
        name, kind, path = row[:3]
        distance = distances[path]
        key = (name, kind)
        held = best.get(key)
        if held is None or distance < held[0]:
            best[key] = (distance, row)

    def order(item: tuple[int, NamedRow]) -> tuple[int, int, int, str]:
        distance, row = item
        name: str = row[0]
        called = callers.get(name, 0)
        group = 0 if distance <= 1 else 1 if called >= 1000 else 2 if called >= 100 or distance <= 3 else 3
        return group, -called.bit_length(), len(name), name

    return [row for _, row in sorted(best.values(), key=order)]
