"""Callers that do not spell a function's name: through an operation, a macro; the functions that write a member."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator

from kexpert.core.c.access import Access
from kexpert.core.symbols import Kind, Span, Symbol
from kexpert.features.navigation.references import marked_references
from kexpert.features.navigation.resolved_uses import ResolvedUses
from kexpert.features.semantics.definition_ranking import is_private
from kexpert.view import View

_DEFINE = re.compile(rb"[ \t]*#[ \t]*define[ \t]+(\w+)\(")
_MAX_OPERATIONS = 8
_MAX_MACROS = 10
_MAX_FILES = 1500
_MAX_MACRO_LINES = 60

Cancelled = Callable[[], bool]


def operations_of(view: View, symbol: Symbol) -> list[tuple[str, str]]:
    """(struct, member) of the operations to which a function is assigned."""
    assigned = view.assignments_of(symbol.name)
    if is_private(symbol):
        assigned = [each for each in assigned if each.path == symbol.path]
    return list(dict.fromkeys((each.struct, each.member) for each in assigned if each.struct))[:_MAX_OPERATIONS]


def macros_that_call(view: View, symbol: Symbol, cancelled: Cancelled) -> list[str]:
    """The macros with parameters whose bodies call a function; empty for names that very many files mention."""
    paths = [symbol.path] if is_private(symbol) else view.files_mentioning(symbol.name)
    if len(paths) > _MAX_FILES:
        return []
    names: dict[str, None] = {}
    for file in view.references(symbol.name, cancelled, paths):
        data = view.data(file.path) or b""
        for start in file.starts:
            name = _macro_around(data, start) if data[start + file.size : start + file.size + 1] == b"(" else ""
            if name and name != symbol.name:
                names[name] = None
    return list(names)[:_MAX_MACROS]


def _macro_around(data: bytes, at: int) -> str:
    """The macro with parameters whose body holds an offset; "" if none does."""
    line = data.rfind(b"\n", 0, at) + 1
    for _ in range(_MAX_MACRO_LINES):
        if not line or data[line - 2 : line - 1] != b"\\":
            break
        line = data.rfind(b"\n", 0, line - 1) + 1
    match = _DEFINE.match(data, line)
    return match[1].decode("latin-1") if match and match.end() < at else ""


def writers_of_member(
    view: View, member: Symbol, cancelled: Cancelled, known: ResolvedUses | None = None
) -> Iterator[tuple[Symbol, list[Span]]]:
    """The functions that certainly write a member or take its address, with the places."""
    source = view.source(member.path)
    if source is None:
        return
    for marked in marked_references(view, source, member.name_start, False, cancelled, known):
        written = [access in (Access.WRITE, Access.ADDRESS) for access in marked.access]
        keep = [sure and change for sure, change in zip(marked.certain, written, strict=True)]
        file = marked.file.selected(keep)
        functions = [row for row in view.symbols_in(file.path) if row.kind in (Kind.FUNCTION, Kind.SYSCALL)]
        functions.sort(key=lambda row: row.start)
        starts = [row.start for row in functions]
        spans: dict[int, list[Span]] = {}
        for use in file:
            at = bisect_right(starts, use.start) - 1
            if at >= 0 and use.start < functions[at].end:
                spans.setdefault(at, []).append(Span(use.path, use.start, use.end))
        for at, found in spans.items():
            yield functions[at], found
