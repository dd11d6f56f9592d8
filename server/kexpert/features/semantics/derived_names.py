"""Names that no macro call spells: a tracepoint makes register_trace_x, trace_x_enabled and others of trace_x."""

from __future__ import annotations

import re

from kexpert.core.symbols import Kind, Symbol
from kexpert.view import View

_OF_EVENT = re.compile(
    r"(?:(?:un)?register_(?:ftrace_event_)?trace_(?:prio_)?|check_trace_callback_type_|__traceiter_|__tracepoint_|event_)"
    r"(?P<event>\w+)|trace_(?P<called>\w+?)_(?:enabled|rcuidle|ruidle)",
    re.A,
)


def event_name(name: str) -> str:
    """The name of the tracepoint that makes ``name``: "trace_x" for "register_trace_x"; "" if none can."""
    match = _OF_EVENT.fullmatch(name)
    return f"trace_{match['event'] or match['called']}" if match else ""


def events_of(view: View, name: str) -> list[Symbol]:
    """The tracepoints that make ``name``; empty if none does."""
    event = event_name(name)
    return view.lookup(event, (Kind.TRACEPOINT,)) if event else []
