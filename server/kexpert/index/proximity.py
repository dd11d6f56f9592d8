"""Which of many names a reader of one file means by a prefix: the near ones, then the much used ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from kexpert.core.symbols import Kind

#: A row whose first fields are those of a Symbol: name, kind, path.
Named = TypeVar("Named", bound=tuple[Any, ...])
_OUTSIDE = ("tools/", "samples/", "scripts/", "Documentation/")


class _Nearness(dict[str, int]):
    """path -> how far a file is from one, the file itself being 0."""

    def __init__(self, near: str) -> None:
        self.near = near
        self.folder = near.rpartition("/")[0]
        self.subsystem = "/".join(near.split("/")[:2])

    def __missing__(self, path: str) -> int:
        self[path] = away = self._of(path)
        return away

    def _of(self, path: str) -> int:
        if path == self.near:
            return 0
        if self.folder and path.startswith(self.folder + "/"):
            return 1
        if path.startswith("include/"):
            return 2 if path.startswith("include/linux/") else 3
        if self.subsystem and path.startswith(self.subsystem):
            return 4
        return 6 if path.startswith(_OUTSIDE) else 5


def ranked(rows: Iterable[Named], callers: Mapping[str, int], near: str) -> list[Named]:
    """One row for each name and kind, the nearest to ``near``; then the most called, the shortest.

    ``rows`` are symbols, or tuples that begin as they do: a reader waits, and of a thousand rows only
    some are worth making symbols of.
    """
    nearness = _Nearness(near)
    best: dict[tuple[str, Kind], tuple[int, Named]] = {}
    for row in rows:
        name, kind, path = row[:3]
        away = nearness[path]
        key = (name, kind)
        held = best.get(key)
        if held is None or away < held[0]:
            best[key] = (away, row)

    def order(item: tuple[int, Named]) -> tuple[int, int, int, str]:
        away, row = item
        name: str = row[0]
        called = callers.get(name, 0)
        reach = 0 if away <= 1 else 1 if called >= 1000 else 2 if called >= 100 or away <= 3 else 3
        return reach, -called.bit_length(), len(name), name

    return [row for _, row in sorted(best.values(), key=order)]
