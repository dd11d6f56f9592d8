"""Who calls a function, and what it calls: bounded lists, each row with the line of the call."""

from __future__ import annotations

from dataclasses import dataclass

from kexpert.core.c.source import Source
from kexpert.core.symbols import Assignment, Kind, Symbol
from kexpert.features.callgraph.pointers import PassedOnPlaces, passed_on
from kexpert.features.named.certainty import Certainty
from kexpert.features.named.definitions import inside
from kexpert.features.navigation.call_hierarchy import (
    CALLABLE,
    WrittenCall,
    best_callee,
    operation_of_call,
    written_calls,
)
from kexpert.features.navigation.indirect_calls import wrappers_of
from kexpert.features.semantics.definition_ranking import is_private, is_visible
from kexpert.features.semantics.include_paths import arch_for
from kexpert.view import View

_BODIES = (Kind.FUNCTION, Kind.SYSCALL, Kind.MACRO)
#: Callers that are read of the index: of a function with more, the list is not sorted by nearness.
_MAX_CALLERS, _MAX_CALLERS_IN_PATH = 800, 5000
#: Macros that call a function are looked for only if it has no more callers: the files that mention it are read.
_MAX_CALLERS_FOR_MACROS, _MAX_FILES_FOR_MACROS = 60, 40
_MAX_RESOLVED_MEMBERS = 12


@dataclass(frozen=True, slots=True)
class Caller:
    """A function that calls another, and the lines of the calls, 0-based."""

    symbol: Symbol
    lines: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Callers:
    """``total``: of the callers in the wanted files; ``at_least`` if there may be more. ``tables``: where the function
    is assigned to an operation, through which others call it. ``macros``: whose bodies call it. ``passed_on``: as a
    pointer."""

    symbol: Symbol
    rows: tuple[Caller, ...]
    total: int
    at_least: bool
    tables: tuple[Assignment, ...]
    macros: tuple[str, ...]
    certainty: Certainty
    passed_on: PassedOnPlaces


@dataclass(frozen=True, slots=True)
class Callee:
    """A function that is called; ``symbol`` is None if no definition of it is known. ``operation``: through which it is
    called, "file_operations.open", or "open" if the struct is not known."""

    name: str
    symbol: Symbol | None
    lines: tuple[int, ...]
    operation: str = ""


@dataclass(frozen=True, slots=True)
class Callees:
    symbol: Symbol
    rows: tuple[Callee, ...]
    total: int


def callers(view: View, symbol: Symbol, path: str = "", max_rows: int = 30) -> Callers:
    """The callers of a function: of its own file first, then of its folder, then by path."""
    takes = inside(path)
    max_read = _MAX_CALLERS_IN_PATH if path else _MAX_CALLERS
    found = [row for row in view.callers(symbol.name, max_read) if row.name != symbol.name]
    at_least = len(found) >= max_read - 1
    others = _statics_elsewhere(view, symbol)
    if is_private(symbol):
        found, at_least = [row for row in found if row.path == symbol.path], False
    found = [row for row in dict.fromkeys(found) if takes(row.path) and row.path not in others]
    folder = symbol.path.rpartition("/")[0]
    found.sort(key=lambda row: (row.path != symbol.path, row.path.rpartition("/")[0] != folder, row.path, row.line))
    rows = tuple(Caller(row, _lines_of(view, row, symbol.name)) for row in found[:max_rows])
    total = len(found)
    if at_least and not path:
        total = max(total, view.caller_count(symbol.name))
    assigned = [
        each for each in view.assignments_of(symbol.name)
        if takes(each.path) and (not is_private(symbol) or each.path == symbol.path)
    ]  # fmt: skip
    macros: list[str] = []
    few = len(found) <= _MAX_CALLERS_FOR_MACROS
    if few and len(view.files_mentioning(symbol.name)) <= _MAX_FILES_FOR_MACROS:
        wrappers = wrappers_of(view, symbol, lambda: False)
        macros = wrappers.macros + wrappers.cleanups
    certainty = Certainty.BY_SYNTAX if is_private(symbol) else Certainty.BY_NAME
    pointers = passed_on(view, symbol)
    if path:
        pointers = PassedOnPlaces(tuple(each for each in pointers.places if takes(each.path)), pointers.unread_files)
    return Callers(symbol, rows, total, at_least and bool(path), tuple(assigned), tuple(macros), certainty, pointers)


def _statics_elsewhere(view: View, symbol: Symbol) -> set[str]:
    """Files in which the name means a static function of their own."""
    rows = view.lookup(symbol.name, _BODIES, 500)
    return {row.path for row in rows if is_private(row) and row.path != symbol.path}


def _lines_of(view: View, caller: Symbol, name: str) -> tuple[int, ...]:
    """The lines on which a function calls ``name``; its own line if they cannot be read."""
    source = view.source(caller.path)
    if source is None or caller.kind is Kind.ASM_LABEL:
        return (caller.line,)
    lines = (source.lines.line_of(call.start) for call in written_calls(source.data, caller) if call.name == name)
    return tuple(dict.fromkeys(lines)) or (caller.line,)


def callees(view: View, symbol: Symbol, max_rows: int = 60) -> Callees:
    """The functions that a function calls, in the order of their first calls.

    A call through an operation leads to the functions assigned to it if they are few; else its member stands for
    them.
    """
    source = view.source(symbol.path)
    if source is None:
        return Callees(symbol, (), 0)
    lines: dict[tuple[str, bool], list[int]] = {}
    members: dict[str, WrittenCall] = {}
    for call in written_calls(source.data, symbol):
        lines.setdefault((call.name, call.member), []).append(source.lines.line_of(call.start))
        if call.member:
            members.setdefault(call.name, call)
    reached = {
        name: operation_of_call(view, source, call) for name, call in list(members.items())[:_MAX_RESOLVED_MEMBERS]
    }
    rows: list[Callee] = []
    for (name, member), found in list(lines.items())[:max_rows]:
        where = tuple(dict.fromkeys(found))
        if not member:
            rows.append(Callee(name, _meant(view, source, name), where))
            continue
        struct, targets = reached.get(name, ("", []))
        operation = f"{struct}.{name}" if struct else name
        rows += [Callee(target.name, target, where, operation) for target in targets] or [
            Callee(name, None, where, operation)
        ]
    return Callees(symbol, tuple(rows), len(rows) + max(0, len(lines) - max_rows))


def _meant(view: View, source: Source, name: str) -> Symbol | None:
    """The function or macro that a call reaches. A single candidate needs no ranking, which reads headers."""
    rows = view.lookup(name, CALLABLE, limit=50)
    own = [row for row in rows if row.path == source.path and row.kind in _BODIES]
    arch = arch_for(view, source.path)
    seen = [row for row in rows if row.kind is not Kind.PROTOTYPE and is_visible(row, source, arch)]
    candidates = own or [row for row in seen if not row.path.startswith(("tools/", "samples/", "scripts/"))]
    return candidates[0] if own or len(candidates) == 1 else best_callee(view, source, name)
