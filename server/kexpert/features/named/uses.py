"""Where a name is used, and what fills an operation: bounded lists."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from heapq import nsmallest

from kexpert.core.symbols import Assignment, Kind, Symbol
from kexpert.core.text import decode
from kexpert.features.named.certainty import Certainty
from kexpert.features.named.definitions import inside
from kexpert.features.navigation.references import references
from kexpert.features.navigation.resolved_uses import ResolvedUses
from kexpert.features.semantics.definition_ranking import is_private
from kexpert.view import View

#: Files that are read for one answer.
_MAX_FILES = 24
_MAX_LINE_CHARS = 160
_MAX_ASSIGNMENTS = 5000
#: The name of a header holds no use of a name.
_INCLUDE = re.compile(rb"[ \t]*#[ \t]*include\b")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file, 0-based, and its text without its indentation."""

    path: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Uses:
    """``total`` counts the uses in the files that were read; ``more_files`` mention the name too."""

    symbol: Symbol
    rows: tuple[Line, ...]
    total: int
    files: int
    more_files: int
    certainty: Certainty


@dataclass(frozen=True, slots=True)
class Filled:
    """The assignments to an operation, or of a function to operations."""

    rows: tuple[Assignment, ...]
    total: int


def uses(
    view: View,
    symbol: Symbol,
    path: str,
    cancelled: Callable[[], bool],
    max_rows: int = 40,
    known: ResolvedUses | None = None,
) -> Uses | None:
    """The uses of a symbol: of its own file first, then of the nearest folders. None if its file cannot be read.

    ``known``: what earlier answers found out about uses of members.
    """
    source = view.source(symbol.path)
    if source is None:
        return None
    takes = inside(path)
    mentioning = set(view.files_mentioning(symbol.name))
    if symbol.kind is Kind.CONFIG:
        mentioning.update(view.files_mentioning(symbol.name.removeprefix("CONFIG_")))
    files = [each for each in mentioning if takes(each)]
    read = set(nsmallest(_MAX_FILES, files, key=_distance_from(symbol.path)))
    at = symbol.name_start
    found = [
        file
        for file in references(view, source, at, True, cancelled, known, read)
        if takes(file.path)
    ]
    if is_private(symbol) or symbol.kind is Kind.MEMBER:
        more = max(0, len(files) - _MAX_FILES) if symbol.kind is Kind.MEMBER else 0
        certainty = Certainty.BY_SYNTAX
    else:
        more, certainty = max(0, len(files) - _MAX_FILES), Certainty.BY_NAME
    found.sort(key=lambda file: _distance_from(symbol.path)(file.path))
    rows: list[Line] = []
    total = 0
    using: set[str] = set()
    for file in found:
        text = view.source(file.path)
        if text is None:
            continue
        lines = [text.lines.line_of(start) for start in file.starts]
        lines = [line for line in lines if not _INCLUDE.match(text.lines.line_bytes(line))]
        total += len(lines)
        using.update([file.path] if lines else [])
        if len(rows) < max_rows:
            rows += [Line(file.path, each, _shown(text.lines.line_bytes(each))) for each in dict.fromkeys(lines)]
    return Uses(symbol, tuple(rows[:max_rows]), total, len(using), more, certainty)


def filled(view: View, struct: str, member: str, path: str = "", max_rows: int = 60) -> Filled:
    """The functions that are assigned to a member of a struct ("" for any struct), by path."""
    takes = inside(path)
    found = [row for row in view.implementations(struct, member, _MAX_ASSIGNMENTS) if takes(row.path)]
    return Filled(tuple(sorted(found, key=lambda row: (row.path, row.line))[:max_rows]), len(found))


def filled_by(view: View, function: str, path: str = "", max_rows: int = 60) -> Filled:
    """The operations to which a function is assigned."""
    takes = inside(path)
    found = [row for row in view.assignments_of(function) if takes(row.path)]
    return Filled(tuple(found[:max_rows]), len(found))


def _distance_from(path: str) -> Callable[[str], tuple[bool, bool, bool, str]]:
    """A key that sorts by path: the same file, its folder, its top folder, the others."""
    folder, top = path.rpartition("/")[0] + "/", path.partition("/")[0] + "/"
    return lambda other: (other != path, not other.startswith(folder), not other.startswith(top), other)


def _shown(line: bytes) -> str:
    text = " ".join(decode(line).split())
    return text if len(text) <= _MAX_LINE_CHARS else text[: _MAX_LINE_CHARS - 1] + "…"
