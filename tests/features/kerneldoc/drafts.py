"""Drafts for small fixtures."""

from __future__ import annotations

from kexpert.core.symbols import Kind
from kexpert.core.text import encode
from kexpert.features.kerneldoc.draft import Draft, draft
from kexpert.features.kerneldoc.target import Target, target_at
from tests.support.memory_view import MemoryView, files_of


def target_of(fixture: str, name: str = "f") -> tuple[MemoryView, Target]:
    """The target at the definition of a name. Raises Undocumentable."""
    view = MemoryView(files_of(fixture))
    symbol = next(each for each in view.lookup(name) if each.kind is not Kind.PROTOTYPE)
    source = view.source(symbol.path)
    assert source is not None
    target = target_at(view, source, symbol.name_start)
    assert target is not None
    return view, target


def draft_of(fixture: str, name: str = "f") -> Draft:
    view, target = target_of(fixture, name)
    source = view.source(target.symbol.path)
    assert source is not None
    return draft(view, source, target)


def edited(made: Draft) -> str:
    """The file after the edits."""
    data = made.data
    for edit in reversed(made.edits()):
        data = data[: edit.start] + encode(edit.text) + data[edit.end :]
    return data.decode()


def names_of(fixture: str, name: str = "f") -> list[str]:
    """What the comment must describe."""
    return [each.name for each in target_of(fixture, name)[1].declaration.parameters]
