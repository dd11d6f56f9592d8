"""Which function a chain of calls begins with, for somebody with a cursor."""

from __future__ import annotations

from kexpert.core.c.source import Source
from kexpert.core.symbols import Kind, Symbol
from kexpert.features.callgraph.definitions import FUNCTIONS
from kexpert.features.navigation.call_hierarchy import prepare
from kexpert.view import View

_CHAINED = (*FUNCTIONS, Kind.MACRO)


def functions_at(view: View, source: Source, offset: int) -> list[Symbol]:
    """The definitions of the function that is named there, the one that is meant first; else the function around."""
    named = [symbol for symbol in prepare(view, source, offset) if symbol.kind in _CHAINED]
    if named and all(symbol.name == named[0].name for symbol in named):  # else the implementations of an operation
        return named
    around = [symbol for symbol in source.facts.symbols if symbol.start <= offset < symbol.end]
    return [symbol for symbol in around if symbol.kind in _CHAINED][-1:]
