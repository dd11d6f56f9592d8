"""The uses of one struct's member: certain where the type before it is known, possible where it is not.

A use of another struct's member of the same name is neither. Certain ones are found in the whole tree; possible ones
only in files in which an expression can have the type. A struct is known by its definition, so that the ``struct priv``
of two drivers are two; variants of it under ``#if`` in one file, and those of several archs, are one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from kexpert.core.c.access import Access
from kexpert.core.symbols import FileUses, Kind, Symbol
from kexpert.features.navigation.resolved_uses import NameReader, ResolvedUses
from kexpert.features.semantics.member_meaning import Certainty, Meaning
from kexpert.features.semantics.records import Member
from kexpert.features.semantics.resolve import Resolved
from kexpert.view import View

#: A struct that more files name is widely known: structs that hold it would lead to the whole tree.
_WIDELY_KNOWN_FILES = 400
_MAX_HEADERS, _MAX_HOLDERS = 40, 30
#: If there are more files than this, those that hold "struct" and the tag come first; the size of the sample.
_MANY_FILES, _SAMPLE_FILES = 1000, 60
_CODE = (".c", ".h", ".S")

Cancelled = Callable[[], bool]
#: (files done, files in all)
OnFiles = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class MarkedUses:
    """The uses of a name in one file. ``certain`` and ``access`` are parallel to it; ``access`` may be empty."""

    file: FileUses
    certain: Sequence[bool]
    access: Sequence[Access] = field(default_factory=list)

    def selected(self, keep: Sequence[object]) -> MarkedUses:
        """The uses for which ``keep`` is true."""
        certain = [each for each, kept in zip(self.certain, keep, strict=True) if kept]
        access = [each for each, kept in zip(self.access, keep, strict=False) if kept]
        return MarkedUses(self.file.selected(keep), certain, access)


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


def member_uses(
    view: View,
    target: MemberTarget,
    known: ResolvedUses,
    cancelled: Cancelled,
    on_files: OnFiles = lambda done, total: None,
    within: Collection[str] | None = None,
) -> Iterator[MarkedUses]:
    """The uses, a file at a time, declarations included.

    First the file that declares the member and the one where it is asked for, then the files that can know the struct,
    of many those that name it first, then all others. ``within``: in these files only.
    """
    reader = known.reader(view, target.name)
    if within is not None and len(within) == 1:
        files, knowing = list(within), set(within)
    else:
        files, knowing = _files_in_order(view, target, within)
    for done, path in enumerate(files):
        if cancelled():
            return
        on_files(done, len(files))
        marked = _in_file(reader, target, path, path in knowing)
        if marked is not None:
            yield marked


def _in_file(reader: NameReader, target: MemberTarget, path: str, is_knowing: bool) -> MarkedUses | None:
    found = reader.read(path)
    if found is None:
        return None
    file, uses = found
    certain = [target.is_meant(use.meaning, path) for use in uses]
    keep = [
        sure or (is_knowing and target.may_be_meant(use.meaning)) for sure, use in zip(certain, uses, strict=True)
    ]
    return MarkedUses(file, certain, [use.access for use in uses]).selected(keep) if any(keep) else None


def _files_in_order(
    view: View, target: MemberTarget, within: Collection[str] | None
) -> tuple[list[str], set[str]]:
    """(the files to search, in order; those in which an expression can have the type)."""
    everywhere = view.files_mentioning(target.name)
    mentioning = [path for path in everywhere if path.endswith(_CODE) and (within is None or path in within)]
    folder = target.asked_in.rpartition("/")[0] + "/"
    if target.path.endswith(".c"):  # nothing else can mean it but a file that includes this one
        home = target.path.rpartition("/")[0] + "/"
        near = [path for path in mentioning if path.startswith(home)]
        return sorted(near, key=lambda path: (path != target.path, path)), {target.path}
    if not target.places:  # by name, in this folder
        near = [path for path in mentioning if path.startswith(folder)]
        return sorted(near, key=lambda path: (path != target.asked_in, path)), set(near)
    knowing = _files_that_know(view, target, folder)
    knowing |= {target.asked_in, target.path}
    likely = [path for path in mentioning if path in knowing]
    naming = _files_that_name(view, target, likely) if len(likely) > _MANY_FILES else ()

    def order(path: str) -> tuple[object, ...]:
        return (
            path != target.path, path != target.asked_in, path not in knowing, path not in naming,
            not path.startswith(folder), path,
        )  # fmt: skip

    return sorted(mentioning, key=order), knowing


def _files_that_name(view: View, target: MemberTarget, paths: Sequence[str]) -> Collection[str]:
    """Those of ``paths`` that hold the struct's name with its keyword; none if most of a sample do.

    A tag such as ``module`` is a common word.
    """
    names_it = re.compile(rb"\b" + rb"\s+".join(map(re.escape, target.struct.encode().split())) + rb"\b")

    def holding(some: Sequence[str]) -> set[str]:
        return {path for path, data in view.wanted_texts(some, lambda data: bool(names_it.search(data))) if data}

    sample = paths[:: max(len(paths) // _SAMPLE_FILES, 1)]
    return holding(paths) if len(holding(sample)) < len(sample) / 2 else ()


def _files_that_know(view: View, target: MemberTarget, folder: str) -> set[str]:
    """Files in which an expression can have the type that the member belongs to."""
    tag = target.struct.rpartition(" ")[2].partition(".")[0]
    if not tag or tag in ("struct", "union"):
        return {path for path in view.files_mentioning(target.name) if path.startswith(folder)}
    files = set(view.files_mentioning(tag))
    if len(files) > _WIDELY_KNOWN_FILES:
        return files
    headers = sorted(path for path in files if path.endswith(".h"))
    holders: set[str] = set()
    for path in headers[:_MAX_HEADERS]:
        holders |= _holders(view, path, tag)
    for holder in sorted(holders)[:_MAX_HOLDERS]:
        files.update(view.files_mentioning(holder))
    return files


def _holders(view: View, path: str, tag: str) -> set[str]:
    """Names through which a struct is reached: structs with a member of it, typedefs of it."""
    data, word = view.data(path) or b"", tag.encode()
    names = set()
    for row in view.symbols_in(path):
        if row.kind in (Kind.MEMBER, Kind.TYPEDEF) and word in data[row.start : row.end].split():
            names.add(row.name if row.kind is Kind.TYPEDEF else row.scope.partition(".")[0])
    return names - {"", tag}
