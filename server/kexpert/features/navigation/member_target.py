"""The member of a struct that is asked about, and which uses mean it."""

from __future__ import annotations

from dataclasses import dataclass

from kexpert.core.symbols import Kind, Symbol
from kexpert.features.semantics.member_meaning import Certainty, Meaning
from kexpert.features.semantics.records import Member
from kexpert.features.semantics.resolve import Resolved
from kexpert.view import View


@dataclass(frozen=True, slots=True)
class MemberTarget:
    """A member that is asked about. ``places``: where it is declared, variants under ``#if`` included; empty if its
    struct is not known."""

    name: str
    asked_in: str
    places: frozenset[tuple[str, int]] = frozenset()
    struct: str = ""  # "struct file"
    record: tuple[int, int] = (-1, -1)  # byte range of the struct in the file that defines it

    @property
    def path(self) -> str:
        """The file that declares it."""
        return next(iter(self.places))[0] if self.places else ""

    @property
    def tag(self) -> str:
        """The tag of the struct; "" if it has none."""
        tag = self.struct.rpartition(" ")[2].partition(".")[0]
        return "" if tag in ("struct", "union") else tag

    def is_meant(self, meaning: Meaning, path: str) -> bool:
        """True if a use in ``path`` certainly means it."""
        if meaning.certainty is not Certainty.MEMBER:
            return False
        if (meaning.path, meaning.start) in self.places:
            return True
        archs = meaning.path.startswith("arch/") and self.path.startswith("arch/") and not path.startswith("arch/")
        return archs and " " in self.struct and meaning.struct == self.struct

    def may_be_meant(self, meaning: Meaning) -> bool:
        if not self.places:
            return True
        if meaning.certainty is Certainty.RECORD:
            return meaning.path == self.path and self.record[0] <= meaning.start < self.record[1]
        return meaning.certainty is Certainty.UNKNOWN


def is_member_name(found: Resolved) -> bool:
    """A member, its struct known or not."""
    return found.kind == "member" or (bool(found.symbols) and found.symbols[0].kind == Kind.MEMBER)


def target_of(view: View, found: Resolved, asked_in: str) -> MemberTarget:
    """The member that a resolved name means; ``asked_in``: the file of the name."""
    member = found.member
    if member is None:
        return MemberTarget(found.name, asked_in)
    rows = view.symbols_in(member.path)
    own = next((row for row in rows if row.kind is Kind.MEMBER and row.name_start == member.name_start), None)
    places = {(member.path, member.name_start)}
    if own is not None and own.scope:
        places |= {
            (row.path, row.name_start)
            for row in rows
            if row.kind is Kind.MEMBER and row.name == own.name and row.scope == own.scope
        }
    return MemberTarget(found.name, asked_in, frozenset(places), member.struct, _record_around(rows, member))


def _record_around(rows: list[Symbol], member: Member) -> tuple[int, int]:
    spans = [
        (row.start, row.end)
        for row in rows
        if row.kind in (Kind.STRUCT, Kind.UNION) and row.start <= member.name_start < row.end
    ]
    return min(spans, default=(member.start, member.end))
