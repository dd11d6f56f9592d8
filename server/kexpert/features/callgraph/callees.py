"""The functions that a function calls: by name, and through operations."""

from __future__ import annotations

import re
from collections.abc import Callable

from kexpert.core.symbols import Kind, Symbol
from kexpert.features.callgraph.definitions import meant_by
from kexpert.features.callgraph.edges import Certainty, Edge, Edges, TableEntry
from kexpert.features.callgraph.local_pointers import BodyCall, body_calls
from kexpert.features.callgraph.operations import Operations
from kexpert.view import View

#: An operation that more functions implement is shown as one, with their number.
MAX_IMPLEMENTATIONS = 12
_MAX_CALLS = 400
#: Macros that say or check something and lead nowhere.
_PLAIN_MACRO = re.compile(
    r"(?:pr|dev|netdev|net|drm|printk|trace|lockdep|WARN|BUG|BUILD_BUG|VM_BUG|VM_WARN|KUNIT)_?\w*|[A-Z0-9_]+"
    r"|(?:un)?likely|container_of\w*|min(?:_t)?|max(?:_t)?|list_\w+|hlist_\w+|for_each_\w+|\w+_for_each\w*|ARRAY_SIZE"
    r"|typeof|offsetof|swap|rcu_(?:dereference|assign)\w*|[a-z]+(?:16|32|64)_to_cpu|cpu_to_[a-z]+(?:16|32|64)"
)


def callees(
    view: View,
    symbol: Symbol,
    operations: Operations,
    limit: int,
    known: dict[str, list[Symbol]],
    cancelled: Callable[[], bool] = lambda: False,
) -> Edges:
    """At most ``limit`` edges from ``symbol``, in the order of the calls; macros after functions.

    ``known`` keeps definitions by name for one request.
    """
    data = view.data(symbol.path)
    if data is None:
        return Edges(())
    sites: dict[tuple[str, bool], BodyCall] = {}
    for call in body_calls(data, symbol):
        sites.setdefault((call.name, call.member), call)
        if len(sites) >= _MAX_CALLS:
            break
    functions: list[Edge] = []
    macros: list[Edge] = []
    for call in sites.values():
        if cancelled():
            break
        line = data.count(b"\n", 0, call.start)
        if call.member:
            functions += _through(symbol, call, line, operations)
            continue
        meant = meant_by(view, call.name, symbol, known)
        if meant is None or (meant[0] == symbol and symbol.kind is Kind.MACRO):
            continue
        target, certainty = meant
        if target.kind in (Kind.MACRO, Kind.TRACEPOINT):
            if not _PLAIN_MACRO.fullmatch(target.name):
                macros.append(Edge(symbol, target, symbol.path, line, certainty))
        else:
            functions.append(Edge(symbol, target, symbol.path, line, certainty))
    edges = functions + macros
    return Edges(tuple(edges[:limit]), max(0, len(edges) - limit))


def _through(symbol: Symbol, call: BodyCall, line: int, operations: Operations) -> list[Edge]:
    """The edges of a call through a member: to each implementation if they are few, else one to the operation."""
    struct = operations.struct_of(symbol.path, call.member_at)
    certainty = Certainty.SYNTAX if struct else Certainty.NAME
    assigned = operations.implementations_of(struct, call.name)
    if not assigned:
        return []
    operation = f"{struct}.{call.name}" if struct else f".{call.name}"
    if len(assigned) > MAX_IMPLEMENTATIONS or not struct:
        return [Edge(symbol, None, symbol.path, line, certainty, None, operation, len(assigned))]
    edges = []
    for each in assigned:
        target = operations.function_of(each)
        if target is not None:
            entry = TableEntry(struct, call.name, each.table, each.path, each.line)
            edges.append(Edge(symbol, target, symbol.path, line, certainty, entry, operation, len(assigned)))
    return edges
