"""Callers that do not spell a function's name: through an operation, a macro, the end of a scope; the functions that
write a member."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import NamedTuple

from kexpert.core.c.access import Access
from kexpert.core.symbols import FileUses, Kind, Span, Symbol
from kexpert.features.navigation.references import marked_references
from kexpert.features.navigation.resolved_uses import ResolvedUses
from kexpert.features.semantics.definition_ranking import is_private
from kexpert.view import View

_DEFINE = re.compile(rb"[ \t]*#[ \t]*define[ \t]+(\w+)\(")
#: The macros of <linux/cleanup.h> that define something which calls functions; the name is their first argument.
_CLEANUP_DEFINITION = re.compile(
    rb"DEFINE_(?:FREE|CLASS|GUARD(?:_COND)?|LOCK_GUARD_[01](?:_COND)?)\(\s*(\w+)\s*,"
)
_CLEANUP_USE = re.compile(rb"(?:\b__free|\bCLASS|\b(?:scoped_)?(?:cond_)?guard)\(\s*\Z")
_MAX_CLEANUP_BYTES = 1000
_MAX_USE_BYTES = 60
_MAX_OPERATIONS = 8
_MAX_MACROS = 10
_MAX_FILES = 1500
_MAX_FILES_OF_MACRO = 200
_MAX_MACRO_LINES = 60

Cancelled = Callable[[], bool]


def operations_of(view: View, symbol: Symbol) -> list[tuple[str, str]]:
    """(struct, member) of the operations to which a function is assigned."""
    assigned = view.assignments_of(symbol.name)
    if is_private(symbol):
        assigned = [each for each in assigned if each.path == symbol.path]
    return list(dict.fromkeys((each.struct, each.member) for each in assigned if each.struct))[:_MAX_OPERATIONS]


class Wrappers(NamedTuple):
    """What calls a function for those who use it: macros, and what <linux/cleanup.h> calls at the end of a scope."""

    macros: list[str]
    cleanups: list[str]  # a class, a guard or a ``__free()``


def wrappers_of(view: View, symbol: Symbol, cancelled: Cancelled) -> Wrappers:
    """The macros with parameters, guards and the like whose definitions call a function, by way of other macros too;
    none for names that very many files mention."""
    macros: dict[str, None] = {}
    cleanups: dict[str, None] = {}
    called = [symbol.name]
    for name in called:
        paths = [symbol.path] if is_private(symbol) else view.files_mentioning(name)
        limit = _MAX_FILES if name == symbol.name else _MAX_FILES_OF_MACRO
        for file in view.references(name, cancelled, paths) if len(paths) <= limit else ():
            data = view.data(file.path) or b""
            for start in file.starts:
                if data[start + file.size : start + file.size + 1] != b"(":
                    continue
                if (macro := _macro_around(data, start)) and macro not in called:
                    macros[macro] = None
                    called.append(macro)
                elif not macro and (cleanup := _cleanup_around(data, start)):
                    cleanups[cleanup] = None
        if len(macros) >= _MAX_MACROS:
            break
    return Wrappers(list(macros)[:_MAX_MACROS], list(cleanups)[:_MAX_MACROS])


def users_of_cleanup(view: View, name: str, cancelled: Cancelled) -> Iterator[tuple[Symbol, list[Span]]]:
    """The functions that use a class, a guard or a ``__free()``, with the places."""
    for file in view.references(name, cancelled):
        data = view.data(file.path) or b""
        used = [_CLEANUP_USE.search(data, max(start - _MAX_USE_BYTES, 0), start) is not None for start in file.starts]
        yield from _by_function(view, file.selected(used))


def _macro_around(data: bytes, at: int) -> str:
    """The macro with parameters whose body holds an offset; "" if none does."""
    line = data.rfind(b"\n", 0, at) + 1
    for _ in range(_MAX_MACRO_LINES):
        if not line or data[line - 2 : line - 1] != b"\\":
            break
        line = data.rfind(b"\n", 0, line - 1) + 1
    match = _DEFINE.match(data, line)
    return match[1].decode("latin-1") if match and match.end() < at else ""


def _cleanup_around(data: bytes, at: int) -> str:
    """The class, guard or ``__free()`` that the macro call around an offset defines; "" if none does."""
    begin = data.rfind(b"\nDEFINE_", max(at - _MAX_CLEANUP_BYTES, 0), at) + 1
    found = _CLEANUP_DEFINITION.match(data, begin)
    if found is None or found.end() > at:
        return ""
    between = data[found.end() : at]
    return found[1].decode("latin-1") if between.count(b"(") >= between.count(b")") else ""


def writers_of_member(
    view: View, member: Symbol, cancelled: Cancelled, known: ResolvedUses | None = None
) -> Iterator[tuple[Symbol, list[Span]]]:
    """The functions that certainly write a member or take its address, with the places."""
    source = view.source(member.path)
    if source is None:
        return
    for marked in marked_references(view, source, member.name_start, False, cancelled, known):
        written = [access in (Access.WRITE, Access.ADDRESS) for access in marked.access]
        keep = [sure and change for sure, change in zip(marked.certain, written, strict=True)]
        yield from _by_function(view, marked.file.selected(keep))


def _by_function(view: View, file: FileUses) -> Iterator[tuple[Symbol, list[Span]]]:
    """The functions of a file that hold some uses, each with its own."""
    functions = [row for row in view.symbols_in(file.path) if row.kind in (Kind.FUNCTION, Kind.SYSCALL)]
    functions.sort(key=lambda row: row.start)
    starts = [row.start for row in functions]
    spans: dict[int, list[Span]] = {}
    for use in file:
        at = bisect_right(starts, use.start) - 1
        if at >= 0 and use.start < functions[at].end:
            spans.setdefault(at, []).append(Span(use.path, use.start, use.end))
    for at, found in spans.items():
        yield functions[at], found
