"""Filters in a query: ``path:``, ``kind:``, ``subsystem:`` and ``config:``."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from kexpert.core.kernel.kbuild import built_by
from kexpert.core.kernel.maintainers import Maintainers, parse_maintainers
from kexpert.core.retrieval.chunk import ChunkKind
from kexpert.view import FilterError

_FILTER = re.compile(r'(?<!\S)(path|kind|subsystem|config):("[^"]*"|\S+)')
_WILDCARD = re.compile(r"[*?\[]")
_MAKEFILES = ("Makefile", "Kbuild")
_KINDS = {
    **{kind.name.lower(): kind for kind in ChunkKind},
    "union": ChunkKind.STRUCT, "enum": ChunkKind.STRUCT, "doc": ChunkKind.SECTION, "documentation": ChunkKind.SECTION,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """The text of a query, and its filters. Values of one filter are alternatives."""

    text: str
    paths: tuple[str, ...] = ()
    kinds: tuple[ChunkKind, ...] = ()
    subsystems: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()


def parse(query: str) -> ParsedQuery:
    """Split a query into text and filters. Raises FilterError for an unknown kind."""
    found: dict[str, list[str]] = {"path": [], "kind": [], "subsystem": [], "config": []}
    for match in _FILTER.finditer(query):
        if value := match[2].strip('"'):
            found[match[1]].append(value)
    kinds = []
    for value in found["kind"]:
        if value.lower() not in _KINDS:
            raise FilterError(f"kind:{value} is none of {', '.join(sorted(_KINDS))}")
        kinds.append(_KINDS[value.lower()])
    text = " ".join(_FILTER.sub(" ", query).split())
    return ParsedQuery(text, tuple(found["path"]), tuple(kinds), tuple(found["subsystem"]), tuple(found["config"]))


def matching_files(
    query: ParsedQuery,
    all_paths: Callable[[str], Iterable[str]],
    data: Callable[[str], bytes | None],
    mentioning: Callable[[str], Iterable[str]],
) -> set[str] | None:
    """The files that pass the filters; None without filters of files.

    ``all_paths(glob)`` gives paths that match an SQL GLOB, ``data`` a file's bytes, ``mentioning`` the files that
    hold an identifier.
    """
    sets: list[set[str]] = []
    if query.paths:
        sets.append({path for value in query.paths for path in all_paths(_glob(value))})
    if query.subsystems:
        text = data("MAINTAINERS") or b""
        sets.append({path for value in query.subsystems for path in _of_subsystem(text, value, all_paths)})
    if query.configs:
        sets.append({path for value in query.configs for path in _built(value, all_paths, data, mentioning)})
    return set.intersection(*sets) if sets else None


def _glob(value: str) -> str:
    """The GLOB of a path filter: ``fs/ext4`` is all below it, ``*.h`` any header."""
    return value if _WILDCARD.search(value) else f"{_escaped(value.strip('/'))}*"


def _escaped(text: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", text)


def _of_subsystem(text: bytes, name: str, all_paths: Callable[[str], Iterable[str]]) -> Iterator[str]:
    """Files of the MAINTAINERS entries whose titles contain ``name``."""
    entries = _entries(text, name.lower())
    if any(entry.values("N") for entry in entries.entries):
        globs = ["*"]
    else:
        patterns = [pattern for entry in entries.entries for pattern in entry.values("F")]
        literals = [
            (pattern[: wildcard.start()] if (wildcard := _WILDCARD.search(pattern)) else pattern)
            for pattern in patterns
        ]
        globs = [f"{_escaped(literal)}*" for literal in dict.fromkeys(literals)]
    for path in {path for glob in globs for path in all_paths(glob)}:
        if entries.match(path):
            yield path


@lru_cache(maxsize=64)
def _entries(text: bytes, name: str) -> Maintainers:
    return Maintainers([entry for entry in _parsed(text).entries if name in entry.title.lower()])


_parsed = lru_cache(maxsize=2)(parse_maintainers)


def _built(
    value: str,
    all_paths: Callable[[str], Iterable[str]],
    data: Callable[[str], bytes | None],
    mentioning: Callable[[str], Iterable[str]],
) -> Iterator[str]:
    """Files that a CONFIG symbol builds, alone or with their directory, and those of its Kconfig entries."""
    name = "CONFIG_" + value.removeprefix("CONFIG_").upper()
    for path in mentioning(name):
        folder, _, base = path.rpartition("/")
        if base.startswith("Kconfig"):
            yield path
        if base not in _MAKEFILES:
            continue
        text = data(path)
        for built in built_by(name, text, folder) if text else ():
            if built.endswith("/"):
                yield from all_paths(f"{_escaped(built)}*")
            else:
                yield built


def allowed(path: str, kind: ChunkKind, files: Collection[str] | None, kinds: Collection[ChunkKind]) -> bool:
    """True if a chunk passes the filters."""
    return (not kinds or kind in kinds) and (files is None or path in files)
