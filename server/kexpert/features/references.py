"""References over the tree, highlights in a file; renaming is in ``rename`` and offered here too.

How exact: locals and labels are bound by scope. Names private to a ``.c`` file are looked for in
that file, with members and locals of the same name left out. Global names are matched by name;
files with a static of their own of that name are left out. Members are matched by name behind
``.`` and ``->``: two structs with a member of one name are not told apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

from kexpert.core.scope import occurrences
from kexpert.core.source import Source
from kexpert.core.symbols import Kind, Span, Symbol
from kexpert.core.text import decode, identifier_at
from kexpert.features.definition import name_span
from kexpert.features.occurrences import in_file, is_member_use, is_write, member_in_file
from kexpert.features.rename import RenameError, prepare_rename, rename
from kexpert.features.resolve import Resolved, resolve
from kexpert.features.visibility import is_private
from kexpert.index.query import View

__all__ = ["Highlight", "RenameError", "highlights", "prepare_rename", "references", "rename"]


@dataclass(frozen=True, slots=True)
class Highlight:
    """One occurrence in the open file; ``write`` when it is assigned to, or defined."""

    start: int
    end: int
    write: bool


def references(
    view: View, source: Source, offset: int, include_declaration: bool, cancelled: Callable[[], bool]
) -> list[Span]:
    """Every use of the thing at ``offset``; with its definitions and declarations if asked."""
    found = resolve(view, source, offset)
    if found is None:
        return []
    if found.local is not None:
        return [
            Span(source.path, start, end)
            for start, end in occurrences(source, found.local)
            if include_declaration or start != found.local.name_start
        ]
    if _is_member_name(found):
        return list(_of_member(view, found, include_declaration, cancelled))
    if found.kind in ("symbol", "config") and found.symbols:
        return _of_symbols(view, found, include_declaration, cancelled)
    return []


def highlights(view: View, source: Source, offset: int) -> list[Highlight]:
    """The occurrences in this file of what stands at ``offset``, a name that nobody defines included."""
    found = resolve(view, source, offset)
    if found is not None and found.local is not None:
        return _marked(source, occurrences(source, found.local), {found.local.name_start})
    span = identifier_at(source.data, offset)
    if span is None or (found is not None and found.kind in ("include", "document")):
        return []
    name = decode(source.data[span[0] : span[1]])
    if found is not None and _is_member_name(found):
        declared = found.member.name_start if found.member and found.member.path == source.path else None
        spans = member_in_file(source.data, name)
        if declared is not None:
            spans = sorted({*spans, (declared, declared + len(name.encode("utf-8", "surrogateescape")))})
        return _marked(source, spans, set())
    symbols = found.symbols if found is not None else []
    defined = {one.name_start for one in symbols if one.path == source.path and one.kind != Kind.PROTOTYPE}
    return _marked(source, in_file(source, name), defined)


def _is_member_name(found: Resolved) -> bool:
    """A member, its struct known or not."""
    return found.kind == "member" or (bool(found.symbols) and found.symbols[0].kind == Kind.MEMBER)


def _marked(source: Source, spans: list[tuple[int, int]], defined: set[int]) -> list[Highlight]:
    return [
        Highlight(start, end, start in defined or is_write(source.data, start, end)) for start, end in spans
    ]


def _of_symbols(
    view: View, found: Resolved, include_declaration: bool, cancelled: Callable[[], bool]
) -> list[Span]:
    primary = found.symbols[0]
    rows = view.lookup(primary.name)
    own = {name_span(view, row) for row in rows if _same_thing(primary, row)}
    if is_private(primary):
        home = view.source(primary.path)
        spans = {Span(primary.path, *span) for span in in_file(home, primary.name)} if home else set()
    else:
        elsewhere = {row.path for row in rows if is_private(row) and row.path != primary.path}
        uses: Iterator[Span] = (one for one in view.references(primary.name, cancelled) if one.path not in elsewhere)
        if any(row.kind == Kind.MEMBER for row in rows):
            uses = _by_role(view, uses, member=False)
        spans = set(uses)
    spans = spans | own if include_declaration else spans - own
    return sorted(spans, key=lambda span: (span.path != primary.path, span.path, span.start))


def _same_thing(primary: Symbol, row: Symbol) -> bool:
    """Whether a row of the same name defines or declares what ``primary`` is."""
    if row.kind in (Kind.MEMBER, Kind.EXPORT, Kind.INITCALL, Kind.MODULE_PARAM):
        return False
    return row.path == primary.path or not (is_private(row) or is_private(primary))


def _of_member(
    view: View, found: Resolved, include_declaration: bool, cancelled: Callable[[], bool]
) -> Iterator[Span]:
    if include_declaration and found.member is not None:
        start = found.member.name_start
        yield Span(found.member.path, start, start + len(found.name))
    yield from _by_role(view, view.references(found.name, cancelled), member=True)


def _by_role(view: View, spans: Iterator[Span], member: bool) -> Iterator[Span]:
    """Those of the spans (file by file) that stand behind ``.`` or ``->``, or those that do not."""
    for path, in_one_file in groupby(spans, key=lambda span: span.path):
        source = view.source(path)
        if source is not None:
            yield from (span for span in in_one_file if is_member_use(source.data, span.start) == member)


