"""References in the tree, highlights in a file.

Precision: locals and labels are bound by scope. Names private to a ``.c`` file are looked for in that file, without
members and locals of the same name. Global names are matched by name, except in files with a static of that name.
Members are told apart by the struct that they belong to, see ``member_references``; if the struct is not known, they
are matched by name in the files of this folder.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from kexpert.core.c.access import Access
from kexpert.core.c.scope import occurrences
from kexpert.core.c.source import Source
from kexpert.core.kernel.kconfig_facts import names_option
from kexpert.core.paths import is_kconfig
from kexpert.core.symbols import FileUses, Kind, Span, Symbol, Use
from kexpert.core.text import decode, identifier_at
from kexpert.features.navigation.definition import name_span
from kexpert.features.navigation.member_files import Cancelled
from kexpert.features.navigation.member_references import MarkedUses, OnFiles, member_uses
from kexpert.features.navigation.member_target import MemberTarget, is_member_name, target_of
from kexpert.features.navigation.occurrences import in_file
from kexpert.features.navigation.resolved_uses import ResolvedUses
from kexpert.features.semantics.definition_ranking import is_private
from kexpert.features.semantics.member_meaning import MemberMeanings
from kexpert.features.semantics.resolve import Resolved, resolve
from kexpert.features.semantics.variant_states import excluded_files
from kexpert.view import View

TAG_KINDS = frozenset({Kind.STRUCT, Kind.UNION, Kind.ENUM})
_TAG_BEFORE = re.compile(rb"\b(?:struct|union|enum)\s+(?:__\w+(?:\([^()]*\))?\s+)*\Z")
_MAX_KEYWORD_BYTES = 100
#: Kinds that are read and written.
_VARIABLES = (Kind.VARIABLE, Kind.DECLARATION)


@dataclass(frozen=True, slots=True)
class Highlight:
    """One occurrence in the open file. A declaration of what can be written counts as a write."""

    start: int
    end: int
    access: Access

    @property
    def write(self) -> bool:
        return self.access in (Access.WRITE, Access.DECLARATION)


def references(
    view: View,
    source: Source,
    offset: int,
    include_declaration: bool,
    cancelled: Cancelled,
    known: ResolvedUses | None = None,
    within: Collection[str] | None = None,
) -> list[FileUses]:
    """Every use of the thing at ``offset``; with its definitions and declarations if asked. Its own file's first; the
    possible uses of a member after the certain ones.

    ``known``: what earlier answers resolved. ``within``: look for a name that other files know in these files alone.
    """
    found = list(marked_references(view, source, offset, include_declaration, cancelled, known, within=within))
    certain = [marked.selected(marked.certain).file for marked in found]
    possible = [marked.selected([not sure for sure in marked.certain]).file for marked in found]
    return list(filter(len, certain + possible))


def marked_references(
    view: View,
    source: Source,
    offset: int,
    include_declaration: bool,
    cancelled: Cancelled,
    known: ResolvedUses | None = None,
    on_files: OnFiles = lambda done, total: None,
    *,
    within: Collection[str] | None = None,
    with_access: bool = False,
) -> Iterator[MarkedUses]:
    """``references`` a file at a time, as they are found. ``with_access``: each with what is done there."""
    found = resolve(view, source, offset)
    if found is None:
        return
    known = known or ResolvedUses()
    if is_member_name(found):
        target = target_of(view, found, source.path)
        uses = member_uses(view, target, known, cancelled, on_files, within)
        yield from uses if include_declaration else _without(uses, target)
        return
    meanings = MemberMeanings(view)
    is_variable = found.local is not None or (bool(found.symbols) and found.symbols[0].kind in _VARIABLES)
    for file in _of_name(view, source, found, include_declaration, cancelled, within):
        text = view.source(file.path) if with_access and is_variable else None
        yield MarkedUses(file, [True] * len(file), meanings.accesses(text, file.starts) if text else [])


def _without(everywhere: Iterable[MarkedUses], target: MemberTarget) -> Iterator[MarkedUses]:
    """The uses without the declarations of the member."""
    for marked in everywhere:
        path = marked.file.path
        keep = [(path, start) not in target.places for start in marked.file.starts]
        if any(keep):
            yield marked if all(keep) else marked.selected(keep)


def _of_name(
    view: View,
    source: Source,
    found: Resolved,
    include_declaration: bool,
    cancelled: Cancelled,
    within: Collection[str] | None,
) -> list[FileUses]:
    if found.local is not None:
        spans = [
            span
            for span in occurrences(source, found.local)
            if include_declaration or span[0] != found.local.name_start
        ]
        return _each(Span(source.path, *span) for span in spans)
    if found.kind in ("symbol", "config") and found.symbols:
        return _of_symbols(view, found, include_declaration, cancelled, within)
    return []


def _each(spans: Iterable[Span]) -> list[FileUses]:
    return [FileUses.of(Use(*span, False, None)) for span in spans]


def highlights(
    view: View, source: Source, offset: int, known: ResolvedUses | None = None
) -> list[Highlight]:
    """The occurrences in this file of the name at ``offset``, also of a name without a definition."""
    found = resolve(view, source, offset)
    if found is not None and found.local is not None:
        return _marked(view, source, occurrences(source, found.local), {found.local.name_start})
    span = identifier_at(source.data, offset)
    if span is None or (found is not None and found.kind in ("include", "document")):
        return []
    name = decode(source.data[span[0] : span[1]])
    if found is not None and is_member_name(found):
        return _of_member(view, source, found, known or ResolvedUses())
    symbols = found.symbols if found is not None else []
    defined = {
        symbol.name_start for symbol in symbols if symbol.path == source.path and symbol.kind != Kind.PROTOTYPE
    }
    return _marked(view, source, in_file(source, name), defined)


def _of_member(view: View, source: Source, found: Resolved, known: ResolvedUses) -> list[Highlight]:
    target = target_of(view, found, source.path)
    return [
        Highlight(start, start + marked.file.size, access)
        for marked in member_uses(view, target, known, _never, within=[source.path])
        for start, access in zip(marked.file.starts, marked.access, strict=True)
    ]


def _marked(
    view: View, source: Source, spans: list[tuple[int, int]], defined: set[int]
) -> list[Highlight]:
    accesses = MemberMeanings(view).accesses(source, [start for start, _ in spans])
    return [
        Highlight(start, end, Access.DECLARATION if start in defined else access)
        for (start, end), access in zip(spans, accesses, strict=True)
    ]


def _never() -> bool:
    return False


def _of_symbols(
    view: View,
    found: Resolved,
    include_declaration: bool,
    cancelled: Cancelled,
    within: Collection[str] | None,
) -> list[FileUses]:
    primary = found.symbols[0]
    rows = view.lookup(primary.name) or found.symbols
    own = {name_span(view, row) for row in rows if _same_thing(primary, row)}
    if is_private(primary):
        home = view.source(primary.path)
        files = _each(Span(primary.path, *span) for span in in_file(home, primary.name)) if home else []
    else:
        elsewhere = {row.path for row in rows if _hides(row) and row.path != primary.path}
        uses = view.references(primary.name, cancelled, within)
        files = [file for file in uses if file.path not in elsewhere]
        if any(row.kind == Kind.MEMBER for row in rows):
            files = [
                file.selected([not member for member in file.members]) if any(file.members) else file for file in files
            ]
    if primary.kind is Kind.CONFIG:
        files += _in_kconfig_files(view, primary.name.removeprefix("CONFIG_"), cancelled, within)
    files = _of_namespace(view, primary, rows, files)
    files = _with_pasted(view, primary, files)
    defined = {span.path for span in own}
    apart = [use for file in files if file.path in defined for use in file]
    used = {Span(*use[:3]) for use in apart}
    if include_declaration:
        apart += [Use(*span, False, None) for span in own - used]
    else:
        apart = [use for use in apart if Span(*use[:3]) not in own]
    files = [file for file in files if file.path not in defined] + [FileUses.of(use) for use in sorted(apart)]
    out = excluded_files(view, [file.path for file in files])
    return sorted(filter(len, files), key=lambda file: (file.path != primary.path, file.path in out, file.path))


def _in_kconfig_files(
    view: View, option: str, cancelled: Cancelled, within: Collection[str] | None
) -> list[FileUses]:
    """The places where Kconfig files name an option: select, depends on, default."""
    paths = [path for path in view.files_mentioning(option) if is_kconfig(path) and (within is None or path in within)]
    found = []
    for file in view.references(option, cancelled, paths):
        data = view.data(file.path) or b""
        keep = [names_option(data, start) for start in file.starts]
        if any(keep):
            found.append(file.selected(keep))
    return found


def _of_namespace(view: View, primary: Symbol, rows: list[Symbol], files: list[FileUses]) -> list[FileUses]:
    """Only the uses after ``struct``, ``union`` or ``enum`` for a tag; only the others for a namesake of a tag.

    Declarations of members of the same name are left out.
    """
    is_tag = primary.kind in TAG_KINDS
    members = {(row.path, row.name_start) for row in rows if row.kind is Kind.MEMBER}
    if not is_tag and not members and not any(row.kind in TAG_KINDS for row in rows):
        return files
    found = []
    for file in files:
        data = view.data(file.path) or b""
        keep = [
            _after_keyword(data, start) == is_tag and (file.path, start) not in members for start in file.starts
        ]
        if any(keep):
            found.append(file if all(keep) else file.selected(keep))
    return found


def _after_keyword(data: bytes, start: int) -> bool:
    """True if the word before ``start`` is struct, union or enum, annotations between them left out."""
    return _TAG_BEFORE.search(data, max(start - _MAX_KEYWORD_BYTES, 0), start) is not None


def _with_pasted(view: View, primary: Symbol, files: list[FileUses]) -> list[FileUses]:
    """Add the places where a macro takes a function or a table by a part of its name: DEVICE_ATTR_RO(gain) takes
    gain_show."""
    if primary.kind not in (Kind.FUNCTION, Kind.VARIABLE):
        return files
    known = {(file.path, start) for file in files for start in file.starts}
    spans = []
    for each in view.assignments_of(primary.name):
        if (each.path, each.start) in known or (is_private(primary) and each.path != primary.path):
            continue
        source = view.source(each.path)
        word = identifier_at(source.data, each.start) if source else None
        if word and word[0] == each.start:
            spans.append(Span(each.path, *word))
    return files + _each(spans)


def _hides(row: Symbol) -> bool:
    """True if in its file the name means this symbol. An EXPORT_SYMBOL only mentions it."""
    return is_private(row) and row.kind is not Kind.EXPORT


def _same_thing(primary: Symbol, row: Symbol) -> bool:
    """True if a symbol of the same name defines or declares what ``primary`` is."""
    if row.kind in (Kind.MEMBER, Kind.EXPORT, Kind.INITCALL, Kind.MODULE_PARAM):
        return False
    if (row.kind in TAG_KINDS) != (primary.kind in TAG_KINDS):
        return False  # a tag has a namespace of its own
    return row.path == primary.path or not (is_private(row) or is_private(primary))
