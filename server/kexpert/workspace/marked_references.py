"""References with what is done at each place, a file at a time, as they are found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from kexpert.core.c.access import Access
from kexpert.workspace.snapshot import Cancelled, Position, Snapshot, never

if TYPE_CHECKING:
    from kexpert.features.navigation.member_references import MarkedUses


def marked_references(
    snapshot: Snapshot,
    at: Position,
    include_declaration: bool = True,
    cancelled: Cancelled = never,
    on_files: Callable[[int, int], None] = lambda done, total: None,
    *,
    with_access: bool = True,
) -> Iterator[MarkedUses]:
    """The uses of the name at a position. ``on_files``: files searched so far, and in all."""
    from kexpert.features.navigation.references import marked_references as find

    place = snapshot.locate(at)
    if place is not None:
        known = snapshot.resolved_uses
        yield from find(
            snapshot.view, *place, include_declaration, cancelled, known, on_files, with_access=with_access
        )


def writes(everywhere: Iterator[MarkedUses]) -> Iterator[MarkedUses]:
    """The uses that write, take the address, or may do so: without declarations and reads."""
    for marked in everywhere:
        keep = [access in (Access.WRITE, Access.ADDRESS) for access in marked.access]
        if any(keep):
            yield marked.selected(keep)
