"""Cards of functions, system calls, prototypes, tracepoints and assembly labels."""

from __future__ import annotations

from collections.abc import Sequence

from kexpert.core.kernel.locking_context import locking_rules
from kexpert.core.symbols import Flag, Kind, Symbol
from kexpert.features.hover.card import Export, HoverCard, Operation
from kexpert.features.hover.card_reader import MAX_VARIANTS, Reading, in_reach, other_variants
from kexpert.features.hover.code_card import head, syscall_prototype, trimmed, with_annotations
from kexpert.features.navigation.call_hierarchy import written_calls
from kexpert.features.semantics.definition_ranking import is_private

_WHAT = {
    Kind.FUNCTION: "function", Kind.PROTOTYPE: "function", Kind.SYSCALL: "system call", Kind.TRACEPOINT: "tracepoint",
    Kind.ASM_LABEL: "assembly function",
}  # fmt: skip
_MAX_OPERATIONS = 4
_MAX_CALLEES = 14
_MAX_BODY = 256 * 1024
_MAX_SLEEPERS = 3


def function_card(reading: Reading, symbol: Symbol, symbols: Sequence[Symbol]) -> HoverCard:
    """``symbols``: everything of that name; ``symbol``: the one that is meant."""
    variants = other_variants(reading, symbol, symbols)
    prototypes = [one for one in symbols if one.kind == Kind.PROTOTYPE and one is not symbol]
    prototypes = [
        one for one in prototypes
        if one.path == symbol.path or (not is_private(symbol) and in_reach(one.path, symbol.path))
    ]  # fmt: skip
    card = HoverCard(symbol.name, _WHAT.get(symbol.kind, "function"))
    card.code = _code(reading, symbol)
    card.documentation = reading.documentation([symbol, *prototypes[:3], *variants[:2]])
    card.place = reading.place(symbol)
    if symbol.kind != Kind.PROTOTYPE and prototypes:
        card.declared = reading.place(prototypes[0])
    card.variants = tuple(reading.place(one) for one in variants[:MAX_VARIANTS])
    card.more_variants = max(0, len(variants) - MAX_VARIANTS)
    card.export = export_of(reading, symbol)
    _context(reading, symbol, card)
    card.callers = _callers(reading, symbol)
    card.operations, card.more_operations = operations_of(reading, symbol)
    card.maintainers = reading.maintainers(symbol.path)
    return card


def export_of(reading: Reading, symbol: Symbol) -> Export | None:
    """How a symbol is exported to modules; a private one only by a line of its own file."""
    rows = reading.lookup(symbol.name, (Kind.EXPORT,), limit=20)
    if is_private(symbol):
        rows = [row for row in rows if row.path == symbol.path]
    rows.sort(key=lambda row: row.path != symbol.path)
    if not rows:
        return None
    macro, _, namespace = rows[0].scope.partition(":")
    return Export(macro, namespace)


def operations_of(reading: Reading, symbol: Symbol) -> tuple[tuple[Operation, ...], int]:
    """The ops tables in which a function stands, and how many more than are listed."""
    assigned = reading.view.assignments_of(symbol.name)
    if is_private(symbol):
        assigned = [one for one in assigned if one.path == symbol.path]
    found = list(dict.fromkeys(Operation(one.member, one.struct, one.table) for one in assigned))
    return tuple(found[:_MAX_OPERATIONS]), max(0, len(found) - _MAX_OPERATIONS)


def _code(reading: Reading, symbol: Symbol) -> str:
    data = reading.data(symbol.path)
    if not data:
        return ""
    if symbol.kind in (Kind.TRACEPOINT, Kind.ASM_LABEL):
        return trimmed(data[symbol.start : symbol.end], 16)
    text = head(data, symbol)
    if symbol.kind == Kind.SYSCALL:
        text = "\n".join(part for part in (syscall_prototype(text, symbol.name), text) if part)
    return text


def _context(reading: Reading, symbol: Symbol, card: HoverCard) -> None:
    """The rules the function states itself; else whether what it calls may sleep."""
    data = reading.data(symbol.path)
    if not data or symbol.kind not in (Kind.FUNCTION, Kind.SYSCALL, Kind.PROTOTYPE):
        return
    rules = locking_rules(data[with_annotations(data, symbol.start) : symbol.end][:_MAX_BODY])
    card.rules = rules if rules else None
    if symbol.kind == Kind.PROTOTYPE or rules.may_sleep:
        return
    names = dict.fromkeys(
        call.name for call in written_calls(data, symbol) if not call.member and not call.name.isupper()
    )
    sleeping: list[str] = []
    for name in list(names)[:_MAX_CALLEES]:
        if _may_sleep(reading, name, symbol.path):
            sleeping.append(name)
        if len(sleeping) == _MAX_SLEEPERS:
            break
    card.sleeps_through = tuple(sleeping)


def _may_sleep(reading: Reading, name: str, path: str) -> bool:
    found = reading.lookup(name, (Kind.FUNCTION,), limit=20)
    own = [one for one in found if one.path == path]
    if not own:
        own = [one for one in found if not is_private(one) and not one.path.startswith(("tools/", "scripts/"))]
    return any(one.flags & Flag.MAY_SLEEP for one in own)


def _callers(reading: Reading, symbol: Symbol) -> int | None:
    """Number of functions that call it, by name; of a private function, in its own file.

    None if it is not wanted, or not known because the index is being built.
    """
    if not reading.config.callers or not reading.view.complete or symbol.kind in (Kind.SYSCALL, Kind.TRACEPOINT):
        return None
    if is_private(symbol):
        return sum(1 for one in reading.view.callers(symbol.name) if one.path == symbol.path)
    return reading.view.caller_count(symbol.name)
