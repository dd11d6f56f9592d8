"""Symbols by their name, for a search for a single word."""

from __future__ import annotations

from kexpert.core.symbols import DEFINITIONS, Kind, Symbol
from kexpert.features.semantics.variant_states import compiled_first
from kexpert.view import View


def symbols_named(view: View, name: str, limit: int) -> list[Symbol]:
    """Symbols of exactly this name, definitions first, then all that a fuzzy look-up finds."""
    definitions = view.lookup(name, [kind for kind in DEFINITIONS if kind is not Kind.MEMBER])
    named = compiled_first(view, definitions)
    return list(dict.fromkeys([*named, *view.lookup(name), *view.lookup_fuzzy(name, limit=limit)]))[:limit]
