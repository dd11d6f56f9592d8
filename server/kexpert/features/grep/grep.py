"""Search for text and regular expressions: whole functions, macros and types that hold a match.

The trigrams of the index exclude most files; the others are read. Every match in the files that the index knows is
found, in code, comments and strings.
"""

from __future__ import annotations

import re
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from kexpert.core.retrieval.chunk import is_generated
from kexpert.core.symbols import Kind, Symbol
from kexpert.core.text import decode
from kexpert.features.grep.file_filter import FileFilter
from kexpert.features.grep.query import Expression, GrepQuery
from kexpert.view import View

#: Kinds whose text is a result; a member is found as its struct.
_WHOLE = frozenset(Kind) - {Kind.MEMBER, Kind.ENUMERATOR}
_MAX_LINE_CHARS = 240
#: After the wanted results, matches are counted for so long.
_COUNT_SECONDS = 0.5
#: Files without a match after which a search looks whether it must end.
_FILES_BETWEEN_CHECKS = 50
_MIN_REGISTERS = 400
_DEFINE = re.compile(rb"[ \t]*#[ \t]*define[ \t]+(\w+)")
_FIRST = ("kernel/", "mm/", "fs/", "block/", "lib/", "init/", "ipc/", "security/", "crypto/", "net/", "include/",
          "virt/", "io_uring/", "drivers/base/")  # fmt: skip
_LAST = ("tools/", "samples/", "scripts/", "Documentation/", "usr/")


@dataclass(slots=True)
class GrepHit:
    """A definition with the lines on which matches begin; without a ``symbol`` a line outside of all."""

    path: str
    symbol: Symbol | None
    line: int  # of the name, or of the match
    start: int
    end: int
    #: (line, text), the first few.
    lines: list[tuple[int, str]] = field(default_factory=list)
    more_lines: int = 0


@dataclass(slots=True)
class GrepAnswer:
    """``hits`` by the order of their files: the kernel's core, drivers, other architectures, tools."""

    hits: list[GrepHit]
    more: int  # further results that were counted
    #: True if all files were searched: the number of results is exact.
    is_exact: bool
    why_stopped: str  # "" | "enough" | "time" | "cancelled"
    files_searched: int
    files_with_matches: int
    is_complete: bool  # of the index


def grep(view: View, query: GrepQuery, cancelled: Callable[[], bool] = lambda: False) -> GrepAnswer:
    """Definitions whose text matches, at most ``query.max_results``. Raises BadQuery."""
    expression, kinds = Expression(query), query.wanted_kinds()
    passes = FileFilter(view, query.paths, query.configs)
    began = time.monotonic()
    paths = [path for path in view.files_that_can_hold(expression.clauses) if passes.takes(path)]
    answer = GrepAnswer([], 0, True, "", 0, 0, view.complete)
    texts = view.wanted_texts(sorted(paths, key=_order), expression.is_in, can_join=expression.can_join)
    for path, data in texts:
        if data is not None or answer.files_searched % _FILES_BETWEEN_CHECKS == 0:
            seconds = time.monotonic() - began
            if cancelled():
                answer.why_stopped = "cancelled"
            elif seconds > query.max_seconds:
                answer.why_stopped = "time"
            elif len(answer.hits) >= query.max_results and seconds > _COUNT_SECONDS:
                answer.why_stopped = "enough"
            if answer.why_stopped:
                answer.is_exact = False
                break
        answer.files_searched += 1
        if not data:
            continue
        found = _hits(view, path, data, expression, kinds, passes, query.max_lines)
        answer.files_with_matches += bool(found)
        room = query.max_results - len(answer.hits)
        answer.hits += found[:room]
        answer.more += max(0, len(found) - room)
    return answer


def _order(path: str) -> tuple[int, str]:
    if path.startswith(_FIRST):
        return 0, path
    if path.startswith("arch/"):
        return (1 if path.startswith("arch/x86/") else 3), path
    if path.startswith(_LAST):
        return 4, path
    return (5 if is_generated(path) else 2), path


def _hits(
    view: View,
    path: str,
    data: bytes,
    expression: Expression,
    kinds: frozenset[Kind],
    passes: FileFilter,
    max_lines: int,
) -> list[GrepHit]:
    """The results of one file, by position."""
    hits: dict[tuple[int, int], GrepHit] = {}
    symbols: _Definitions | None = None
    line = last = 0
    for start, end in expression.matches(data):
        if symbols is None:
            symbols = _Definitions(view, path, data, kinds)
        symbol = symbols.around(start, end)
        if (symbol is None and kinds) or not passes.takes_place(path, data, start):
            continue
        line += data.count(b"\n", last, start)
        last = start
        begin = data.rfind(b"\n", 0, start) + 1
        stop = data.find(b"\n", start)
        stop = len(data) if stop < 0 else stop
        span = (symbol.start, symbol.end) if symbol else (begin, stop)
        hit = hits.get(span)
        if hit is None:
            hit = hits[span] = GrepHit(path, symbol, symbol.line if symbol else line, *span)
        if len(hit.lines) < max_lines:
            hit.lines.append((line, decode(data[begin : min(stop, begin + _MAX_LINE_CHARS)]).rstrip("\r")))
        else:
            hit.more_lines += 1
    return list(hits.values())


class _Definitions:
    """The definitions of one file, to find the one around a match."""

    def __init__(self, view: View, path: str, data: bytes, kinds: frozenset[Kind]) -> None:
        wanted = kinds or _WHOLE
        self._path, self._data = path, data
        self._is_table = path.endswith(".h") and data.count(b"#define") > _MIN_REGISTERS and b"{" not in data
        self._takes_macros = Kind.MACRO in wanted
        rows = [] if self._is_table else [s for s in view.symbols_in(path) if s.kind in wanted and s.start < s.end]
        self._rows = sorted(rows, key=lambda s: (s.start, -s.end))
        self._starts = [row.start for row in self._rows]
        self._max_ends = list(_running_maximum(row.end for row in self._rows))

    def around(self, start: int, end: int) -> Symbol | None:
        """The smallest definition around the beginning of a match; else the first that begins inside the match."""
        if self._is_table:
            return self._macro_at(start)
        at = bisect_right(self._starts, start) - 1
        best: Symbol | None = None
        while at >= 0 and self._max_ends[at] > start:
            row = self._rows[at]
            if row.end > start and (best is None or row.end - row.start < best.end - best.start):
                best = row
            at -= 1
        following = bisect_right(self._starts, start)
        if best is None and following < len(self._rows) and self._starts[following] < end:
            return self._rows[following]
        return best

    def _macro_at(self, at: int) -> Symbol | None:
        """The macro of a line in a header of nothing else, whose rows the index does not keep by file."""
        data = self._data
        begin = data.rfind(b"\n", 0, at) + 1
        match = _DEFINE.match(data, begin) if self._takes_macros else None
        if match is None:
            return None
        stop = data.find(b"\n", at)
        name = match[1].decode("latin-1")
        line = data.count(b"\n", 0, begin)
        return Symbol(name, Kind.MACRO, self._path, line, match.start(1), begin, len(data) if stop < 0 else stop)


def _running_maximum(values: Iterator[int]) -> Iterator[int]:
    highest = 0
    for value in values:
        highest = max(highest, value)
        yield highest
