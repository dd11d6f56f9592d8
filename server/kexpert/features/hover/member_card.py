"""Cards of struct and union members, ops among them."""

from __future__ import annotations

from kexpert.core.docs.kerneldoc import inline_member_docs, parse_kerneldoc
from kexpert.core.symbols import Kind, Symbol
from kexpert.features.hover.card import HoverCard, Implementations, Place, plain_text, restructured_text
from kexpert.features.hover.card_reader import Reading, arch_condition, comment_of
from kexpert.features.hover.code_card import one_line, trimmed
from kexpert.features.hover.comment_text import above_line, beside
from kexpert.features.hover.variable_card import declared
from kexpert.features.semantics.resolve import Resolved

_MAX_IMPLEMENTATIONS = 5000
_FIRST = 6


def member_card(reading: Reading, found: Resolved) -> HoverCard | None:
    """A member through which something is reached, or where it is declared."""
    member = found.member
    if member is None:
        return member_row_card(reading, found.symbols[0]) if found.symbols else None
    card = HoverCard(member.name, "member", member.struct)
    card.code = _declaration(reading, member.path, member.start, member.end, member.name)
    if not card.code:
        card.code = declared(member.type.text, member.name) + ";"
    tag = member.struct.partition(" ")[2]
    _describe(reading, member.path, member.start, member.name_start, member.end, member.name, tag, card)
    if "(" in member.type.text:
        card.implementations = implementations(reading, tag, member.name)
    return card


def member_row_card(reading: Reading, row: Symbol) -> HoverCard:
    """A member known from the index alone."""
    card = HoverCard(row.name, "member", row.scope)
    card.code = _declaration(reading, row.path, row.start, row.end, row.name)
    _describe(reading, row.path, row.start, row.name_start, row.end, row.name, row.scope, card)
    if "(" in card.code:
        card.implementations = implementations(reading, row.scope, row.name)
    return card


def implementations(reading: Reading, tag: str, member: str) -> Implementations | None:
    """The functions assigned to an ops member, those near the text that was hovered in first."""
    assigned = reading.view.implementations(tag, member, _MAX_IMPLEMENTATIONS) if tag else []
    if not assigned:
        return None
    directory = reading.near.rpartition("/")[0]
    assigned.sort(key=lambda one: (one.path != reading.near, not one.path.startswith(directory + "/"), one.path))
    names = list(dict.fromkeys(one.function for one in assigned))
    return Implementations(tuple(names[:_FIRST]), len(assigned), len(assigned) >= _MAX_IMPLEMENTATIONS)


def _declaration(reading: Reading, path: str, start: int, end: int, name: str) -> str:
    text = (reading.data(path) or b"")[start:end].rstrip(b"; \t\n")
    if b"{" not in text:
        return one_line(text, name) + ";" if text else ""
    lines = trimmed(text).splitlines()
    margin = min((len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()), default=0)
    return "\n".join([*lines[:1], *(line[margin:] for line in lines[1:])])


def _describe(
    reading: Reading, path: str, start: int, at: int, end: int, name: str, tag: str, card: HoverCard
) -> None:
    """Place and documentation: the struct's kernel-doc, the inline ones, else the comment beside or above."""
    data = reading.data(path)
    if data is None:
        return
    card.place = Place(path, data.count(b"\n", 0, at), arch_condition(path))
    record = _record(reading, path, at, tag)
    if record is not None:
        doc = parse_kerneldoc(comment_of(data, record.start))
        inline = inline_member_docs(data[record.start : record.end])
        documented = {parameter.name: parameter.text for parameter in doc.params} if doc else {}
        text = documented.get(name) or inline.get(name) or next(
            (text for key, text in documented.items() if key.endswith("." + name)), ""
        )
        if text:
            card.documentation = restructured_text(text)
            return
    card.documentation = plain_text(beside(data, end) or above_line(data, start))


def _record(reading: Reading, path: str, at: int, tag: str) -> Symbol | None:
    """The struct or union that holds the declaration at ``at``."""
    outer = tag.partition(".")[0]
    rows = reading.lookup(outer, (Kind.STRUCT, Kind.UNION, Kind.TYPEDEF)) if outer else []
    return next((row for row in rows if row.path == path and row.start <= at < row.end), None)
