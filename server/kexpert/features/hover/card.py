"""The hover card: facts about a name, as data. ``render`` decides how they look.

A part that is not known is empty or None.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from kexpert.core.c.layout import Layout
from kexpert.core.docs.kerneldoc import KernelDoc
from kexpert.core.kernel.kconfig import KconfigEntry
from kexpert.core.kernel.locking_context import LockingRules
from kexpert.core.symbols import Symbol
from kexpert.features.explain.explanation import Written


@dataclass(frozen=True, slots=True)
class PlainText:
    """Words of an ordinary comment; no markup."""

    text: str


@dataclass(frozen=True, slots=True)
class Title:
    """The title of a page under Documentation."""

    text: str


@dataclass(frozen=True, slots=True)
class RestructuredText:
    """Text in the reStructuredText of kernel-doc comments and of pages under Documentation."""

    text: str


@dataclass(frozen=True, slots=True)
class OptionHelp:
    """The Kconfig entries of an option, and its value in ``.config``; None if it has none."""

    entries: tuple[KconfigEntry, ...]
    value: str | None


#: A paragraph or more of documentation, in the form in which its author wrote it.
Documentation: TypeAlias = KernelDoc | RestructuredText | PlainText | Title | OptionHelp


def plain_text(text: str) -> tuple[Documentation, ...]:
    """Words of a comment as documentation; empty for none."""
    return (PlainText(text),) if text else ()


def restructured_text(text: str) -> tuple[Documentation, ...]:
    """Text of a kernel-doc comment or a page as documentation; empty for none."""
    return (RestructuredText(text),) if text else ()


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
    capped: bool = False  # there may be more than ``total``


@dataclass(frozen=True, slots=True)
class Enumerator:
    name: str
    value: int | None


@dataclass(frozen=True, slots=True)
class Maintainers:
    """The MAINTAINERS entry of a file."""

    title: str
    people: tuple[str, ...]
    lists: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Similar:
    """Something in another file that does much the same."""

    name: str
    place: Place


@dataclass(slots=True)
class HoverCard:
    """Everything known about one thing.

    ``start`` and ``end`` span it in the text under the cursor; None for a card made from the index alone.
    """

    name: str
    what: str  # "function", "member", "local variable"
    owner: str = ""  # what a member or an enumerator belongs to: "struct file"
    start: int | None = None
    end: int | None = None
    code: str = ""
    documentation: tuple[Documentation, ...] = ()
    value: int | None = None
    expansion: str = ""  # C: the text that replaces a macro here
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
    near: frozenset[str] = frozenset()  # members that the function under the cursor uses
    symbol: Symbol | None = None  # the definition or declaration that the card is made from
    #: A line by a language model, where the author wrote none.
    written: Written | None = None
