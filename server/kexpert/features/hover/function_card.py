"""Cards of functions, system calls, prototypes, tracepoints and assembly labels."""

from __future__ import annotations

from collections.abc import Sequence

from kexpert.core.kernel.locking_context import locking_rules
from kexpert.core.symbols import Flag, Kind, Symbol
from kexpert.features.hover.card import Export, HoverCard, Operation
from kexpert.features.hover.card_reader import CardReader, is_in_reach, other_variants
from kexpert.features.hover.code_card import declaration_head, first_lines, start_with_annotations, syscall_prototype
from kexpert.features.navigation.call_hierarchy import written_calls
from kexpert.features.semantics.definition_ranking import is_private
from kexpert.features.semantics.made_declaration import made_declaration

_KIND_WORDS = {
    Kind.FUNCTION: "function", Kind.PROTOTYPE: "function", Kind.SYSCALL: "system call", Kind.TRACEPOINT: "tracepoint",
    Kind.ASM_LABEL: "assembly function",
}  # fmt: skip
_MAX_LINES = 16
_MAX_OPERATIONS = 4
_MAX_CALLEES = 14
_MAX_BODY_BYTES = 256 * 1024
_MAX_SLEEPING = 3


def function_card(reader: CardReader, symbol: Symbol, symbols: Sequence[Symbol]) -> HoverCard:
    """``symbols``: everything of that name; ``symbol``: the meant one of them."""
    variants = other_variants(reader, symbol, symbols)
    prototypes = [
        other
        for other in symbols
        if other.kind == Kind.PROTOTYPE
        and other is not symbol
        and (other.path == symbol.path or (not is_private(symbol) and is_in_reach(other.path, symbol.path)))
    ]
    card = HoverCard(symbol.name, _KIND_WORDS.get(symbol.kind, "function"))
    card.code = _code(reader, symbol)
    card.documentation = reader.documentation([symbol, *prototypes[:3], *variants[:2]])
    reader.add_places(card, symbol, variants)
    if symbol.kind != Kind.PROTOTYPE and prototypes:
        card.declared = reader.place(prototypes[0])
    card.export = export_of(reader, symbol)
    _add_locking(reader, symbol, card)
    card.callers = _caller_count(reader, symbol)
    _add_operations(reader, symbol, card)
    return card


def export_of(reader: CardReader, symbol: Symbol) -> Export | None:
    """How a symbol is exported to modules; a private one only by a line of its own file."""
    exports = reader.lookup(symbol.name, (Kind.EXPORT,), limit=20)
    if is_private(symbol):
        exports = [export for export in exports if export.path == symbol.path]
    exports.sort(key=lambda export: export.path != symbol.path)
    if not exports:
        return None
    macro, _, namespace = exports[0].scope.partition(":")
    return Export(macro, namespace)


def _add_operations(reader: CardReader, symbol: Symbol, card: HoverCard) -> None:
    """The ops tables that hold a function."""
    assignments = reader.view.assignments_of(symbol.name)
    if is_private(symbol):
        assignments = [assignment for assignment in assignments if assignment.path == symbol.path]
    operations = list(dict.fromkeys(Operation(each.member, each.struct, each.table) for each in assignments))
    card.operations = tuple(operations[:_MAX_OPERATIONS])
    card.more_operations = max(0, len(operations) - _MAX_OPERATIONS)


def _code(reader: CardReader, symbol: Symbol) -> str:
    data = reader.data(symbol.path)
    if not data:
        return ""
    if symbol.kind in (Kind.TRACEPOINT, Kind.ASM_LABEL):
        return first_lines(data[symbol.start : symbol.end], _MAX_LINES)
    made = made_declaration(reader.view, symbol)
    if made:
        return f"{made};\n{first_lines(data[symbol.start : symbol.end], _MAX_LINES)}"
    text = declaration_head(data, symbol)
    if symbol.kind == Kind.SYSCALL:
        text = "\n".join(part for part in (syscall_prototype(text, symbol.name), text) if part)
    return text


def _add_locking(reader: CardReader, symbol: Symbol, card: HoverCard) -> None:
    """The rules that the function states itself; if it does not sleep itself, the sleeping functions it calls."""
    data = reader.data(symbol.path)
    if not data or symbol.kind not in (Kind.FUNCTION, Kind.SYSCALL, Kind.PROTOTYPE):
        return
    rules = locking_rules(data[start_with_annotations(data, symbol.start) : symbol.end][:_MAX_BODY_BYTES])
    card.rules = rules if rules else None
    if symbol.kind == Kind.PROTOTYPE or rules.may_sleep:
        return
    names = dict.fromkeys(
        call.name for call in written_calls(data, symbol) if not call.member and not call.name.isupper()
    )
    sleeping: list[str] = []
    for name in list(names)[:_MAX_CALLEES]:
        if _may_sleep(reader, name, symbol.path):
            sleeping.append(name)
        if len(sleeping) == _MAX_SLEEPING:
            break
    card.sleeps_through = tuple(sleeping)


def _may_sleep(reader: CardReader, name: str, path: str) -> bool:
    """True if the function that a call in the file ``path`` means may sleep."""
    found = reader.lookup(name, (Kind.FUNCTION,), limit=20)
    meant = [symbol for symbol in found if symbol.path == path]
    if not meant:
        meant = [
            symbol for symbol in found
            if not is_private(symbol) and not symbol.path.startswith(("tools/", "scripts/"))
        ]  # fmt: skip
    return any(symbol.flags & Flag.MAY_SLEEP for symbol in meant)


def _caller_count(reader: CardReader, symbol: Symbol) -> int | None:
    """Number of functions that call it, by name; of a private function, in its own file.

    None if it is not wanted, or not known because the index is being built.
    """
    if not reader.config.callers or not reader.view.complete or symbol.kind in (Kind.SYSCALL, Kind.TRACEPOINT):
        return None
    if is_private(symbol):
        return sum(caller.path == symbol.path for caller in reader.view.callers(symbol.name))
    return reader.view.caller_count(symbol.name)
