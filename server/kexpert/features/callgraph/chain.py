"""The functions above and below one, level by level, as a tree with limits."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from kexpert.core.symbols import Kind, Symbol
from kexpert.features.callgraph.callees import callees
from kexpert.features.callgraph.callers import callers, entries_of
from kexpert.features.callgraph.definitions import definitions_named
from kexpert.features.callgraph.edges import Edge, TableEntry
from kexpert.features.callgraph.kept_calls import KeptCalls
from kexpert.features.callgraph.operations import Operations
from kexpert.features.callgraph.pointers import PassedOnPlaces, passed_on
from kexpert.features.callgraph.undecided import without_configuration
from kexpert.view import View

#: Notes of a node that is not expanded.
CYCLE, SHOWN, LIMIT = "cycle", "shown above", "limit"


@dataclass(frozen=True, slots=True)
class ChainLimits:
    """``up`` and ``down`` count levels, ``width`` the edges of one function, ``nodes`` those of one direction."""

    up: int = 2
    down: int = 3
    width: int = 12
    nodes: int = 150


@dataclass(slots=True)
class ChainNode:
    """A function in the tree and the edge that leads to it; ``symbol`` is None for an operation with very many
    implementations."""

    symbol: Symbol | None
    edge: Edge | None
    children: list[ChainNode] = field(default_factory=list)
    more: int = 0  # edges that are not shown
    note: str = ""
    #: Ops tables that hold the function, where its callers are asked for.
    entries: tuple[TableEntry, ...] = ()


@dataclass(slots=True)
class CallChain:
    """The callers above a function and the callees below it."""

    symbol: Symbol
    #: Other functions of the same name.
    others: list[Symbol]
    up: ChainNode
    down: ChainNode
    #: Where the function itself is passed on as a pointer.
    passed_on: PassedOnPlaces
    is_complete: bool  # of the index


def call_chain(
    view: View,
    name: str,
    limits: ChainLimits,
    cancelled: Callable[[], bool] = lambda: False,
    kept: KeptCalls | None = None,
) -> CallChain | None:
    """The tree around a function or macro; None if the tree has none of that name. ``kept``: of earlier questions."""
    found = definitions_named(without_configuration(view), name)
    return chain_around(view, found[0], found[1:], limits, cancelled, kept) if found else None


def chain_around(
    view: View,
    symbol: Symbol,
    others: list[Symbol],
    limits: ChainLimits,
    cancelled: Callable[[], bool] = lambda: False,
    kept: KeptCalls | None = None,
) -> CallChain:
    """The tree around one of several functions of a name."""
    view = without_configuration(view)
    operations = Operations(view, kept or KeptCalls())
    known: dict[str, list[Symbol]] = {}

    def below(node: Symbol) -> tuple[list[tuple[Symbol | None, Edge]], int, tuple[TableEntry, ...]]:
        edges = callees(view, node, operations, limits.width, known, cancelled)
        return [(edge.callee, edge) for edge in edges.edges], edges.more, ()

    def above(node: Symbol) -> tuple[list[tuple[Symbol | None, Edge]], int, tuple[TableEntry, ...]]:
        edges = callers(view, node, operations, limits.width, cancelled)
        return [(edge.caller, edge) for edge in edges.edges], edges.more, edges.entries

    up = _grown(symbol, above, limits.up, limits.nodes)
    up.entries = up.entries or tuple(entries_of(view, symbol, operations))
    down = _grown(symbol, below, limits.down, limits.nodes)
    return CallChain(symbol, others, up, down, passed_on(view, symbol, cancelled), view.complete)


def _grown(
    symbol: Symbol,
    neighbours: Callable[[Symbol], tuple[list[tuple[Symbol | None, Edge]], int, tuple[TableEntry, ...]]],
    levels: int,
    max_nodes: int,
) -> ChainNode:
    """A tree of ``levels`` levels, level by level, so that a limit cuts the deepest first."""
    root = ChainNode(symbol, None)
    expanded = {key_of(symbol)}
    level = deque([(root, frozenset(expanded))])
    nodes = 1
    for depth in range(levels):
        following: deque[tuple[ChainNode, frozenset[tuple[str, str, int]]]] = deque()
        for node, around in level:
            if node.symbol is None:
                continue
            found, node.more, node.entries = neighbours(node.symbol)
            for target, edge in found:
                if nodes >= max_nodes:
                    node.more += 1
                    node.note = LIMIT
                    continue
                nodes += 1
                child = ChainNode(target, edge)
                node.children.append(child)
                if target is None:
                    continue
                key = key_of(target)
                if key in around:
                    child.note = CYCLE
                elif key in expanded:
                    child.note = SHOWN if depth + 1 < levels else ""
                elif target.kind is not Kind.PROTOTYPE:
                    expanded.add(key)
                    following.append((child, around | {key}))
        level = following
    return root


def key_of(symbol: Symbol) -> tuple[str, str, int]:
    """What tells functions apart: variants of a name in one file are different ones."""
    return symbol.name, symbol.path, symbol.start
