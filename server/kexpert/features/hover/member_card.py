"""Cards of struct and union members, ops among them."""

from __future__ import annotations

from kexpert.core.docs.kerneldoc import inline_member_docs, parse_kerneldoc
from kexpert.core.symbols import Kind, Symbol
from kexpert.features.hover.card import Documentation, HoverCard, Implementations, Place, plain_text, restructured_text
from kexpert.features.hover.card_reader import CardReader, arch_condition, comment_of
from kexpert.features.hover.code_card import as_declaration, first_lines, on_one_line
from kexpert.features.hover.comment_text import comment_above_line, comment_beside_text
from kexpert.features.semantics.resolve import Resolved

_KEYWORDS = {Kind.STRUCT: "struct ", Kind.UNION: "union "}
_RECORDS = (Kind.STRUCT, Kind.UNION, Kind.TYPEDEF)
_MAX_IMPLEMENTATIONS = 5000
_MAX_NAMED_IMPLEMENTATIONS = 6


def member_card(reader: CardReader, found: Resolved) -> HoverCard | None:
    """A member in an expression or at its declaration."""
    member = found.member
    if member is None:
        return member_symbol_card(reader, found.symbols[0]) if found.symbols else None
    card = HoverCard(member.name, "member", member.struct)
    tag = member.struct.partition(" ")[2]
    row = Symbol(member.name, Kind.MEMBER, member.path, 0, member.name_start, member.start, member.end, tag)
    card.code = _declaration(reader, row) or as_declaration(member.type.text, member.name) + ";"
    _describe(reader, row, card)
    if "(" in member.type.text:
        card.implementations = _implementations(reader, tag, member.name)
    return card


def member_symbol_card(reader: CardReader, symbol: Symbol) -> HoverCard:
    """A member that is known from the index alone."""
    record = _enclosing_record(reader, symbol)
    keyword = _KEYWORDS.get(record.kind, "") if record is not None else ""
    card = HoverCard(symbol.name, "member", keyword + symbol.scope)
    card.code = _declaration(reader, symbol)
    _describe(reader, symbol, card)
    if "(" in card.code:
        card.implementations = _implementations(reader, symbol.scope, symbol.name)
    return card


def _implementations(reader: CardReader, tag: str, member: str) -> Implementations | None:
    """The functions assigned to an ops member, those of the hovered file and its folder first."""
    assignments = reader.view.implementations(tag, member, _MAX_IMPLEMENTATIONS) if tag else []
    if not assignments:
        return None
    folder = reader.path.rpartition("/")[0] + "/"
    assignments.sort(key=lambda each: (each.path != reader.path, not each.path.startswith(folder), each.path))
    names = list(dict.fromkeys(assignment.function for assignment in assignments))
    is_capped = len(assignments) >= _MAX_IMPLEMENTATIONS
    return Implementations(tuple(names[:_MAX_NAMED_IMPLEMENTATIONS]), len(assignments), is_capped)


def _declaration(reader: CardReader, member: Symbol) -> str:
    text = reader.text(member).rstrip(b"; \t\n")
    if b"{" not in text:
        return on_one_line(text, member.name) + ";" if text else ""
    lines = first_lines(text).splitlines()
    margin = min((len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()), default=0)
    return "\n".join([*lines[:1], *(line[margin:] for line in lines[1:])])


def _describe(reader: CardReader, member: Symbol, card: HoverCard) -> None:
    """Set place and documentation."""
    data = reader.data(member.path)
    if data is None:
        return
    line = data.count(b"\n", 0, member.name_start)
    card.place = Place(member.path, line, arch_condition(member.path))
    card.documentation = _documentation(reader, data, member)


def _documentation(reader: CardReader, data: bytes, member: Symbol) -> tuple[Documentation, ...]:
    """The member's text in the struct's kernel-doc, else an inline comment, else the comment beside or above."""
    record = _enclosing_record(reader, member)
    if record is not None:
        doc = parse_kerneldoc(comment_of(data, record.start))
        inline = inline_member_docs(data[record.start : record.end])
        documented = {param.name: param.text for param in doc.params} if doc else {}
        path = f"{member.scope.partition('.')[2]}.{member.name}".lstrip(".")
        text = documented.get(path) or inline.get(path) or documented.get(member.name) or inline.get(member.name)
        text = text or _documented_outside(reader, data, member)
        if text:
            return restructured_text(text)
    return plain_text(comment_beside_text(data, member.end) or comment_above_line(data, member.start))


def _documented_outside(reader: CardReader, data: bytes, member: Symbol) -> str:
    """The text of ``@stats.rx`` above the outermost struct for a member of ``struct foo_stats { … } stats`` in it."""
    at = member.name_start
    around = [row for row in reader.view.symbols_in(member.path) if row.start <= at < row.end and row.name_start != at]
    outermost = next((row for row in sorted(around, key=lambda row: row.start) if row.kind in _RECORDS), None)
    doc = parse_kerneldoc(comment_of(data, outermost.start)) if outermost else None
    names = [row.name for row in sorted(around, key=lambda row: row.start) if row.kind is Kind.MEMBER]
    path = ".".join([*names, member.name])
    return next((param.text for param in doc.params if param.name == path), "") if doc else ""


def _enclosing_record(reader: CardReader, member: Symbol) -> Symbol | None:
    """The struct or union with a tag or a typedef that holds a member's declaration."""
    outermost = member.scope.partition(".")[0]
    records = reader.lookup(outermost, _RECORDS) if outermost else []
    at = member.name_start
    return next((row for row in records if row.path == member.path and row.start <= at < row.end), None)
