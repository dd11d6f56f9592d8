"""Call chains as a tree in plain text and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from kexpert.core.symbols import Symbol
from kexpert.features.callgraph.chain import CallChain, ChainNode
from kexpert.features.callgraph.edges import Edge, TableEntry
from kexpert.features.callgraph.path import CallPath
from kexpert.features.callgraph.pointers import PassedOn

Json: TypeAlias = dict[str, Any]
PlaceOf: TypeAlias = Callable[[str], str]

GROWING = "The index is still growing: callers may be missing."
_MAX_ENTRIES = 3


def to_json(found: CallChain) -> Json:
    """Lines count from 1. A node's ``call`` is the edge that leads to it; ``more`` counts edges that are not shown."""
    return {
        "function": _symbol(found.symbol),
        "others": [_symbol(other) for other in found.others],
        "callers": _node(found.up),
        "callees": _node(found.down),
        "passedOn": [_passed_on(each) for each in found.passed_on.places],
        "indexComplete": found.is_complete,
    }


def path_to_json(found: CallPath) -> Json:
    """``edges`` is empty where no chain was found; ``limited`` says that the search ended at a limit."""
    edges = [
        {**_call(edge), "caller": _symbol(edge.caller), "callee": _symbol(edge.callee)}
        for edge in found.edges
        if edge.callee is not None
    ]
    return {
        "from": _symbol(found.source),
        "to": _symbol(found.target),
        "edges": edges,
        "limited": found.is_limited,
        "indexComplete": found.is_complete,
    }


def _symbol(symbol: Symbol) -> Json:
    return {"name": symbol.name, "kind": symbol.kind.name.lower(), "path": symbol.path, "line": symbol.line + 1}


def _passed_on(place: PassedOn) -> Json:
    return {"path": place.path, "line": place.line + 1, "in": place.around, "text": place.text}


def _node(node: ChainNode) -> Json:
    answer: Json = _symbol(node.symbol) if node.symbol else {"name": node.edge.operation if node.edge else ""}
    if node.edge is not None:
        answer["call"] = _call(node.edge)
    if node.entries:
        answer["tables"] = [_entry(entry) for entry in node.entries]
    if node.note:
        answer["note"] = node.note
    answer["more"] = node.more
    answer["children"] = [_node(child) for child in node.children]
    return answer


def _call(edge: Edge) -> Json:
    answer: Json = {
        "path": edge.path,
        "line": edge.line + 1,
        "through": "ops table" if edge.operation else "direct call",
        "certainty": edge.certainty.value,
    }
    if edge.operation:
        answer["operation"] = edge.operation
    if edge.implementations:
        answer["implementations"] = edge.implementations
    if edge.entry is not None:
        answer["table"] = _entry(edge.entry)
    return answer


def _entry(entry: TableEntry) -> Json:
    return {"operation": entry.operation, "table": entry.table, "path": entry.path, "line": entry.line + 1}


def to_plain_text(found: CallChain, place_of: PlaceOf = str) -> str:
    """The callers above and the callees below, indented, each with the place of the call."""
    lines = [f"{found.symbol.name}  {place_of(found.symbol.path)}:{found.symbol.line + 1}", *others(found, place_of)]
    for heading, section in to_sections(found, place_of):
        lines += ["", f"{heading}:", *(f"  {line}" for line in section)]
    if not found.is_complete:
        lines += ["", GROWING]
    return "\n".join(lines)


def others(found: CallChain, place_of: PlaceOf) -> list[str]:
    """A line about the other definitions, if there are any."""
    if not found.others:
        return []
    places = ", ".join(f"{place_of(other.path)}:{other.line + 1}" for other in found.others[:_MAX_ENTRIES])
    return [f"(of {len(found.others) + 1} definitions; others: {places})"]


def to_sections(found: CallChain, place_of: PlaceOf) -> list[tuple[str, list[str]]]:
    """(heading, lines) of both directions; lines are indented by two spaces a level."""
    up = [*_pointers(found, place_of), *_written(found.up, 0, place_of)]
    down = list(_written(found.down, 0, place_of))
    return [(heading, lines or ["nothing known"]) for heading, lines in (("called by", up), ("calls", down))]


def _pointers(found: CallChain, place_of: PlaceOf) -> Iterator[str]:
    places = found.passed_on.places
    for each in places[:_MAX_ENTRIES]:
        around = f" in {each.around}" if each.around else ""
        yield f"[passed on as a pointer{around} {place_of(each.path)}:{each.line + 1}]"
    if len(places) > _MAX_ENTRIES:
        yield f"[and at {len(places) - _MAX_ENTRIES} more places]"


def _written(node: ChainNode, depth: int, place_of: PlaceOf) -> Iterator[str]:
    indent = "  " * depth
    for entry in node.entries[:_MAX_ENTRIES]:
        yield f"{indent}[held as {entry.operation} by {_table(entry)} {place_of(entry.path)}:{entry.line + 1}]"
    if len(node.entries) > _MAX_ENTRIES:
        yield f"{indent}[and by {len(node.entries) - _MAX_ENTRIES} more tables]"
    for child in node.children:
        yield f"{indent}{_line(child, place_of)}"
        yield from _written(child, depth + 1, place_of)
    if node.more:
        yield f"{indent}... {node.more} more"


def _line(node: ChainNode, place_of: PlaceOf) -> str:
    edge = node.edge
    name = node.symbol.name if node.symbol else ""
    if edge is None:
        return name
    parts = [name] if name else []
    if edge.operation:
        parts.append(f"[through {edge.operation}{_how_many(node, edge)}]")
    parts.append(f"{place_of(edge.path)}:{edge.line + 1}")
    if edge.certainty.value != "exact":
        parts.append(f"({edge.certainty.value})")
    if node.note:
        parts.append(f"({node.note})")
    return " ".join(parts)


def _how_many(node: ChainNode, edge: Edge) -> str:
    if node.symbol is None:
        return f": {edge.implementations} functions"
    return f" of {_table(edge.entry)}" if edge.entry else ""


def _table(entry: TableEntry) -> str:
    return entry.table or "an unnamed table"


def path_to_plain_text(found: CallPath, place_of: PlaceOf = str) -> str:
    """One line a call, from the first function to the last."""
    if not found.edges:
        why = " within the limits of the search" if found.is_limited else ""
        return f"no chain of calls between {found.source.name} and {found.target.name} was found{why}"
    first = found.edges[0].caller
    lines = [f"{first.name}  {place_of(first.path)}:{first.line + 1}"]
    for depth, edge in enumerate(found.edges, 1):
        lines.append("  " * depth + _line(ChainNode(edge.callee, edge), place_of))
    if not found.is_complete:
        lines.append(GROWING)
    return "\n".join(lines)
