"""MAINTAINERS: which entries match a path, by the rules of scripts/get_maintainer.pl."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import translate
from functools import lru_cache

from kexpert.core.paths import is_tree_path
from kexpert.core.text import decode

_FIELD = re.compile(r"([A-Z]):\s*(.*)")
_WILDCARD = re.compile(r"[*?\[]")
# N: holds a regular expression from the tree. One that could backtrack without end is not run.
_NESTED_REPEAT = re.compile(r"\)\s*[*+?{]")
_MAX_REPEATS = 3
_MAX_PATH = 300  # characters of a path that N: expressions see
_REMEMBERED = 4096  # paths whose entries are kept


@dataclass(slots=True)
class MaintainerEntry:
    """One section. ``fields`` maps its letters (M, R, L, S, T, F, X, N, K, W, ...) to their values in order."""

    title: str
    line: int  # 0-based
    fields: dict[str, list[str]] = field(default_factory=dict)

    def values(self, letter: str) -> list[str]:
        return self.fields.get(letter, [])

    @property
    def maintainers(self) -> list[str]:
        return self.values("M")

    @property
    def reviewers(self) -> list[str]:
        return self.values("R")

    @property
    def lists(self) -> list[str]:
        return self.values("L")

    @property
    def status(self) -> str:
        return ", ".join(self.values("S"))

    @property
    def trees(self) -> list[str]:
        return self.values("T")


class Maintainers:
    """All sections, with the F: patterns filed under the directory that their literal part names."""

    def __init__(self, entries: list[MaintainerEntry]) -> None:
        self.entries = entries
        self._filed: dict[str, list[tuple[int, str]]] = {}
        self._names: list[tuple[int, str]] = []
        self._matched: dict[str, list[MaintainerEntry]] = {}
        for number, entry in enumerate(entries):
            for pattern in entry.values("F"):
                wildcard = _WILDCARD.search(pattern)
                literal = pattern[: wildcard.start()] if wildcard else pattern
                self._filed.setdefault(literal.rpartition("/")[0], []).append((number, pattern))
            self._names += [(number, pattern) for pattern in entry.values("N")]

    def match(self, path: str) -> list[MaintainerEntry]:
        """The entries that a file belongs to, deepest pattern first, then in the file's order.

        THE REST, which matches everything, is given only when nothing else matches. A path outside
        the tree belongs to nobody.
        """
        if not is_tree_path(path):
            return []
        if path not in self._matched:
            if len(self._matched) >= _REMEMBERED:
                self._matched.clear()
            self._matched[path] = self._match(path)
        return self._matched[path]

    def _match(self, path: str) -> list[MaintainerEntry]:
        depths: dict[int, int] = {}
        directory = path
        while directory:
            directory = directory.rpartition("/")[0]
            for number, pattern in self._filed.get(directory, ()):
                if depths.get(number, -2) < _depth(pattern) and _matcher(pattern)(path):
                    depths[number] = _depth(pattern)
        for number, pattern in self._names:
            if number not in depths and _name_matches(pattern, path):
                depths[number] = 0
        found = [
            number
            for number in sorted(depths, key=lambda number: (-depths[number], number))
            if not any(_matcher(pattern)(path) for pattern in self.entries[number].values("X"))
        ]
        named = [number for number in found if self.entries[number].title != "THE REST"]
        return [self.entries[number] for number in named or found]


def parse_maintainers(data: bytes) -> Maintainers:
    """Read the file: a section is a title line and the lettered lines right below it."""
    entries: list[MaintainerEntry] = []
    current: MaintainerEntry | None = None
    title, title_line = "", 0
    for number, line in enumerate(decode(data).split("\n")):
        line = line.rstrip()
        if match := _FIELD.match(line):
            if current is None:
                if not title:
                    continue
                current = MaintainerEntry(title, title_line)
                entries.append(current)
            current.fields.setdefault(match[1], []).append(match[2])
        else:
            current = None
            title, title_line = line, number
    return Maintainers(entries)


def _depth(pattern: str) -> int:
    """How specific an F: pattern is, as get_maintainer.pl counts it."""
    if pattern.startswith("*"):
        return -1
    return pattern.count("/") + (not pattern.endswith("/"))


@lru_cache(maxsize=4096)
def _matcher(pattern: str) -> Callable[[str], bool]:
    """A test for an F: or X: pattern: ``/`` at its end takes in the subtree, ``*`` stays in one directory.

    A plain pattern is a prefix of the name, and takes in the subtree if it is a directory's.
    """
    if not _WILDCARD.search(pattern):
        if pattern.endswith("/"):
            return lambda path: path.startswith(pattern)
        slashes = pattern.count("/")
        return lambda path: path.startswith(pattern) and (path.count("/") == slashes or path.startswith(pattern + "/"))
    if pattern.endswith("/") or "**" in pattern:
        whole = re.compile(translate(pattern + "*")).match
        return lambda path: whole(path) is not None
    parts = pattern.split("/")
    tests = [re.compile(translate(part)).match for part in [*parts[:-1], parts[-1] + "*"]]

    def matches(path: str) -> bool:
        names = path.split("/")
        return len(names) == len(tests) and all(test(name) for test, name in zip(tests, names, strict=True))

    return matches


@lru_cache(maxsize=512)
def _expression(pattern: str) -> re.Pattern[str] | None:
    if len(pattern) > 200 or len(re.findall(r"[*+?{]", pattern)) > _MAX_REPEATS or _NESTED_REPEAT.search(pattern):
        return None
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return None


def _name_matches(pattern: str, path: str) -> bool:
    expression = _expression(pattern)
    return expression is not None and expression.search(path[-_MAX_PATH:]) is not None
