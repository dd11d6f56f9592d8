"""What is at a place of a file: card, jumps, uses, calls, explanation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

from kexpert.http.contract import Arguments, Json
from kexpert.http.problems import Problem
from kexpert.render import json as render_json
from kexpert.workspace.served_tree import ServedTree
from kexpert.workspace.snapshot import Position, Snapshot

if TYPE_CHECKING:
    from kexpert.core.symbols import FileUses, Span, Symbol, Use

Cancelled: TypeAlias = Callable[[], bool]

_MAX_CALL_PLACES = 5  # shown of one caller
#: Of a function with more callers not all are read; the index knows their number.
_MANY_CALLERS = 900


def shown_path(tree: ServedTree, path: str) -> str:
    """Raises Problem for a path that may not be shown."""
    found = tree.shown_path(path)
    if found is None:
        raise Problem(404, f"no such file in the tree: {path[:200]}")
    return found


def place(tree: ServedTree, arguments: Arguments) -> tuple[Snapshot, Position]:
    """The place that the arguments name. Raises Problem where there is no such file."""
    path = shown_path(tree, arguments["path"])
    snapshot = tree.snapshot()
    if snapshot.source(path) is None:
        raise Problem(404, f"no such file in the tree: {path[:200]}")
    return snapshot, Position(path, arguments["line"] - 1, arguments["column"] - 1)


def hover(tree: ServedTree, arguments: Arguments, cancelled: Cancelled) -> Json:
    snapshot, at = place(tree, arguments)
    found = snapshot.hover(at)
    return {"card": None if found is None else shown_card(found)}


def shown_card(found: Any) -> Json:
    """A card as JSON, with its text as HTML too."""
    from kexpert.render.html import to_html

    card = render_json.card(found)
    return {**card, "html": to_html(card["markdown"], card["what"] == "configuration option")}


def definition(tree: ServedTree, arguments: Arguments, cancelled: Cancelled) -> Json:
    snapshot, at = place(tree, arguments)
    return _places(snapshot, snapshot.definition(at))


def declaration(tree: ServedTree, arguments: Arguments, cancelled: Cancelled) -> Json:
    snapshot, at = place(tree, arguments)
    return _places(snapshot, snapshot.declaration(at))


def type_definition(tree: ServedTree, arguments: Arguments, cancelled: Cancelled) -> Json:
    snapshot, at = place(tree, arguments)
    return _places(snapshot, snapshot.type_definition(at))


def implementation(tree: ServedTree, arguments: Arguments, cancelled: Cancelled) -> Json:
    snapshot, at = place(tree, arguments)
    found = snapshot.implementation(at)
    return {**_places(snapshot, found[: arguments["limit"]]), "total": len(found)}


def references(tree: ServedTree, arguments: Arguments, cancelled: Cancelled) -> Json:
    snapshot, at = place(tree, arguments)
    files = snapshot.references(at, cancelled=cancelled)
    return _uses(snapshot, files, at.path, arguments["limit"])


def _uses(snapshot: Snapshot, files: list[FileUses], near: str, limit: int) -> Json:
    """Uses in the same file first, then in the same folder, then by path."""
    folder = near.rpartition("/")[0]
    ordered = sorted(files, key=lambda file: (file.path != near, file.path.rpartition("/")[0] != folder, file.path))
    first = islice((use for file in ordered for use in file), limit)
    return {**_places(snapshot, first), "total": sum(map(len, files))}


def _places(snapshot: Snapshot, spans: Iterable[Span | Use]) -> Json:
    found = render_json.places(snapshot.source, spans)
    for each in found:
        each["text"] = each["text"][:300]
    return {"places": found, "total": len(found), "complete": snapshot.view.complete}


def callers(tree: ServedTree, arguments: Arguments, cancelled: Cancelled) -> Json:
    """Who calls the function at a place, and where it is passed on to be called by others."""
    snapshot, at = place(tree, arguments)
    found = _calls(snapshot, at, arguments["limit"], lambda symbol: snapshot.incoming_calls(symbol, cancelled))
    if found["total"] >= _MANY_CALLERS:
        found["total"] = max(found["total"], snapshot.view.caller_count(found["name"]))
    symbols = snapshot.prepare_calls(at)
    spans = snapshot.passed_on(symbols[0], cancelled) if symbols else []
    return {**found, "passed_on": _places(snapshot, spans[: arguments["limit"]])["places"]}


def callees(tree: ServedTree, arguments: Arguments, cancelled: Cancelled) -> Json:
    """What the function at a place calls."""
    snapshot, at = place(tree, arguments)
    return _calls(snapshot, at, arguments["limit"], snapshot.outgoing_calls)


def _calls(snapshot: Snapshot, at: Position, limit: int, ask: Callable[[Symbol], list[Any]]) -> Json:
    symbols = snapshot.prepare_calls(at)
    found = ask(symbols[0]) if symbols else []
    return {
        "name": symbols[0].name if symbols else "",
        "total": len(found),
        "complete": snapshot.view.complete,
        "calls": render_json.calls(snapshot.source, found[:limit], _MAX_CALL_PLACES),
    }


def outline(tree: ServedTree, arguments: Arguments, cancelled: Cancelled) -> Json:
    path = shown_path(tree, arguments["path"])
    snapshot = tree.snapshot()
    if snapshot.source(path) is None:
        raise Problem(404, f"no such file in the tree: {path[:200]}")
    symbols = [render_json.symbol(snapshot.source, entry.symbol) for entry in snapshot.document_symbols(path)]
    return {"path": path, "symbols": symbols[: arguments["limit"]]}


def explain(tree: ServedTree, arguments: Arguments, cancelled: Cancelled) -> Json:
    """A page about the function or macro around a place; ``model`` waits for what the chat model adds."""
    from kexpert.render import explain as render_explain
    from kexpert.render.html import page_link, to_html

    snapshot, at = place(tree, arguments)
    found = snapshot.explain(at)
    if found is None:
        raise Problem(404, f"no function or macro at {at.path}:{at.line + 1}")
    if arguments["model"]:
        *_, found = found, *snapshot.in_words(found, cancelled)
    shown = render_explain.to_json(found, page_link)
    return {**shown, "html": to_html(shown["markdown"])}
