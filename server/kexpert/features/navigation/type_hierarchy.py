"""Type hierarchy of tables of operations: a struct with operations above the tables that fill it."""

from __future__ import annotations

import re
from collections.abc import Callable

from kexpert.core.c.source import Source
from kexpert.core.symbols import Kind, Symbol
from kexpert.features.semantics.definition_ranking import rank_definitions
from kexpert.features.semantics.resolve import resolve
from kexpert.features.semantics.type_inference import Types
from kexpert.view import View

Cancelled = Callable[[], bool]

_TABLES = (Kind.VARIABLE,)
_MAX_TABLES = 2000
_MAX_ASSIGNMENTS = 4000
_POINTER_TO_FUNCTION = re.compile(rb"\(\s*\*")


def prepare(view: View, source: Source, offset: int) -> list[Symbol]:
    """The struct of operations or the table that is named at an offset; nothing for other names."""
    found = resolve(view, source, offset)
    if found is None or found.kind != "symbol":
        return []
    for symbol in found.symbols:
        if symbol.kind is Kind.STRUCT and operations(view, symbol):
            return [symbol]
        if symbol.kind in _TABLES and supertypes(view, symbol):
            return [symbol]
    return []


def operations(view: View, struct: Symbol) -> list[Symbol]:
    """The members of a struct that point to functions."""
    source = view.source(struct.path)
    if source is None:
        return []
    return [
        row for row in view.symbols_in(struct.path)
        if row.kind is Kind.MEMBER and row.scope == struct.name and struct.start <= row.name_start < struct.end
        and _POINTER_TO_FUNCTION.search(source.data, row.start, row.name_start)
    ]  # fmt: skip


def supertypes(view: View, table: Symbol) -> list[Symbol]:
    """The struct of operations that a table is one of."""
    source = view.source(table.path)
    if table.kind not in _TABLES or source is None:
        return []
    declared = Types(view, source).declared(table)
    keyword, _, tag = declared.base.rpartition(" ") if declared else ("", "", "")
    if keyword.rpartition(" ")[2] != "struct":
        return []
    structs = rank_definitions(view, view.lookup(tag, (Kind.STRUCT,)), source)
    return [struct for struct in structs[:1] if operations(view, struct)]


def subtypes(view: View, struct: Symbol, cancelled: Cancelled) -> list[Symbol]:
    """The tables that give a struct's operations, by file."""
    if struct.kind is not Kind.STRUCT:
        return []
    tables: dict[tuple[str, str], None] = {}
    for operation in operations(view, struct):
        if cancelled() or len(tables) >= _MAX_TABLES:
            break
        for each in view.implementations(struct.name, operation.name, _MAX_ASSIGNMENTS):
            if each.table:
                tables[each.path, each.table] = None
    found: list[Symbol] = []
    for path, name in sorted(tables)[:_MAX_TABLES]:
        if cancelled():
            return []
        found += [row for row in view.lookup(name, _TABLES) if row.path == path][:1]
    return found
