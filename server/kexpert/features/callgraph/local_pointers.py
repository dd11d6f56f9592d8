"""Calls through a local function pointer: ``open = file->f_op->open; … open(inode, file)``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from kexpert.core.symbols import Symbol
from kexpert.features.navigation.call_hierarchy import written_calls

_POINTER = re.compile(rb"\(\s*\*\s*(?:const\s+)?(\w+)\s*\)\s*\(")
_MAX_DISTANCE_BYTES = 200


@dataclass(frozen=True, slots=True)
class BodyCall:
    """A call in a body; ``member`` if it goes through ``->``, ``.`` or a pointer that was set from those."""

    name: str
    start: int  # of the call, in the file
    member: bool
    member_at: int  # where the member is written, to infer its struct


def body_calls(data: bytes, symbol: Symbol) -> Iterator[BodyCall]:
    """The calls in a body; one through a local pointer that is set from a member counts as a call of the member.

    A call through any other local pointer or parameter is left out: its target is not known.
    """
    text = data[symbol.start : symbol.end]
    pointers = {match[1] for match in _POINTER.finditer(text)}
    for call in written_calls(data, symbol):
        name = call.name.encode("latin-1")
        if call.member or name not in pointers:
            yield BodyCall(call.name, call.start, call.member, call.start)
            continue
        member = _set_from(text, name)
        if member is not None:
            yield BodyCall(member[0], call.start, True, symbol.start + member[1])


def _set_from(text: bytes, name: bytes) -> tuple[str, int] | None:
    """(member, offset of its name) that a local is set from; None if it is not set from a member."""
    value = rb"(?<![\w.>])" + re.escape(name) + rb"\s*\)?\s*(?:\([^()]{0,80}\)\s*)?=(?!=)\s*([^;=]{1,%d});"
    for match in re.finditer(value % _MAX_DISTANCE_BYTES, text):
        member = re.search(rb"(?:->|\.)\s*(\w+)\s*\Z", match[1])
        if member:
            return member[1].decode("latin-1"), match.start(1) + member.start(1)
    return None
