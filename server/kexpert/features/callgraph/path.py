"""The shortest chain of calls from one function to another, searched from both ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kexpert.core.c.lex import blank_comments
from kexpert.core.c.word_scan import callees as called_names
from kexpert.core.symbols import Kind, Symbol
from kexpert.features.callgraph.callers import entries_of, written_lines
from kexpert.features.callgraph.chain import key_of
from kexpert.features.callgraph.definitions import BESIDE_KERNEL, FUNCTIONS, definitions_named, meant_by
from kexpert.features.callgraph.edges import Certainty, Edge, TableEntry
from kexpert.features.callgraph.operations import Operations
from kexpert.features.callgraph.undecided import without_configuration
from kexpert.features.semantics.definition_ranking import is_private
from kexpert.view import View

#: Functions whose neighbours are read, and the callers of one that are followed.
_MAX_EXPANDED = 2000
_MAX_CALLERS = 400
_MAX_OPERATIONS = 4
_MAX_LENGTH = 16
#: Chains that turn out to hold a call through a member of the same name.
_MAX_RETRIES = 12

_Key = tuple[str, str, int]


@dataclass(slots=True)
class CallPath:
    """The edges from ``source`` to ``target``, in order; empty if none was found."""

    source: Symbol
    target: Symbol
    edges: list[Edge]
    #: True if the search ended at a limit, so that there may be a chain that was not found.
    is_limited: bool
    is_complete: bool  # of the index


def shortest_path(
    view: View, name: str, other: str, cancelled: Callable[[], bool] = lambda: False
) -> CallPath | None:
    """The shortest chain from one function to another, or else from the other to the one; None if either is missing."""
    view = without_configuration(view)
    starts, ends = definitions_named(view, name), definitions_named(view, other)
    if not starts or not ends:
        return None
    search = _Search(view, cancelled)
    first = search.path(starts[0], ends[0])
    if first.edges:
        return first
    back = search.path(ends[0], starts[0])
    return back if back.edges else first


@dataclass(frozen=True, slots=True)
class _Link:
    """A call that the index knows by name; the place is looked up when the chain is found."""

    caller: Symbol
    callee: Symbol
    entry: TableEntry | None
    certainty: Certainty
    line: int  # of a call through an operation; -1 if not known yet


class _Search:
    def __init__(self, view: View, cancelled: Callable[[], bool]) -> None:
        self.view, self.cancelled = view, cancelled
        self.operations = Operations(view)
        self.known: dict[str, list[Symbol]] = {}
        self._above: dict[_Key, list[_Link]] = {}
        self._below: dict[_Key, list[_Link]] = {}
        self._wrong: set[tuple[_Key, _Key]] = set()
        self.is_limited = False

    def path(self, source: Symbol, target: Symbol) -> CallPath:
        self.is_limited = False
        for _ in range(_MAX_RETRIES):
            links = self._meet(source, target)
            edges = [self._edge(link) for link in links]
            if all(edges):
                found = [edge for edge in edges if edge is not None]
                return CallPath(source, target, found, self.is_limited, self.view.complete)
            self._wrong.update(
                (key_of(link.caller), key_of(link.callee)) for link, edge in zip(links, edges, strict=True) if not edge
            )
        return CallPath(source, target, [], True, self.view.complete)

    def _meet(self, source: Symbol, target: Symbol) -> list[_Link]:
        """The links of a shortest chain, by the names that the index knows; empty if there is none."""
        if key_of(source) == key_of(target):
            return []
        down: dict[_Key, _Link | None] = {key_of(source): None}
        up: dict[_Key, _Link | None] = {key_of(target): None}
        below, above = [source], [target]
        expanded = 0
        for _ in range(_MAX_LENGTH):
            if not (below or above) or self.cancelled():
                return []
            # tables are known from above only, macros from below only: an end without neighbours proves nothing
            is_down = not above or (bool(below) and len(below) <= len(above))
            mine, theirs = (down, up) if is_down else (up, down)
            following: list[Symbol] = []
            met: _Key | None = None
            for symbol in below if is_down else above:
                expanded += 1
                if expanded > _MAX_EXPANDED or self.cancelled():
                    self.is_limited = True
                    return []
                for link in self._links_below(symbol) if is_down else self._links_above(symbol):
                    end = link.callee if is_down else link.caller
                    key = key_of(end)
                    if key in mine or (key_of(link.caller), key_of(link.callee)) in self._wrong:
                        continue
                    mine[key] = link
                    following.append(end)
                    if key in theirs:
                        met = key
                        break
                if met:
                    return _joined(down, up, met)
            if is_down:
                below = following
            else:
                above = following
        self.is_limited = True
        return []

    def _links_above(self, symbol: Symbol) -> list[_Link]:
        key = key_of(symbol)
        if key in self._above:
            return self._above[key]
        rows = self.view.callers(symbol.name, _MAX_CALLERS)
        self.is_limited |= len(rows) >= _MAX_CALLERS
        if is_private(symbol):
            rows = [row for row in rows if row.path == symbol.path]
        elif rows:
            bodies = self.view.lookup(symbol.name, FUNCTIONS)
            hiding = {each.path for each in bodies if is_private(each) and each.path != symbol.path}
            rows = [row for row in rows if row.path not in hiding]
        if not symbol.path.startswith(BESIDE_KERNEL):
            rows = [row for row in rows if not row.path.startswith(BESIDE_KERNEL)]
        found = [_Link(row, symbol, None, Certainty.SYNTAX, -1) for row in rows]
        entries = {(e.struct, e.member): e for e in reversed(entries_of(self.view, symbol, self.operations))}
        for (struct, member), entry in list(entries.items())[:_MAX_OPERATIONS]:
            for caller, line, certainty in self.operations.callers_of(struct, member, self.cancelled):
                found.append(_Link(caller, symbol, entry, certainty, line))
        self._above[key] = found
        return found

    def _links_below(self, symbol: Symbol) -> list[_Link]:
        key = key_of(symbol)
        if key in self._below:
            return self._below[key]
        found: list[_Link] = []
        data = self.view.data(symbol.path) if symbol.kind is not Kind.PROTOTYPE else None
        if data is not None and symbol.kind is not Kind.ASM_LABEL:
            for called in sorted(called_names(blank_comments(data[symbol.start : symbol.end]))):
                meant = meant_by(self.view, called.decode("latin-1"), symbol, self.known)
                if meant is not None and meant[0] != symbol:
                    found.append(_Link(symbol, meant[0], None, meant[1], -1))
        self._below[key] = found
        return found

    def _edge(self, link: _Link) -> Edge | None:
        """The edge of a link, with the line of the call; None if all calls of that name go through a member."""
        line, operation = link.line, link.entry.operation if link.entry else ""
        if line < 0:
            written = written_lines(self.view, link.caller, link.callee.name.removeprefix("sys_"))
            if link.callee.kind is not Kind.SYSCALL:
                written = written_lines(self.view, link.caller, link.callee.name)
            line = next((at for at, is_member in written if not is_member), -1)
        if line < 0:
            return None
        return Edge(link.caller, link.callee, link.caller.path, line, link.certainty, link.entry, operation)


def _joined(down: dict[_Key, _Link | None], up: dict[_Key, _Link | None], met: _Key) -> list[_Link]:
    links: list[_Link] = []
    link = down[met]
    while link is not None:
        links.append(link)
        link = down[key_of(link.caller)]
    links.reverse()
    link = up[met]
    while link is not None:
        links.append(link)
        link = up[key_of(link.callee)]
    return links
