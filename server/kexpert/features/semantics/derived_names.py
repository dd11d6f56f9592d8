"""Names that no macro call spells: a tracepoint makes register_trace_x, trace_x_enabled and others of trace_x; a file
that is included several times has functions ``FNAME(walk)``, which each time are other names."""

from __future__ import annotations

import re

from kexpert.core.c.macro_text import parse_macro, substitute
from kexpert.core.symbols import Flag, Kind, Symbol
from kexpert.core.text import decode
from kexpert.view import View

_OF_EVENT = re.compile(
    r"(?:(?:un)?register_(?:ftrace_event_)?trace_(?:prio_)?|check_trace_callback_type_|__traceiter_|__tracepoint_|event_)"
    r"(?P<event>\w+)|trace_(?P<called>\w+?)_(?:enabled|rcuidle|ruidle)",
    re.A,
)
_NAME_BY_MACRO = re.compile(rb"\b([A-Z_][A-Z0-9_]*)\(\s*\Z")
_MAX_NAMESAKES = 20  # functions of one part of a name: of more, one has a name of its own
_MAX_PARTS = 8


def event_name(name: str) -> str:
    """The name of the tracepoint that makes ``name``: "trace_x" for "register_trace_x"; "" if none can."""
    match = _OF_EVENT.fullmatch(name)
    return f"trace_{match['event'] or match['called']}" if match else ""


def makers_of(view: View, name: str) -> list[Symbol]:
    """The symbols that make a name which nothing defines: tracepoints, and functions named by a macro."""
    event = event_name(name)
    return (view.lookup(event, (Kind.TRACEPOINT,)) if event else []) or _named_by_macros(view, name)


def _named_by_macros(view: View, name: str) -> list[Symbol]:
    """``FNAME(walk)`` for ``toy64_walk``, with ``#define FNAME(x) toy64_##x`` somewhere."""
    words = name.split("_")
    for at in range(1, min(len(words), _MAX_PARTS)):
        part = "_".join(words[at:])
        rows = view.lookup(part, (Kind.FUNCTION,), _MAX_NAMESAKES) if part else []
        if len(rows) < _MAX_NAMESAKES and (found := [row for row in rows if _is_named(view, row, name)]):
            return [row._replace(name=name, flags=row.flags | Flag.IDIOM) for row in found]
    return []


def _is_named(view: View, row: Symbol, name: str) -> bool:
    """True if a macro around the name of a function makes ``name`` of it."""
    head = _NAME_BY_MACRO.search(view.text(row)[: row.name_start - row.start])
    if head is None:
        return False
    for each in view.lookup(decode(head[1]), (Kind.MACRO,)):
        macro = parse_macro(view.text(each))
        if macro and (made := substitute(macro, [row.name])) and "".join(made.split()) == name:
            return True
    return False
