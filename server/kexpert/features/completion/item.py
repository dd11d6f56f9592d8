"""Completion items, and how a name is matched against the typed prefix."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from kexpert.core.c.source import Source
from kexpert.core.symbols import Kind, Symbol
from kexpert.features.semantics.cursor import CursorContext
from kexpert.view import View

ItemKind = Literal[
    "function", "macro", "struct", "union", "enum", "enumerator", "member", "type", "variable", "local", "parameter",
    "label", "keyword", "directive", "file", "folder", "config", "snippet", "constant",
]  # fmt: skip

ITEM_KINDS: dict[Kind, ItemKind] = {
    Kind.FUNCTION: "function",
    Kind.PROTOTYPE: "function",
    Kind.SYSCALL: "function",
    Kind.TRACEPOINT: "function",
    Kind.MACRO: "macro",
    Kind.STRUCT: "struct",
    Kind.UNION: "union",
    Kind.ENUM: "enum",
    Kind.ENUMERATOR: "enumerator",
    Kind.MEMBER: "member",
    Kind.TYPEDEF: "type",
    Kind.VARIABLE: "variable",
    Kind.DECLARATION: "variable",
    Kind.CONFIG: "config",
}

# Match qualities, best first.
PREFIX, PREFIX_ANY_CASE, SUBWORD, SUBSEQUENCE = range(4)


@dataclass(frozen=True, slots=True)
class CompletionItem:
    """One proposal. Items sort by ``sort_text``; ``replace_start``/``replace_end`` are bytes of one line."""

    label: str
    kind: ItemKind
    detail: str
    sort_text: str
    insert_text: str
    replace_start: int
    replace_end: int
    snippet: bool = False  # ``insert_text`` holds LSP tab stops
    symbol: Symbol | None = None  # for its hover card
    deprecated: bool = False


@dataclass(slots=True)
class Completions:
    """``incomplete``: more would match; the client asks again when another character is typed."""

    items: list[CompletionItem] = field(default_factory=list)
    incomplete: bool = False


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """One question: ``prefix`` is the word typed so far. ``cursor`` is at its beginning, ``offset`` at its end."""

    cursor: CursorContext
    offset: int
    prefix: str
    limit: int

    @property
    def view(self) -> View:
        return self.cursor.view

    @property
    def source(self) -> Source:
        return self.cursor.source

    @property
    def start(self) -> int:
        return self.cursor.offset

    def item(
        self,
        label: str,
        kind: ItemKind,
        sort: str,
        detail: str = "",
        *,
        insert: str = "",
        symbol: Symbol | None = None,
        start: int | None = None,
        snippet: bool = False,
    ) -> CompletionItem:
        """An item that replaces the prefix, or the text from ``start`` on."""
        begin = self.start if start is None else start
        return CompletionItem(label, kind, detail, sort, insert or label, begin, self.offset, snippet, symbol)

    def matching(self, names: list[str]) -> list[tuple[str, int]]:
        """(name, match quality) of the names that the prefix matches, in the given order."""
        found = []
        for name in names:
            quality = match_quality(name, self.prefix)
            if quality is not None:
                found.append((name, quality))
        return found


def match_quality(name: str, typed: str) -> int | None:
    """The quality with which ``typed`` matches a name: as prefix, at a subword (``alloc`` in k_alloc), scattered.

    None if it does not.
    """
    if name.startswith(typed):
        return PREFIX
    low_name, low_typed = name.lower(), typed.lower()
    if low_name.startswith(low_typed):
        return PREFIX_ANY_CASE
    if "_" + low_typed in low_name:
        return SUBWORD
    letters = iter(low_name)
    return SUBSEQUENCE if all(letter in letters for letter in low_typed) else None
