"""The uses of one struct's member: certain where the type before it is known, possible where it is not.

A use of another struct's member of the same name is neither. Certain ones are found in the whole tree; possible ones
only in files in which an expression can have the type. A struct is known by its definition, so that the ``struct priv``
of two drivers are two; variants of it under ``#if`` in one file, and those of several archs, are one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from kexpert.core.c.access import Access
from kexpert.core.symbols import FileUses
from kexpert.features.navigation.member_files import Cancelled, candidates, promising_first
from kexpert.features.navigation.member_target import MemberTarget
from kexpert.features.navigation.resolved_uses import NameReader, ResolvedUses
from kexpert.view import View

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


def member_uses(
    view: View,
    target: MemberTarget,
    known: ResolvedUses,
    cancelled: Cancelled,
    on_files: OnFiles = lambda done, total: None,
    within: Collection[str] | None = None,
) -> Iterator[MarkedUses]:
    """The uses, a file at a time, declarations included.

    First the file that declares the member and the one where it is asked for, then files whose uses are kept or whose
    text seems to hold some, then all others. ``within``: in these files only.
    """
    reader = known.reader(view, target.name)
    found = candidates(view, target, within, cancelled)
    for done, path in enumerate(promising_first(view, target, found, reader.is_kept, cancelled)):
        if cancelled():
            return
        on_files(done, len(found.paths))
        marked = _in_file(reader, target, path, path in found.near, cancelled)
        if marked is not None:
            yield marked


def _in_file(
    reader: NameReader, target: MemberTarget, path: str, is_near: bool, cancelled: Cancelled
) -> MarkedUses | None:
    found = reader.read(path, cancelled)
    if found is None:
        return None
    file, uses = found
    certain = [target.is_meant(use.meaning, path) for use in uses]
    keep = [sure or (is_near and target.may_be_meant(use.meaning)) for sure, use in zip(certain, uses, strict=True)]
    return MarkedUses(file, certain, [use.access for use in uses]).selected(keep) if any(keep) else None
