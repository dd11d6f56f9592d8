"""Parser of MAINTAINERS. Paths are matched by the rules of scripts/get_maintainer.pl."""

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
# N: holds a regular expression from the tree. Expressions that could backtrack exponentially are not run.
_NESTED_REPEAT = re.compile(r"\)\s*[*+?{]")
_MAX_REPEATS = 3
_MAX_PATH_CHARS = 300  # of a path that N: expressions are matched with
_MAX_CACHED_PATHS = 4096


@dataclass(slots=True)
class MaintainerEntry:
    """One section. ``fields`` maps each letter (M, R, L, S, T, F, X, N, K, W, ...) to its values in order."""

    title: str
    line: int  # 0-based
    fields: dict[str, list[str]] = field(default_factory=dict)

    def values(self, letter: str) -> list[str]:
        """The values of one letter, [] if there are none."""
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
    """All sections. F: patterns are indexed by the directory of their literal part."""

    def __init__(self, entries: list[MaintainerEntry]) -> None:
        self.entries = entries
        self._patterns_by_directory: dict[str, list[tuple[int, str]]] = {}
        self._names: list[tuple[int, str]] = []
        self._cache: dict[str, list[MaintainerEntry]] = {}
        for number, entry in enumerate(entries):
            for pattern in entry.values("F"):
                wildcard = _WILDCARD.search(pattern)
                literal = pattern[: wildcard.start()] if wildcard else pattern
                self._patterns_by_directory.setdefault(literal.rpartition("/")[0], []).append((number, pattern))
            self._names += [(number, pattern) for pattern in entry.values("N")]

    def match(self, path: str) -> list[MaintainerEntry]:
        """The entries that match a file, deepest pattern first, then in the order of MAINTAINERS.

        THE REST, which matches everything, is returned only if nothing else matches. A path outside the tree matches
        nothing.
        """
        if not is_tree_path(path):
            return []
        if path not in self._cache:
            if len(self._cache) >= _MAX_CACHED_PATHS:
                self._cache.clear()
            self._cache[path] = self._match(path)
        return self._cache[path]

    def _match(self, path: str) -> list[MaintainerEntry]:
        depths: dict[int, int] = {}
        directory = path
        while directory:
            directory = directory.rpartition("/")[0]
            for number, pattern in self._patterns_by_directory.get(directory, ()):
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
    """Parse the file. A section is a title line and the lines ``LETTER: value`` directly below it."""
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
    """The specificity of an F: pattern, as get_maintainer.pl counts it."""
    if pattern.startswith("*"):
        return -1
    return pattern.count("/") + (not pattern.endswith("/"))


@lru_cache(maxsize=4096)
def _matcher(pattern: str) -> Callable[[str], bool]:
    """A predicate for an F: or X: pattern. A final ``/`` includes the subtree; ``*`` matches within one directory.

    A pattern without wildcards is a prefix of the file name, or a directory with its subtree.
    """
    if not _WILDCARD.search(pattern):
        if pattern.endswith("/"):
            return lambda path: path.startswith(pattern)
        slashes = pattern.count("/")
        return lambda path: path.startswith(pattern) and (path.count("/") == slashes or path.startswith(pattern + "/"))
    if pattern.endswith("/") or "**" in pattern:
        full_match = re.compile(translate(pattern + "*")).match
        return lambda path: full_match(path) is not None
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
    return expression is not None and expression.search(path[-_MAX_PATH_CHARS:]) is not None
