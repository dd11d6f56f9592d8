"""Names, meanings and files for what somebody typed, and all that is known of one name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kexpert.http.api.lookup import Cancelled, shown_card
from kexpert.http.contract import Arguments, Json
from kexpert.http.problems import Problem
from kexpert.render import json as render_json
from kexpert.workspace.served_tree import ServedTree
from kexpert.workspace.snapshot import Refusal, Snapshot

if TYPE_CHECKING:
    from kexpert.core.symbols import Symbol

_NAME = re.compile(r"\w+", re.A)
_FILE_WORDS = re.compile(r"[\w./+,@-]+(?: [\w./+,@-]+)*")
_MAX_FILES = 5
_MAX_SYMBOLS = 60
_MAX_SIMILAR = 12


def search(tree: ServedTree, arguments: Arguments, cancelled: Cancelled) -> Json:
    """A single word by name, words by meaning; files whose path holds what was typed."""
    query = " ".join(arguments["q"].split())
    mode = arguments["mode"]
    by_name = mode == "name" or (mode == "auto" and _NAME.fullmatch(query) is not None)
    snapshot, limit = tree.snapshot(), arguments["limit"]
    results: list[Json] = []
    if by_name and query:
        results = [render_json.symbol(snapshot.source, found) for found in snapshot.symbols_named(query, limit)]
    elif query and not ("/" in query and " " not in query):
        try:
            results = [render_json.search_result(snapshot.source, found) for found in snapshot.search(query, limit)]
        except Refusal as reason:
            raise Problem(400, str(reason)) from None
    files = tree.paths_like(query, _MAX_FILES) if len(query) > 1 and _FILE_WORDS.fullmatch(query) else []
    return {
        "query": query,
        "mode": "name" if by_name else "meaning",
        "results": results,
        "files": files,
        "complete": snapshot.view.complete,
    }


def symbol(tree: ServedTree, arguments: Arguments, cancelled: Cancelled) -> Json:
    """Every definition and declaration of a name, with the conditions of each, and the card of the first."""
    name = arguments["name"]
    snapshot = tree.snapshot()
    found = snapshot.symbols_named(name, _MAX_SYMBOLS + _MAX_SIMILAR) if name.strip() else []
    exact = best_first(snapshot, name, [each for each in found if each.name == name])
    if not exact:
        raise Problem(404, f"nothing in the index is called {name[:100]}")
    card = next((card for each in exact[:3] if (card := snapshot.card_of(each)) is not None), None)
    if card is not None:
        card.variants, card.more_variants = (), 0  # they are the symbols
    return {
        "name": name,
        "symbols": [definition(snapshot, each) for each in exact[:_MAX_SYMBOLS]],
        "more": max(0, len(exact) - _MAX_SYMBOLS),
        "card": None if card is None else shown_card(card),
        "similar": similar_names(found, name),
        "complete": snapshot.view.complete,
    }


def best_first(snapshot: Snapshot, name: str, found: list[Symbol]) -> list[Symbol]:
    """What the kernel itself defines before other programs, declarations and members of the name."""
    try:
        ranked = snapshot.by_name.symbols(name).symbols
    except Refusal:  # no name of C
        return found
    places = {(each.path, each.start, each.kind): at for at, each in enumerate(ranked)}
    return sorted(found, key=lambda each: places.get((each.path, each.start, each.kind), len(places)))


def definition(snapshot: Snapshot, found: Symbol) -> Json:
    """One symbol with the conditions under which it exists, as its own card has them."""
    card = snapshot.card_of(found)
    conditions: tuple[str, ...] = ()
    if card is not None and card.place is not None and (card.place.path, card.place.line) == (found.path, found.line):
        conditions = card.place.conditions
    return render_json.definition(snapshot.source, found, conditions)


def similar_names(found: list[Any], name: str) -> list[str]:
    return list(dict.fromkeys(each.name for each in found if each.name != name))[:_MAX_SIMILAR]
