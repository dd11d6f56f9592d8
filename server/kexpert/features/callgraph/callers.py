"""The callers of a function: by its name, and through the operations to which it is assigned."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial

from kexpert.core.c.cursor_context import comment_start
from kexpert.core.c.lex import blank_comments, is_member_use
from kexpert.core.c.member_assignments import member_assignments
from kexpert.core.symbols import Kind, Symbol
from kexpert.features.callgraph.definitions import BESIDE_KERNEL, FUNCTIONS, core_first
from kexpert.features.callgraph.edges import Certainty, Edge, Edges, TableEntry
from kexpert.features.callgraph.kept_calls import CallReader
from kexpert.features.callgraph.operations import Operations
from kexpert.features.semantics.definition_ranking import is_private
from kexpert.view import View

#: Callers of one function that are read; the others are counted.
_MAX_READ = 300
_MAX_ENTRIES = 40
_MAX_OPERATIONS = 6


def callers(
    view: View,
    symbol: Symbol,
    operations: Operations,
    limit: int,
    cancelled: Callable[[], bool] = lambda: False,
) -> Edges:
    """At most ``limit`` edges to ``symbol``, direct calls first, its own file's first, then the kernel's core."""
    direct, unread = _direct(view, symbol, operations.reader, cancelled)
    entries = entries_of(view, symbol, operations)
    through: list[Edge] = []
    for struct, member in list(dict.fromkeys((e.struct, e.member) for e in entries))[:_MAX_OPERATIONS]:
        entry = next(e for e in entries if (e.struct, e.member) == (struct, member))
        for caller, line, certainty in operations.callers_of(struct, member, cancelled):
            through.append(Edge(caller, symbol, caller.path, line, certainty, entry, entry.operation))
    edges = sorted(direct, key=lambda edge: _order(edge, symbol)) + through
    unread += max(0, len(edges) - limit)
    return Edges(tuple(edges[:limit]), unread, tuple(entries))


def entries_of(view: View, symbol: Symbol, operations: Operations) -> list[TableEntry]:
    """The ops tables that hold a function; those of its own file alone if it is static."""
    if symbol.kind not in FUNCTIONS:
        return []
    entries = [
        TableEntry(each.struct, each.member, each.table, each.path, each.line)
        for each in view.assignments_of(symbol.name)
        if each.path == symbol.path or not is_private(symbol)
    ]
    return [*entries, *_assigned_in_code(view, symbol, operations)][:_MAX_ENTRIES]


def _assigned_in_code(view: View, symbol: Symbol, operations: Operations) -> Iterator[TableEntry]:
    """Assignments in the function's own file, ``gc->set = foo_set;``, to members of known structs."""
    data = view.data(symbol.path) or b""
    for each in member_assignments(data, symbol.name):
        is_code = comment_start(data, each.start) is None
        if is_code and (struct := operations.struct_of(symbol.path, each.member_start)):
            table, member = re.split(r"\s*(?:->|\.)\s*", each.target)[-2:]
            yield TableEntry(struct, member, table, symbol.path, data.count(b"\n", 0, each.start))


def _order(edge: Edge, symbol: Symbol) -> tuple[object, ...]:
    return edge.caller.path != symbol.path, *core_first(edge.caller)


def _direct(
    view: View, symbol: Symbol, reader: CallReader, cancelled: Callable[[], bool]
) -> tuple[list[Edge], int]:
    """The calls by name, and how many callers were not read."""
    name = symbol.name
    rows = view.callers(name, 4 * _MAX_READ)
    bodies = view.lookup(name, FUNCTIONS)
    others = [other for other in bodies if other.path != symbol.path]
    hiding = {other.path for other in others if is_private(other)}
    if is_private(symbol):
        rows = [row for row in rows if row.path == symbol.path]
    else:
        rows = [row for row in rows if row.path not in hiding]
        if not symbol.path.startswith(BESIDE_KERNEL):
            rows = [row for row in rows if not row.path.startswith(BESIDE_KERNEL)]
    rows = sorted(dict.fromkeys(rows), key=lambda row: (row.path != symbol.path, *core_first(row)))
    is_only = is_private(symbol) or all(is_private(other) for other in others)
    edges = []
    for row in rows[:_MAX_READ]:
        if cancelled():
            break
        line = reader.ask(row.path, (row.start, name), partial(_first_line, view, row, name))
        if line is not None:
            edges.append(Edge(row, symbol, row.path, line, Certainty.EXACT if is_only else Certainty.SYNTAX))
    unread = max(0, len(rows) - _MAX_READ)
    if len(rows) >= 4 * _MAX_READ:
        unread = max(unread, view.caller_count(name) - _MAX_READ)
    return edges, unread


def _first_line(view: View, row: Symbol, name: str) -> int | None:
    """The line of the first call of a name in a function."""
    return next((line for line, member in written_lines(view, row, name) if not member), None)


def written_lines(view: View, caller: Symbol, name: str) -> Iterator[tuple[int, bool]]:
    """(line, whether it follows ``->`` or ``.``) of each call of ``name`` in a function's text."""
    data = view.data(caller.path)
    if data is None:
        return
    end = caller.end if caller.kind is not Kind.ASM_LABEL else min(len(data), caller.start + (1 << 16))
    text = blank_comments(data[caller.start : end])
    first = data.count(b"\n", 0, caller.start)
    is_call = rb"(?<!\w)" + re.escape(name.encode()) + (rb"\b" if caller.kind is Kind.ASM_LABEL else rb"\s*+\(")
    for match in re.finditer(is_call, text):
        yield first + text.count(b"\n", 0, match.start()), is_member_use(text, match.start())
