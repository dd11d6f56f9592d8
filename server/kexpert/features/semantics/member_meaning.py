"""Which struct's member each occurrence of a name in a file means.

The type before ``.`` and ``->``, of an initialiser and of a macro's argument says it. Occurrences are resolved in
order, so that a function is read once for all of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import IntEnum
from itertools import takewhile
from typing import NamedTuple

from kexpert.core.c.access import Access, access_at
from kexpert.core.c.cursor_context import comment_start, directive_at
from kexpert.core.c.declarators import CType
from kexpert.core.c.function_extent import enclosing_function, function_tokens
from kexpert.core.c.postfix import chain_start
from kexpert.core.c.scope import local_binding
from kexpert.core.c.source import Source
from kexpert.core.c.tokens import Tokens
from kexpert.core.symbols import Kind, Symbol
from kexpert.features.semantics.initialisers import designated, designated_owner
from kexpert.features.semantics.lookups import Lookups
from kexpert.features.semantics.macro_members import argument_member, macro_member, names_member
from kexpert.features.semantics.records import Member
from kexpert.features.semantics.type_inference import Types
from kexpert.view import View

_DEFINE = re.compile(rb"[ \t]*#[ \t]*define[ \t]+\w+(?:\(([^)\n]*)\))?|[ \t]*#[ \t]*\w+")
_TAGS = frozenset({"struct", "union", "enum"})
#: Annotations of a member that name another one of the same struct.
_NAMES_SIBLING = re.compile(r"__(?:counted|sized)_by\w*|__(?:pt_)?guarded_by", re.A)
#: Bytes read of a declaration outside functions, after an occurrence in it.
_MAX_DECLARATION_BYTES = 128 * 1024


class Certainty(IntEnum):
    NONE = 0  # no member
    UNKNOWN = 1  # a member of a struct that is not known
    RECORD = 2  # of this struct, which seems to have no such member
    MEMBER = 3


class Meaning(NamedTuple):
    """``start``: of the member's name for ``MEMBER``, of the struct's definition for ``RECORD``."""

    certainty: Certainty
    path: str = ""
    start: int = -1
    struct: str = ""  # "struct file"


class ResolvedUse(NamedTuple):
    meaning: Meaning
    access: Access


NOTHING, UNKNOWN = Meaning(Certainty.NONE), Meaning(Certainty.UNKNOWN)


class MemberMeanings:
    """Resolves occurrences of members in the files of one view; keeps what it looks up."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._known = Lookups(view)

    def of_file(
        self, source: Source, name: str, starts: Sequence[int], cancelled: Callable[[], bool] = lambda: False
    ) -> list[ResolvedUse]:
        """The meaning of each occurrence of ``name``, whose offsets ascend, and what is done with it there; of fewer
        if it is cancelled."""
        reader = _FileReader(self._view, source, self._known)
        return [reader.use(name, start) for start in takewhile(lambda _: not cancelled(), starts)]

    def accesses(self, source: Source, starts: Sequence[int]) -> list[Access]:
        """What is done with the variable at each of some ascending offsets."""
        reader = _FileReader(self._view, source, self._known)
        return [reader.access(start) for start in starts]


class _FileReader:
    def __init__(self, view: View, source: Source, known: Lookups) -> None:
        self._view = view
        self._source = source
        self._types = Types(view, source, known=known)
        self._members: dict[int, Symbol] | None = None
        # the stretch of text around the last occurrence
        self._begin = self._end = -1
        self._tokens = Tokens(b"")
        self._in_function = False
        self._parameters: frozenset[str] = frozenset()  # of a macro
        self._is_array: bool | None = None  # the member that was found last

    def use(self, name: str, start: int) -> ResolvedUse:
        self._is_array = None
        meaning = self._meaning(name, start)
        if meaning is NOTHING:
            return ResolvedUse(meaning, Access.READ)
        if not self._in_function and start in self._declared():
            return ResolvedUse(meaning, Access.DECLARATION)
        return ResolvedUse(meaning, access_at(self._tokens, self._tokens.at_offset(start), self._is_array))

    def _meaning(self, name: str, start: int) -> Meaning:
        self._move_to(start)
        tokens = self._tokens
        at = tokens.at_offset(start)
        if tokens.start(at) != start or tokens[at] != name or name in self._parameters:
            return NOTHING
        self._types.begin(start, self._parameters)
        if tokens[at - 1] in (".", "->"):
            return self._after_operator(tokens, at, start)
        if tokens[at - 1] in _TAGS:
            return NOTHING
        if not self._in_function and (row := self._declared().get(start)):
            return Meaning(Certainty.MEMBER, row.path, start, f"struct {row.scope}".rstrip())
        opening = tokens.enclosing(at, "(")
        if opening <= 0:
            return NOTHING
        if not self._in_function and _NAMES_SIBLING.fullmatch(tokens[opening - 1]):
            return self._sibling(name, start)
        found = macro_member(self._types, tokens, at, self._types.scope_at(start))
        if found is None and not (self._in_function and local_binding(self._source, start)):
            found = argument_member(self._types, tokens, at, start)
            if found is None and names_member(self._types, tokens, at):
                return UNKNOWN
        return self._of_member(found) if found else NOTHING

    def access(self, start: int) -> Access:
        self._move_to(start)
        at = self._tokens.at_offset(start)
        if self._tokens.start(at) != start:
            return Access.READ
        if not self._in_function and start in self._declared():
            return Access.DECLARATION
        local = local_binding(self._source, start) if self._in_function else None
        if local and local.name_start == start:
            return Access.DECLARATION
        return access_at(self._tokens, at)

    def _after_operator(self, tokens: Tokens, at: int, start: int) -> Meaning:
        if designated(tokens, at - 1):
            owner = designated_owner(self._types, tokens, at - 1, start)
        else:
            owner = self._types.at(tokens, chain_start(tokens, at - 2), at - 1, start)
        if owner is None:
            in_macro = tokens.enclosing(at, "(") > 0 and chain_start(tokens, at) != at
            found = macro_member(self._types, tokens, at, self._types.scope_at(start)) if in_macro else None
            return self._of_member(found) if found else UNKNOWN
        found = self._types.member(owner, tokens[at])
        if found is None and tokens.enclosing(at, "(") > 0:
            found = macro_member(self._types, tokens, at, self._types.scope_at(start))
        return self._of_member(found) if found else self._of_record(owner)

    def _of_member(self, member: Member) -> Meaning:
        self._is_array = member.type.derived[:1] == ("[]",)
        return Meaning(Certainty.MEMBER, member.path, member.name_start, member.struct)

    def _of_record(self, owner: CType) -> Meaning:
        """A struct that is known, without the member: macros may declare it."""
        of = self._types.resolved(owner)
        if of.body:
            return Meaning(Certainty.RECORD, of.body.path, of.body.start, of.name)
        records = self._types.records(of.tag)
        return Meaning(Certainty.RECORD, records[0].path, records[0].start, of.name) if records else UNKNOWN

    def _sibling(self, name: str, start: int) -> Meaning:
        """The member of this name in the record whose declaration holds ``start``."""
        rows = self._view.symbols_in(self._source.path)
        records = [row for row in rows if row.kind in (Kind.STRUCT, Kind.UNION) and row.start <= start < row.end]
        for record in sorted(records, key=lambda row: row.end - row.start):
            for row in self._declared().values():
                if row.name == name and record.start <= row.name_start < record.end:
                    return Meaning(Certainty.MEMBER, row.path, row.name_start, f"struct {row.scope}".rstrip())
        return NOTHING

    def _declared(self) -> dict[int, Symbol]:
        """The members that this file declares, by the offsets of their names."""
        if self._members is None:
            rows = self._view.symbols_in(self._source.path)
            self._members = {row.name_start: row for row in rows if row.kind is Kind.MEMBER}
        return self._members

    def _move_to(self, start: int) -> None:
        """Read the function, the macro or the declaration at file level that holds ``start``."""
        source, data = self._source, self._source.data
        directive = directive_at(data, start)
        if self._begin <= start < self._end and (directive is None or directive[0] == self._begin):
            return
        self._parameters = frozenset()
        self._in_function = False
        if directive:
            head = _DEFINE.match(data, directive[0])
            self._begin, self._end = directive
            self._tokens = Tokens(data, head.end() if head else directive[0], directive[1])
            if head and head[1]:
                self._parameters = frozenset(word.strip(" \t.") for word in head[1].decode("latin-1").split(","))
            return
        function = enclosing_function(source, start)
        if function:
            self._begin, self._end = function.start, function.end
            self._tokens = function_tokens(source, function)
            self._in_function = True
            return
        self._begin, self._end = _declaration_extent(data, start)
        self._tokens = Tokens(data, self._begin, self._end)


def _declaration_extent(data: bytes, start: int) -> tuple[int, int]:
    """The text of the declaration at file level around ``start``, from a word in column 0, as kernel style has it."""
    begin = data.rfind(b"\n", 0, start) + 1
    floor = max(start - _MAX_DECLARATION_BYTES, 0)
    while begin > floor:
        first = data[begin : begin + 1]
        if (first.isalpha() or first == b"_") and comment_start(data, begin) is None:
            break
        begin = data.rfind(b"\n", 0, begin - 1) + 1
    limit = min(start + _MAX_DECLARATION_BYTES, len(data))
    end = data.find(b"\n}", start, limit)
    following = re.compile(rb";[ \t]*\n(?=[A-Za-z_#/\n])").search(data, start, end if end >= 0 else limit)
    if following and (end < 0 or data.count(b"{", begin, following.end()) == data.count(b"}", begin, following.end())):
        return begin, following.end()
    line = data.find(b"\n", end + 2, limit) if end >= 0 else -1
    return begin, line if line >= 0 else limit
