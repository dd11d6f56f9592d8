"""Who uses a function: callers, ops tables, the system call or sysfs file from which it is reached."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kexpert.core.c.lex import blank_comments
from kexpert.core.symbols import Kind, Symbol
from kexpert.core.text import decode
from kexpert.features.explain.explanation import Fact, FactKind, Location, Statement, as_code, listed
from kexpert.features.explain.passed import passed_to
from kexpert.features.semantics.definition_ranking import is_private
from kexpert.view import View

_MAX_CALLERS = 6
_MAX_READ = 200  # callers asked of the index
_MAX_TABLES = 4
_MAX_FILES = 12  # of others that may pass it on
_MAX_LOOKED_AT = 12  # callers whose own callers are looked at for a system call
_ATTRIBUTE = re.compile(
    rb"^[ \t]*(?:static[ \t]+)?((?:DEVICE|DRIVER|BUS|CLASS|BIN|SENSOR_DEVICE|IIO_DEVICE)_ATTR(?:_2)?(?:_RO|_RW|_WO)?)"
    rb"[ \t]*\(([^();]{1,300})",
    re.M,
)
#: ``struct device_attribute`` and its kin, in words.
_ATTRIBUTE_STRUCT = "_attribute`"


@dataclass(frozen=True, slots=True)
class Users:
    """``callers`` holds the first few; ``count`` is None while the tree is being indexed."""

    callers: tuple[Symbol, ...]
    count: int | None
    facts: tuple[Fact, ...]
    statements: tuple[Statement, ...]


def users(view: View, symbol: Symbol) -> Users:
    callers, count = _callers(view, symbol)
    facts: list[Fact] = []
    statements: list[Statement] = []
    if symbol.kind is Kind.SYSCALL:
        name = _call_name(symbol)
        text = f"The system call {as_code(name)}"
        statements.append(Statement(text, (Location(symbol.path, symbol.line),)))
        facts.append(Fact(FactKind.ENTRY, f"is the system call {as_code(name)}", symbol.path, symbol.line))
    attributes = _attributes(view, symbol)
    tables = _tables(view, symbol)
    if attributes:  # they say more than the struct that the macro defines
        tables = [row for row in tables if not row[0].endswith(_ATTRIBUTE_STRUCT)]
    for member in dict.fromkeys(member for member, _, _ in tables):
        group = [(table, location) for each, table, location in tables if each == member]
        names = listed([as_code(table) for table, _ in group if table], _MAX_TABLES)
        text = f"Is {member}" + (f" in {names}" if names else "")
        statements.append(Statement(text, tuple(location for _, location in group[:_MAX_TABLES])))
        for table, location in group[:_MAX_TABLES]:
            words = f"is {member}" + (f" in {as_code(table)}" if table else "")
            facts.append(Fact(FactKind.ENTRY, words, location.path, location.line))
    for text, location in [*attributes, *_system_calls(view, callers)]:
        statements.append(Statement(text[:1].upper() + text[1:], (location,)))
        facts.append(Fact(FactKind.ENTRY, text, location.path, location.line))
    for text, location in passed_to(view, symbol, _files_of_users(view, symbol, bool(callers or statements))):
        if (attributes and "_ATTR" in text) or any(location in each.locations for each in statements):
            continue
        statements.append(Statement(text[:1].upper() + text[1:], (location,)))
        facts.append(Fact(FactKind.ENTRY, f"is {text}", location.path, location.line))
    facts += [
        Fact(FactKind.CALLER, f"called by {as_code(caller.name + '()')}", caller.path, caller.line)
        for caller in callers[:_MAX_CALLERS]
    ]
    if callers:
        names = listed([as_code(f"{caller.name}()") for caller in callers], _MAX_CALLERS) if count is None else (
            listed([as_code(f"{caller.name}()") for caller in callers[: max(count, 1)]], _MAX_CALLERS)
        )
        more = f" ({count:,} in all)" if count is not None and count > len(callers) else ""
        places = tuple(Location(caller.path, caller.line) for caller in callers[:_MAX_CALLERS])
        statements.append(Statement(f"Called by {names}{more}", places))
    elif count == 0 and not statements and symbol.kind is Kind.FUNCTION:
        statements.append(Statement("No caller by name is known"))
    return Users(tuple(callers), count, tuple(facts), tuple(statements))


def _files_of_users(view: View, symbol: Symbol, is_used: bool) -> list[str]:
    """Where a function may be passed on: its file; if nothing else uses it and it is not private, some others too."""
    if symbol.kind is not Kind.FUNCTION:
        return []
    if is_private(symbol) or is_used:
        return [symbol.path]
    others = [path for path in view.files_mentioning(symbol.name) if path.endswith((".c", ".h"))]
    return list(dict.fromkeys([symbol.path, *others[:_MAX_FILES]]))


def _callers(view: View, symbol: Symbol) -> tuple[list[Symbol], int | None]:
    """Callers of the same file first; of a private function, those of its file alone."""
    found = [row for row in view.callers(symbol.name, _MAX_READ) if row.name != symbol.name]
    if is_private(symbol):
        found = [row for row in found if row.path == symbol.path]
    else:
        others = {
            row.path for row in view.lookup(symbol.name, (Kind.FUNCTION,), 50)
            if row.path != symbol.path and is_private(row)
        }  # fmt: skip
        if symbol.path.endswith(".h") and others:
            others.discard(symbol.path)
        found = [row for row in found if row.path not in others]
    folder = symbol.path.rpartition("/")[0]
    found.sort(key=lambda row: (row.path != symbol.path, row.path.rpartition("/")[0] != folder))
    count = len(found) if len(found) < _MAX_READ - 1 else view.caller_count(symbol.name)
    return found, count if view.complete else None


def _tables(view: View, symbol: Symbol) -> list[tuple[str, str, Location]]:
    """(member of which struct, in words; name of the table; where) for each ops table that holds a function."""
    if symbol.kind is not Kind.FUNCTION:
        return []
    assigned = view.assignments_of(symbol.name)
    if is_private(symbol):
        assigned = [row for row in assigned if row.path == symbol.path]
    found: dict[tuple[str, str], Location] = {}
    for row in assigned:
        struct = f" of {as_code('struct ' + row.struct)}" if row.struct else ""
        found.setdefault((f"{as_code('.' + row.member)}{struct}", row.table), Location(row.path, row.line))
    return [(member, table, location) for (member, table), location in found.items()]


def _attributes(view: View, symbol: Symbol) -> list[tuple[str, Location]]:
    """The sysfs files that a show or store function of this file serves."""
    if symbol.kind is not Kind.FUNCTION or not is_private(symbol):
        return []
    source = view.source(symbol.path)
    if source is None or symbol.name.encode() not in source.data or b"_ATTR" not in source.data:
        return []
    code = blank_comments(source.data)
    found = []
    for match in _ATTRIBUTE.finditer(code):
        macro = decode(match[1])
        arguments = [decode(part).strip() for part in match[2].split(b",")]
        name = arguments[0]
        if macro.endswith(("_RO", "_RW", "_WO")):
            served = {f"{name}_show": "read", f"{name}_store": "write"}
            if macro.endswith("_RO"):
                served.pop(f"{name}_store")
            if macro.endswith("_WO"):
                served.pop(f"{name}_show")
            verb = served.get(symbol.name)
        else:
            verb = {2: "read", 3: "write"}.get(arguments.index(symbol.name)) if symbol.name in arguments else None
        if verb:
            text = f"serves a {verb} of the sysfs file {as_code(name)} ({as_code(macro)})"
            found.append((text, Location(symbol.path, source.lines.line_of(match.start(1)))))
    return found[:_MAX_TABLES]


def _system_calls(view: View, callers: list[Symbol]) -> list[tuple[str, Location]]:
    """System calls that call it, or call a caller of it."""
    found: dict[str, Location] = {}
    for caller in callers:
        if caller.kind is Kind.SYSCALL:
            name = _call_name(caller)
            found.setdefault(f"is reached from the system call {as_code(name)}", Location(caller.path, caller.line))
    if not found:
        for caller in callers[:_MAX_LOOKED_AT]:
            for above in view.callers(caller.name, 20):
                if above.kind is Kind.SYSCALL and (not is_private(caller) or above.path == caller.path):
                    name = _call_name(above)
                    text = f"is reached from the system call {as_code(name)} through {as_code(caller.name + '()')}"
                    found.setdefault(text, Location(above.path, above.line))
    return list(found.items())[:_MAX_TABLES]


def _call_name(symbol: Symbol) -> str:
    """``read`` for sys_read and for compat_sys_read."""
    return symbol.name.removeprefix("compat_").removeprefix("sys_")
