"""A hover card as text: code; one line of what matters most; documentation; further facts, what is inside, people.

An editor shows some ten lines, so the line that matters comes second, and long lists are folded.
"""

from __future__ import annotations

import re
from dataclasses import replace

from kexpert.core.c.layout import Layout
from kexpert.core.docs.kerneldoc import KernelDoc, Param
from kexpert.core.kernel.locking_context import ATOMIC_GFP, SLEEPING_GFP, LockingRules
from kexpert.features.explain.explanation import Written
from kexpert.features.hover.card import Documentation, HoverCard, Implementations, Maintainers, Operation, Place
from kexpert.render.documentation import write_documentation
from kexpert.render.markup import Markup

_MAX_FIELDS = 16
#: Members described in the documentation of a struct or an enum.
_MAX_DESCRIBED = 12
_MAX_CAUSES = 4
#: Kinds whose documentation names them, their value and their places.
_DOCUMENTS_ITSELF = ("configuration option",)
_AGGREGATES = ("struct", "union", "enum")
#: What stands for members that were left out before.
_AND_MORE = re.compile(r"and (\d+) more")
#: Kinds that the code itself shows.
_SELF_EVIDENT = ("function", "macro", "struct", "union", "enum", "typedef")


def write_card(card: HoverCard, markup: Markup) -> str:
    """A card without empty sections."""
    documentation = write_documentation(_folded(card), markup)
    if not documentation and card.written is not None:
        documentation = f"{sentence(markup.words(card.written.text))} ({written_by(card.written, markup)})"
    head = "\n\n".join(part for part in (_head(card, markup), _main_line(card, markup)) if part)
    sections = [head, documentation, _list(_facts(card, markup)), _inside(card, markup), _list(_context(card, markup))]
    return markup.separator.join(section for section in sections if section)


def _list(lines: list[str]) -> str:
    return "\n".join(f"- {line}" if not line.startswith("  ") else line for line in lines)


def _folded(card: HoverCard) -> tuple[Documentation, ...]:
    """The documentation, of a long list of members those that are used near the cursor, else the first ones."""
    return tuple(
        _with_few_members(piece, card.near) if isinstance(piece, KernelDoc) and piece.kind in _AGGREGATES else piece
        for piece in card.documentation
    )


def _with_few_members(doc: KernelDoc, near: frozenset[str]) -> KernelDoc:
    if len(doc.params) <= _MAX_DESCRIBED:
        return doc
    kept = [param for param in doc.params if param.name in near][:_MAX_DESCRIBED]
    kept = kept or doc.params[:_MAX_DESCRIBED]
    more = len(doc.params) - len(kept)
    last = doc.params[-1]
    if last.name == "…" and (match := _AND_MORE.fullmatch(last.text)):
        more += int(match[1]) - 1
    return replace(doc, params=[*(param for param in kept if param.name != "…"), Param("…", f"and {more} more")])


def _main_line(card: HoverCard, markup: Markup) -> str:
    """Where it is, under which condition, exported, how large and how often called, on one line."""
    parts: list[str] = []
    if card.place is not None and card.what not in _DOCUMENTS_ITSELF:
        verb = "Declared" if card.place.what == "declaration" else "Defined"
        parts.append(f"{verb} in {_place(card.place, markup)}")
    if card.export is not None:
        namespace = f", namespace {markup.code(card.export.namespace)}" if card.export.namespace else ""
        parts.append(f"exported with {markup.code(card.export.macro)}{namespace}")
    if card.layout is not None and card.layout.size is not None:
        parts.append(f"{_bytes(card.layout.size, card.layout.exact)} bytes")
    if card.callers is not None and (card.callers or not card.operations):
        parts.append("no callers by name" if not card.callers else _count(card.callers, "caller"))
    line = " · ".join(parts)
    return line[:1].upper() + line[1:]


def written_by(written: Written, markup: Markup) -> str:
    """The mark of a text that a model wrote."""
    adapter = f" with {markup.code(written.adapter)}" if written.adapter else ""
    return f"machine-written by {markup.code(written.model)}{adapter}"


def sentence(text: str) -> str:
    """With a full stop, unless it ends with a mark of its own."""
    return text if text.endswith((".", "!", "?", "…", ":")) else f"{text}."


def _head(card: HoverCard, markup: Markup) -> str:
    if card.what in _DOCUMENTS_ITSELF and card.documentation:
        return ""
    first = markup.block(card.code) if card.code else f"{markup.code(card.name)} — {markup.words(card.what)}"
    parts = [first]
    if card.expansion:
        parts.append("Here it stands for\n\n" + markup.block(card.expansion))
    if card.value is not None:
        parts.append(f"Value {_number(card.value, markup)}")
    return "\n\n".join(parts)


def _inside(card: HoverCard, markup: Markup) -> str:
    parts: list[str] = []
    if card.enumerators:
        lines = [
            f"- {markup.code(each.name)}" + ("" if each.value is None else f" = {_number(each.value, markup)}")
            for each in card.enumerators
        ]
        if card.more_enumerators:
            lines.append(f"- and {card.more_enumerators} more")
        parts.append("\n".join(lines))
    if card.layout is not None:
        parts.append(_layout(card.layout, card.near, markup))
    return "\n\n".join(parts)


def _facts(card: HoverCard, markup: Markup) -> list[str]:
    """One line for each fact; a line that belongs to the list above it begins with two blanks."""
    code = markup.code
    lines: list[str] = []
    if card.code and card.what not in _SELF_EVIDENT:
        owner = f" of {code(card.owner)}" if card.owner else ""
        lines.append(markup.words(card.what[:1].upper() + card.what[1:]) + owner)
    lines += _places(card, markup)
    if card.rules is not None:
        lines += [line[:1].upper() + line[1:] for line in rule_lines(card.rules, markup)]
    if card.sleeps_through:
        lines.append("May sleep: calls " + ", ".join(code(name + "()") for name in card.sleeps_through))
    operations = [_operation(operation, markup) for operation in card.operations]
    lines += _listed("Stands as", operations, card.more_operations)
    if card.implementations is not None:
        lines.append(_implementations(card.implementations, markup))
    if card.builds:
        more = f" and {card.more_builds} more" if card.more_builds else ""
        lines.append("Builds " + ", ".join(code(path) for path in card.builds) + more)
    return lines


def _context(card: HoverCard, markup: Markup) -> list[str]:
    """Who looks after it, and what is like it."""
    lines = []
    if card.maintainers is not None:
        lines.append(_maintainers(card.maintainers, markup))
    if card.similar:
        others = (f"{markup.code(other.name)} in {_place(other.place, markup)}" for other in card.similar)
        lines.append("See also " + ", ".join(others))
    return lines


def _places(card: HoverCard, markup: Markup) -> list[str]:
    if card.what in _DOCUMENTS_ITSELF:
        return []
    lines = []
    if card.declared is not None:
        lines.append(f"Declared in {_place(card.declared, markup)}")
    variants = [_place(variant, markup, with_what=True) for variant in card.variants]
    return lines + _listed("Also in", variants, card.more_variants)


def _place(place: Place, markup: Markup, with_what: bool = False) -> str:
    text = markup.place(place.path, place.line)
    if with_what and place.what:
        text += f" ({markup.words(place.what)})"
    if place.conditions:
        text += " when " + ", ".join(
            markup.words(condition) if condition.startswith("arch ") else markup.code(condition)
            for condition in place.conditions
        )
    return text


def _listed(label: str, items: list[str], more: int) -> list[str]:
    """A single item on the line of its label; several on lines of their own under it."""
    tail = [f"and {more} more"] if more else []
    if len(items) + len(tail) <= 1:
        return [f"{label} {item}" for item in items]
    return [f"{label}:", *(f"  - {item}" for item in items + tail)]


def _operation(operation: Operation, markup: Markup) -> str:
    text = markup.code("." + operation.member)
    if operation.struct:
        text += f" of {markup.code('struct ' + operation.struct)}"
    return text + (f" in {markup.code(operation.table)}" if operation.table else "")


def _implementations(found: Implementations, markup: Markup) -> str:
    count = f"{found.total:,}" + (" or more" if found.capped else "")
    names = ", ".join(markup.code(name) for name in found.first)
    rest = ", …" if found.total > len(found.first) else ""
    return f"Assigned {count} {'time' if found.total == 1 else 'times'}: {names}{rest}"


def _maintainers(found: Maintainers, markup: Markup) -> str:
    people = ", ".join(markup.words(person) for person in found.people)
    lists = ", ".join(markup.words(address) for address in found.lists)
    return f"Maintainers ({markup.words(found.title)}): " + " · ".join(part for part in (people, lists) if part)


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _number(value: int, markup: Markup) -> str:
    """An integer in decimal, and in hexadecimal where that says more."""
    decimal = markup.code(str(value))
    return decimal if value < 10 else f"{decimal} ({markup.code(hex(value))})"


def rule_lines(rules: LockingRules, markup: Markup) -> list[str]:
    """Lock and context rules, one line each, without a capital."""
    code = markup.code
    lines = []
    for verb, locks in (
        ("must hold", rules.must_hold),
        ("must not hold", rules.must_not_hold),
        ("acquires", rules.acquires),
        ("releases", rules.releases),
        ("guarded by", rules.guarded_by),
    ):
        if locks:
            lines.append(f"{verb} " + ", ".join(code(lock) for lock in locks))
    lines += [f"asserts {code(lock)}" + (f" {how}" if how != "asserted" else "") for lock, how in rules.asserts]
    if rules.context:
        lines.append("requires " + ", ".join(rules.context))
    if rules.rcu_dereference:
        lines.append(f"needs {code('rcu_read_lock()')} in the caller: uses {code('rcu_dereference()')}")
    causes = [f"{name}()" for name in rules.sleeps[:_MAX_CAUSES]] + [flag for flag in rules.gfp if flag in SLEEPING_GFP]
    if causes:
        lines.append("may sleep: " + ", ".join(code(cause) for cause in causes))
    if not rules.may_sleep and (atomic := [flag for flag in rules.gfp if flag in ATOMIC_GFP]):
        lines.append("allocates with " + ", ".join(code(flag) for flag in atomic))
    if rules.sections:
        lines.append("marked " + ", ".join(code(name) for name in rules.sections))
    return lines


def _layout(layout: Layout, near: frozenset[str], markup: Markup) -> str:
    """The first members, or of a long struct those that are used near the cursor, where there are some."""
    shown = layout
    if len(layout.fields) > _MAX_FIELDS and near:
        used = [field for field in layout.fields if field.name.rpartition(".")[2] in near]
        if used:
            shown = replace(layout, fields=used, holes=[], padding=0)
    count = min(len(shown.fields), _MAX_FIELDS)
    text = markup.block(layout_table(shown, _MAX_FIELDS))
    more = len(layout.fields) - count
    return text if more <= 0 else f"{text}\n\nand {more} more members"


def layout_table(layout: Layout, max_fields: int) -> str:
    """Offset and size of the first members, ``~`` where approximate, ``?`` where unknown; holes marked."""
    holes = {start + size: size for start, size in layout.holes}  # by the offset where they end
    lines = ["/* offset  size */"]
    for field in layout.fields[:max_fields]:
        outermost = not field.depth and field.offset is not None and field.bit_width is None
        if outermost and (hole := holes.pop(field.offset or 0, 0)):
            lines.append(f"{'':18}/* {hole} bytes hole */")
        place = _bytes(field.offset, field.offset_exact)
        if field.bit_offset is not None:
            place += f":{field.bit_offset}"
        size = _bytes(field.size, field.exact or not field.offset_exact)
        lines.append(f"{place:>9} {size:>6}  {'    ' * field.depth}{field.text};")
    if layout.padding:
        lines.append(f"{'':18}/* {layout.padding} bytes of padding */")
    total = "unknown" if layout.size is None else _bytes(layout.size, layout.exact)
    options = f"; options of {layout.configuration}" if layout.configuration else ""
    lines.append(f"/* size {total}, align {_bytes(layout.align, layout.exact)}{options} */")
    return "\n".join(lines)


def _bytes(count: int | None, exact: bool) -> str:
    return "?" if count is None else f"{'' if exact else '~'}{count}"
