"""Code lenses: how many functions call a function or are assigned to an operation, and which operation one is.

Where they are is read from the text; the counts are asked for one by one, when an editor shows them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from kexpert.core.c.source import Source
from kexpert.core.symbols import Kind, Symbol
from kexpert.features.semantics.definition_ranking import is_private
from kexpert.view import View

LensKind = Literal["callers", "implementations", "operation"]

_MAX_LENSES = 1500
_MAX_COUNTED = 2000
_POINTER_TO_FUNCTION = re.compile(rb"\(\s*\*")


@dataclass(frozen=True, slots=True)
class Lens:
    """A line above a symbol. ``title`` is "" where it must be counted; ``at`` is the offset that a click asks about."""

    kind: LensKind
    symbol: Symbol
    at: int
    title: str = ""


@dataclass(frozen=True, slots=True)
class LensConfig:
    """Which lenses are wanted."""

    callers: bool = True
    implementations: bool = True


def code_lenses(source: Source, config: LensConfig) -> list[Lens]:
    """The lenses of a text, by position."""
    found = sorted(_all(source, config), key=lambda lens: lens.symbol.start)
    return found[:_MAX_LENSES]


def _all(source: Source, config: LensConfig) -> Iterator[Lens]:
    facts = source.facts
    functions = {row.name: row for row in facts.symbols if row.kind is Kind.FUNCTION}
    for row in facts.symbols:
        if config.callers and row.kind in (Kind.FUNCTION, Kind.SYSCALL):
            yield Lens("callers", row, row.name_start)
        if config.implementations and row.kind is Kind.MEMBER and row.scope and _is_operation(source, row):
            yield Lens("implementations", row, row.name_start)
    if config.implementations:
        for each in facts.assignments:
            function = functions.get(each.function)
            if function is not None and each.struct:
                table = f" of {each.table}" if each.table else ""
                yield Lens("operation", function, each.start, f"{each.struct}.{each.member}{table}")


def _is_operation(source: Source, member: Symbol) -> bool:
    return _POINTER_TO_FUNCTION.search(source.data, member.start, member.name_start) is not None


def lens_title(view: View, kind: LensKind, symbol: Symbol) -> str:
    """What a counted lens says."""
    if kind == "implementations":
        return _counted(len(view.implementations(symbol.scope, symbol.name, _MAX_COUNTED)), "implementation")
    if not is_private(symbol):
        return _counted(view.caller_count(symbol.name), "caller")
    callers = {row for row in view.callers(symbol.name) if row.path == symbol.path}
    return _counted(len(callers), "caller")


def _counted(count: int, what: str) -> str:
    number = f"{count:,}{'+' if count >= _MAX_COUNTED and what == 'implementation' else ''}"
    return f"{number} {what}{'' if count == 1 else 's'}"
