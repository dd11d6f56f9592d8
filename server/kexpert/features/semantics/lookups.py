"""Answers of a view that many questions about types share: rows of a name, types of symbols, members of records."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from kexpert.core.c.declarators import CType
from kexpert.core.symbols import Kind, Symbol
from kexpert.features.semantics.records import Member, members_of
from kexpert.view import View

_MAX_KEPT = 30_000

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Lookups:
    """One view's answers, kept while the object lives. A question about thousands of files shares one."""

    def __init__(self, view: View) -> None:
        self.view = view
        self._rows: dict[tuple[str, tuple[Kind, ...]], list[Symbol]] = {}
        self._members: dict[tuple[Symbol, str], tuple[Member, ...]] = {}
        self._types: dict[Symbol, CType | None] = {}
        self._takes_member: dict[tuple[str, int, int], bool] = {}

    def rows(self, name: str, kinds: tuple[Kind, ...]) -> list[Symbol]:
        """Symbols of a name, not ranked."""
        return _kept(self._rows, (name, kinds), lambda: self.view.lookup(name, kinds))

    def members(self, record: Symbol, name: str) -> tuple[Member, ...]:
        """Members of a struct or union; ``name``: "struct foo"."""
        return _kept(
            self._members,
            (record, name),
            lambda: members_of(self.view.text(record), record.path, record.start, name),
        )

    def can_take_member(self, argument: tuple[str, int, int], read: Callable[[], bool]) -> bool:
        """Whether a macro's argument can be a member's name; ``argument``: the macro, which one, of how many."""
        return _kept(self._takes_member, argument, read)

    def declared(self, symbol: Symbol, read: Callable[[Symbol], CType | None]) -> CType | None:
        """The type that a declaration gives its name; ``read`` reads it."""
        return _kept(self._types, symbol, lambda: read(symbol))


def _kept(answers: dict[_Key, _Value], key: _Key, ask: Callable[[], _Value]) -> _Value:
    if key not in answers:
        if len(answers) >= _MAX_KEPT:
            answers.clear()
        answers[key] = ask()
    return answers[key]
