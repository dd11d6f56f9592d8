"""Answers of a view that many questions about types share: rows of a name, types of symbols, members of records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias, TypeVar

from kexpert.core.c.declarators import CType
from kexpert.core.symbols import Flag, Kind, Symbol
from kexpert.core.text import decode, encode
from kexpert.features.semantics.member_macros import Lookup, expand_call, made_members, type_in
from kexpert.features.semantics.records import Member, members_of
from kexpert.view import View

_MAX_KEPT = 30_000

#: Of a macro: its name, which argument (0-based), of how many.
Argument: TypeAlias = tuple[str, int, int]

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Lookups:
    """One view's answers, kept while the object lives. A question about thousands of files shares one."""

    def __init__(self, view: View) -> None:
        self.view = view
        self._rows: dict[tuple[str, tuple[Kind, ...]], list[Symbol]] = {}
        self._members: dict[tuple[Symbol, str], tuple[Member, ...]] = {}
        self._types: dict[Symbol, CType | None] = {}
        self._takes_member: dict[Argument, bool] = {}
        self._passed_on: dict[Argument, tuple[Argument, ...] | None] = {}

    def rows(self, name: str, kinds: tuple[Kind, ...]) -> list[Symbol]:
        """Symbols of a name, not ranked."""
        return _kept(self._rows, (name, kinds), lambda: self.view.lookup(name, kinds))

    def members(self, record: Symbol, name: str, lookup: Lookup) -> tuple[Member, ...]:
        """Members of a struct or union; ``name``: "struct foo". ``lookup`` finds the macros that make some."""
        return _kept(self._members, (record, name), lambda: self._read_members(record, name, lookup))

    def _read_members(self, record: Symbol, name: str, lookup: Lookup) -> tuple[Member, ...]:
        text = self.view.text(record)
        if record.flags & Flag.IDIOM:
            made = type_in(expand_call(decode(text), lookup) or "", name.partition(" ")[0], record.name)
            found = members_of(encode(made), record.path, 0, name)
            return tuple(
                replace(each, name_start=record.name_start, start=record.start, end=record.end) for each in found
            )
        plain = members_of(text, record.path, record.start, name)
        return (*plain, *made_members(text, record.path, record.start, name, lookup))

    def can_take_member(self, argument: Argument, read: Callable[[], bool]) -> bool:
        """Whether a macro's argument can be a member's name."""
        return _kept(self._takes_member, argument, read)

    def passed_on(
        self, argument: Argument, read: Callable[[], tuple[Argument, ...] | None]
    ) -> tuple[Argument, ...] | None:
        """As what a macro's argument is passed on; see ``macro_members``."""
        return _kept(self._passed_on, argument, read)

    def declared(self, symbol: Symbol, read: Callable[[Symbol], CType | None]) -> CType | None:
        """The type that a declaration gives its name; ``read`` reads it."""
        return _kept(self._types, symbol, lambda: read(symbol))


def _kept(answers: dict[_Key, _Value], key: _Key, ask: Callable[[], _Value]) -> _Value:
    if key not in answers:
        if len(answers) >= _MAX_KEPT:
            answers.clear()
        answers[key] = ask()
    return answers[key]
