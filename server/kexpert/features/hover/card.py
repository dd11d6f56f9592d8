"""The hover card: facts about one thing, and how they read in Markdown.

A part that is not known is empty or None and leaves no trace in the rendered card.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from kexpert.core.c.layout import Layout
from kexpert.core.c.layout import to_markdown as layout_markdown
from kexpert.core.kernel.locking_context import LockingRules, describe_rules
from kexpert.render.markdown import block, code, escape


@dataclass(frozen=True, slots=True)
class Place:
    """Where a thing is defined or declared, and under which conditions (``CONFIG_SMP``, ``arch x86``)."""

    path: str
    line: int  # 0-based
    conditions: tuple[str, ...] = ()
    what: str = ""  # "declaration" and the like; "" for a plain definition


@dataclass(frozen=True, slots=True)
class Export:
    macro: str  # "EXPORT_SYMBOL_GPL"
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """A function's place in an ops table: ``.open`` of ``struct file_operations`` in ``foo_fops``."""

    member: str
    struct: str
    table: str


@dataclass(frozen=True, slots=True)
class Implementations:
    """The functions assigned to a member of an ops struct."""

    first: tuple[str, ...]
    total: int
    capped: bool = False  # ``total`` is only how many were looked at


@dataclass(frozen=True, slots=True)
class Enumerator:
    name: str
    value: int | None


@dataclass(frozen=True, slots=True)
class Maintainers:
    """What MAINTAINERS says of a file."""

    title: str
    people: tuple[str, ...]
    lists: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Similar:
    """Something in another file that does much the same."""

    name: str
    place: Place


_MAX_FIELDS = 40
#: Kinds whose documentation names them, their value and their places.
_DOCUMENTS_ITSELF = ("configuration option",)
#: Kinds that the code itself shows.
_SELF_EVIDENT = ("function", "macro", "struct", "union", "enum", "typedef")


@dataclass(slots=True)
class HoverCard:
    """Everything known about one thing. ``start``/``end`` span it in the text that was asked
    about; None for a card made from the index alone."""

    name: str
    what: str  # "function", "member", "local variable"
    owner: str = ""  # what a member or an enumerator belongs to: "struct file"
    start: int | None = None
    end: int | None = None
    code: str = ""
    documentation: str = ""  # Markdown: kernel-doc, Kconfig help
    value: int | None = None
    expansion: str = ""  # C, what a macro stands for here
    enumerators: tuple[Enumerator, ...] = ()
    more_enumerators: int = 0
    layout: Layout | None = None
    place: Place | None = None
    declared: Place | None = None  # of something defined elsewhere
    variants: tuple[Place, ...] = ()
    more_variants: int = 0
    export: Export | None = None
    rules: LockingRules | None = None
    sleeps_through: tuple[str, ...] = ()  # functions called here that may sleep
    callers: int | None = None
    operations: tuple[Operation, ...] = ()
    more_operations: int = 0
    implementations: Implementations | None = None
    builds: tuple[str, ...] = ()  # sources and directories/ that a CONFIG_ option builds
    more_builds: int = 0
    maintainers: Maintainers | None = None
    similar: tuple[Similar, ...] = ()

    def to_markdown(self) -> str:
        """The card as an editor shows it: code, prose, then one line a fact."""
        # A layout can be pages long: what fits one screen comes first.
        sections = [self._head(), self.documentation.strip(), "\n".join(self._facts()), self._inside()]
        return "\n\n---\n\n".join(section for section in sections if section)

    def _head(self) -> str:
        if self.what in _DOCUMENTS_ITSELF and self.documentation:
            return ""
        parts = [block(self.code)] if self.code else [f"{code(self.name)} — {escape(self.what)}"]
        if self.expansion:
            parts.append("Here it stands for\n\n" + block(self.expansion))
        if self.value is not None:
            parts.append(f"Value {number(self.value)}")
        return "\n\n".join(parts)

    def _inside(self) -> str:
        parts: list[str] = []
        if self.enumerators:
            lines = [
                f"- {code(one.name)}" + ("" if one.value is None else f" = {number(one.value)}")
                for one in self.enumerators
            ]
            if self.more_enumerators:
                lines.append(f"- and {self.more_enumerators} more")
            parts.append("\n".join(lines))
        if self.layout is not None:
            parts.append(_layout(self.layout))
        return "\n\n".join(parts)

    def _facts(self) -> list[str]:
        lines: list[str] = []
        if self.code and self.what not in _SELF_EVIDENT:
            owner = f" of {code(self.owner)}" if self.owner else ""
            lines.append(escape(self.what[:1].upper() + self.what[1:]) + owner)
        lines += self._places()
        if self.export is not None:
            space = f", namespace {code(self.export.namespace)}" if self.export.namespace else ""
            lines.append(f"Exported with {code(self.export.macro)}{space}")
        if self.rules is not None:
            lines += [line[:1].upper() + line[1:] for line in describe_rules(self.rules)]
        if self.sleeps_through:
            lines.append("May sleep: calls " + ", ".join(code(name + "()") for name in self.sleeps_through))
        if self.callers is not None and (self.callers or not self.operations):
            lines.append("No callers by name" if not self.callers else _count(self.callers, "caller"))
        lines += _listed("Stands as", [_operation(one) for one in self.operations], self.more_operations)
        if self.implementations is not None:
            lines.append(_implementations(self.implementations))
        if self.builds:
            more = f" and {self.more_builds} more" if self.more_builds else ""
            lines.append("Builds " + ", ".join(code(one) for one in self.builds) + more)
        if self.maintainers is not None:
            lines.append(_maintainers(self.maintainers))
        if self.similar:
            lines.append("See also " + ", ".join(f"{code(one.name)} in {_place(one.place)}" for one in self.similar))
        return [f"- {line}" if not line.startswith("  ") else line for line in lines]

    def _places(self) -> list[str]:
        if self.what in _DOCUMENTS_ITSELF:
            return []
        lines = [f"{_verb(self.place)} in {_place(self.place)}"] if self.place is not None else []
        if self.declared is not None:
            lines.append(f"Declared in {_place(self.declared)}")
        return lines + _listed("Also in", [_place(one, with_what=True) for one in self.variants], self.more_variants)


def number(value: int) -> str:
    """An integer in decimal, and in hexadecimal where that says more."""
    return code(str(value)) if -10 < value < 10 or value < 0 else f"{code(str(value))} ({code(hex(value))})"


def _layout(laid: Layout) -> str:
    more = len(laid.fields) - _MAX_FIELDS
    if more <= 0:
        return layout_markdown(laid)
    return layout_markdown(replace(laid, fields=laid.fields[:_MAX_FIELDS])) + f"\n\nand {more} more members"


def _verb(place: Place) -> str:
    return "Declared" if place.what == "declaration" else "Defined"


def _place(place: Place, with_what: bool = False) -> str:
    text = code(f"{place.path}:{place.line + 1}")
    if with_what and place.what:
        text += f" ({escape(place.what)})"
    if place.conditions:
        text += " when " + ", ".join(
            escape(one) if one.startswith("arch ") else code(one) for one in place.conditions
        )
    return text


def _listed(label: str, items: list[str], more: int) -> list[str]:
    """One line for one item, else a line for each under the label."""
    tail = [f"and {more} more"] if more else []
    if len(items) + len(tail) <= 1:
        return [f"{label} {item}" for item in items]
    return [f"{label}:", *(f"  - {item}" for item in items + tail)]


def _operation(one: Operation) -> str:
    text = code("." + one.member)
    if one.struct:
        text += f" of {code('struct ' + one.struct)}"
    return text + (f" in {code(one.table)}" if one.table else "")


def _implementations(found: Implementations) -> str:
    count = f"{found.total:,}" + (" or more" if found.capped else "")
    names = ", ".join(code(name) for name in found.first)
    rest = ", …" if found.total > len(found.first) else ""
    return f"Assigned {count} {'time' if found.total == 1 else 'times'}: {names}{rest}"


def _maintainers(found: Maintainers) -> str:
    people = ", ".join(escape(one) for one in found.people)
    lists = ", ".join(escape(one) for one in found.lists)
    return f"Maintainers ({escape(found.title)}): " + " · ".join(part for part in (people, lists) if part)


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
