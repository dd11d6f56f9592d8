"""Where a function is passed on or stored as a pointer: work, timers, threads, interrupts call it later.

Tables of operations are not among these places; the callers' module has them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from kexpert.core.c.lex import is_member_use
from kexpert.core.c.scope import local_binding
from kexpert.core.c.source import Source
from kexpert.core.symbols import Kind, Symbol
from kexpert.core.text import decode
from kexpert.features.callgraph.definitions import BESIDE_KERNEL, FUNCTIONS
from kexpert.features.semantics.definition_ranking import is_private
from kexpert.view import View

_MAX_FILES = 40
_MAX_LINE_CHARS = 120
_MAX_TAG_BYTES = 32
_TAG = re.compile(rb"\b(?:struct|union|enum)\s+\Z")
_CALL = re.compile(rb"\s*+\(")
#: Lines that name a function and let nobody call it.
_MENTION = re.compile(
    rb"\s*(?:EXPORT_\w+|NOKPROBE_SYMBOL|ALLOW_ERROR_INJECTION|STACK_FRAME_NON_STANDARD\w*|BTF_ID\w*|"
    rb"#[ \t]*(?:include|define|undef|if\w*|elif))\b"
)


@dataclass(frozen=True, slots=True)
class PassedOn:
    """A line, 0-based, that takes a function's address at the offset ``start``. ``around``: the function or variable
    that holds the line."""

    path: str
    line: int
    start: int
    around: str
    text: str


@dataclass(frozen=True, slots=True)
class PassedOnPlaces:
    """``unread_files``: how many files mention the name, where they are too many to read; 0 if all were read."""

    places: tuple[PassedOn, ...] = ()
    unread_files: int = 0


def passed_on(view: View, symbol: Symbol, cancelled: Callable[[], bool] = lambda: False) -> PassedOnPlaces:
    """Where a function is passed on, those of its own file first."""
    if symbol.kind not in FUNCTIONS:
        return PassedOnPlaces()
    files = _files(view, symbol)
    if len(files) > _MAX_FILES:
        return PassedOnPlaces((), len(files))
    in_tables = {(each.path, each.line) for each in view.assignments_of(symbol.name)}
    found: dict[tuple[str, int], PassedOn] = {}
    for file in view.references(symbol.name, cancelled, files) if files else ():
        text = view.source(file.path)
        if text is None:
            continue
        symbols: list[Symbol] = []
        for start in file.starts:
            line = text.lines.line_of(start)
            shown = text.lines.line_bytes(line)
            if (file.path, line) in in_tables or (file.path, line) in found or _MENTION.match(shown):
                continue
            if not _is_address(text, start, start + file.size):
                continue
            symbols = symbols or view.symbols_in(file.path)
            if any(each.name_start == start and each.kind is not Kind.INITCALL for each in symbols):
                continue
            found[file.path, line] = PassedOn(file.path, line, start, _around(symbols, start), _short(shown))
    return PassedOnPlaces(tuple(sorted(found.values(), key=lambda each: (each.path != symbol.path, each.path))))


def _files(view: View, symbol: Symbol) -> set[str]:
    """The files whose code can mean a function: its own if it is static, else those without a static of its name."""
    if is_private(symbol):
        return {symbol.path}
    others = {each.path for each in view.lookup(symbol.name, FUNCTIONS) if is_private(each)} - {symbol.path}
    return {
        each for each in view.files_mentioning(symbol.name)
        if each.endswith((".c", ".h")) and not each.startswith(BESIDE_KERNEL) and each not in others
    }  # fmt: skip


def _is_address(source: Source, start: int, end: int) -> bool:
    """False for a call, a declaration, a member, a struct, a local variable or a label of that name."""
    if _CALL.match(source.data, end) or is_member_use(source.data, start) or local_binding(source, start):
        return False
    return not _TAG.search(source.data, max(0, start - _MAX_TAG_BYTES), start)


def _around(symbols: list[Symbol], at: int) -> str:
    """The innermost definition around a place."""
    around = [each for each in symbols if each.start <= at < each.end and each.kind in _HOLDERS]
    return min(around, key=lambda each: each.end - each.start).name if around else ""


_HOLDERS = frozenset({*FUNCTIONS, Kind.VARIABLE, Kind.MACRO, Kind.INITCALL})


def _short(line: bytes) -> str:
    text = " ".join(decode(line).split())
    return text if len(text) <= _MAX_LINE_CHARS else text[: _MAX_LINE_CHARS - 1] + "…"
