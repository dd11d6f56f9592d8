"""Branches of ``#if`` that one configuration leaves out, to be dimmed by an editor. What is not known stays bright."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kexpert.core.c.condition_value import OptionValue, condition_value
from kexpert.core.c.conditions import Directive, directives
from kexpert.core.c.lex import blank_comments
from kexpert.core.c.source import Source
from kexpert.core.text import decode

_MAX_CONDITION_BYTES = 4096
_TEXT = re.compile(rb"#[ \t]*\w+((?:[^\n\\]|\\\r?\n|\\)*)")


@dataclass(slots=True)
class _Group:
    """An open ``#if``. ``taken``: whether an earlier branch, or this one, is compiled."""

    taken: bool | None
    inactive_from: int  # line after the directive whose branch is left out; -1 where the branch may be compiled
    is_outer_inactive: bool


def inactive_regions(source: Source, option: OptionValue) -> list[tuple[int, int]]:
    """(first line, last line) of each branch that is not compiled, 0-based, both inclusive, in order.

    The lines of the directives themselves are left out. Inside an inactive branch nothing more is listed.
    """
    data, lines = source.data, source.lines
    found: list[tuple[int, int]] = []
    groups: list[_Group] = []
    for directive in directives(data):
        line = lines.line_of(directive.start)
        if directive.keyword.startswith("if"):
            outer = bool(groups) and (groups[-1].is_outer_inactive or groups[-1].inactive_from >= 0)
            value = None if outer else _value(data, directive, option)
            groups.append(_Group(value, _next_line(data, source, directive) if value is False else -1, outer))
            continue
        if not groups:
            continue
        group = groups[-1]
        if group.inactive_from >= 0 and group.inactive_from < line:
            found.append((group.inactive_from, line - 1))
        if directive.keyword == "endif":
            groups.pop()
            continue
        if group.is_outer_inactive:
            continue
        value = True if directive.keyword == "else" else _value(data, directive, option)
        is_left_out = group.taken is True or value is False
        group.inactive_from = _next_line(data, source, directive) if is_left_out else -1
        group.taken = True if group.taken or (value and group.taken is False) else (
            False if group.taken is False and value is False else None
        )  # fmt: skip
    return sorted(found)


def _value(data: bytes, directive: Directive, option: OptionValue) -> bool | None:
    match = _TEXT.match(data, directive.start, directive.start + _MAX_CONDITION_BYTES)
    if match is None:
        return None
    text = blank_comments(match[1], strings=False).replace(b"\\\r\n", b" ").replace(b"\\\n", b" ")
    return condition_value(directive.keyword, decode(text), option)


def _next_line(data: bytes, source: Source, directive: Directive) -> int:
    """The line after a directive and its continuations."""
    end = data.find(b"\n", directive.start)
    while end > 0 and data[end - 1 : end] == b"\\":
        end = data.find(b"\n", end + 1)
    return source.lines.line_of(end) + 1 if end >= 0 else len(source.lines.starts)
