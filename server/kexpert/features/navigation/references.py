"""References in the tree, highlights in a file.

Precision: locals and labels are bound by scope. Names private to a ``.c`` file are looked for in that file, without
members and locals of the same name. Global names are matched by name, except in files with a static of that name.
Members are matched by name after ``.`` and ``->`` in files that name the struct, a typedef of it, or, unless it is
widely known, a struct that holds it; if the struct is not known, in the files of this folder.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from kexpert.core.c.scope import occurrences
from kexpert.core.c.source import Source
from kexpert.core.kernel.kconfig_facts import names_option
from kexpert.core.paths import is_kconfig
from kexpert.core.symbols import FileUses, Kind, Span, Symbol, Use
from kexpert.core.text import decode, identifier_at
from kexpert.features.navigation.definition import name_span
from kexpert.features.navigation.occurrences import in_file, is_write, member_in_file
from kexpert.features.semantics.definition_ranking import is_private
from kexpert.features.semantics.resolve import Resolved, resolve
from kexpert.view import View

#: A struct that more files name is widely known: structs that hold it would lead to the whole tree.
_WIDELY_KNOWN_FILES = 400
_MAX_HEADERS, _MAX_HOLDERS = 40, 30
TAG_KINDS = frozenset({Kind.STRUCT, Kind.UNION, Kind.ENUM})
_TAG_BEFORE = re.compile(rb"\b(?:struct|union|enum)\s+(?:__\w+(?:\([^()]*\))?\s+)*\Z")
_MAX_KEYWORD_BYTES = 100
#: Maximum number of uses of a member that are resolved one by one.
_MAX_RESOLVED_USES = 300


@dataclass(frozen=True, slots=True)
class Highlight:
    """One occurrence in the open file; ``write`` when it is assigned to, or defined."""

    start: int
    end: int
    write: bool


def references(
    view: View,
    source: Source,
    offset: int,
    include_declaration: bool,
    cancelled: Callable[[], bool],
    within: Collection[str] | None = None,
) -> list[FileUses]:
    """Every use of the thing at ``offset``; with its definitions and declarations if asked. Its own file's first.

    ``within``: look for a name that other files know in these files alone.
    """
    found = resolve(view, source, offset)
    if found is None:
        return []
    if found.local is not None:
        spans = [
            span
            for span in occurrences(source, found.local)
            if include_declaration or span[0] != found.local.name_start
        ]
        return _each(Span(source.path, *span) for span in spans)
    if _is_member_name(found):
        return _of_member(view, found, source, include_declaration, cancelled, within)
    if found.kind in ("symbol", "config") and found.symbols:
        return _of_symbols(view, found, include_declaration, cancelled, within)
    return []


def _each(spans: Iterable[Span]) -> list[FileUses]:
    return [FileUses.of(Use(*span, False, None)) for span in spans]


def highlights(view: View, source: Source, offset: int) -> list[Highlight]:
    """The occurrences in this file of the name at ``offset``, also of a name without a definition."""
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
    defined = {
        symbol.name_start for symbol in symbols if symbol.path == source.path and symbol.kind != Kind.PROTOTYPE
    }
    return _marked(source, in_file(source, name), defined)


def _is_member_name(found: Resolved) -> bool:
    """A member, its struct known or not."""
    return found.kind == "member" or (bool(found.symbols) and found.symbols[0].kind == Kind.MEMBER)


def _marked(source: Source, spans: list[tuple[int, int]], defined: set[int]) -> list[Highlight]:
    return [
        Highlight(start, end, start in defined or is_write(source.data, start, end)) for start, end in spans
    ]


def _of_symbols(
    view: View,
    found: Resolved,
    include_declaration: bool,
    cancelled: Callable[[], bool],
    within: Collection[str] | None,
) -> list[FileUses]:
    primary = found.symbols[0]
    rows = view.lookup(primary.name)
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
    return sorted(filter(len, files), key=lambda file: (file.path != primary.path, file.path))


def _in_kconfig_files(
    view: View, option: str, cancelled: Callable[[], bool], within: Collection[str] | None
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
    """Add the places where a macro takes a function by a part of its name: DEVICE_ATTR_RO(gain) takes gain_show."""
    if primary.kind is not Kind.FUNCTION:
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
    return row.path == primary.path or not (is_private(row) or is_private(primary))


def _of_member(
    view: View,
    found: Resolved,
    source: Source,
    include_declaration: bool,
    cancelled: Callable[[], bool],
    within: Collection[str] | None,
) -> list[FileUses]:
    files = []
    declared = Span("", -1, -1)
    if found.member is not None:
        declared = Span(found.member.path, found.member.name_start, found.member.name_start + len(found.name))
        files = _each([declared]) if include_declaration else []
    files_to_read = _files_that_know(view, found, source)
    if within is not None:
        files_to_read &= set(within)
    for file in view.references(found.name, cancelled, files_to_read):
        keep = file.members
        if file.path == declared.path:
            keep = [member and start != declared.start for start, member in zip(file.starts, keep, strict=True)]
        if any(keep):
            files.append(file if all(keep) else file.selected(keep))
    return _of_struct(view, found, files, declared, cancelled)


def _of_struct(
    view: View, found: Resolved, files: list[FileUses], declared: Span, cancelled: Callable[[], bool]
) -> list[FileUses]:
    """Without the uses that are of another struct's member of the same name, unless they are very many."""
    if found.member is None or sum(map(len, files)) > _MAX_RESOLVED_USES:
        return files
    kept = []
    for file in files:
        source = view.source(file.path)
        if source is None or cancelled():
            continue
        keep = []
        for start in file.starts:
            meant = resolve(view, source, start) if (file.path, start) != declared[:2] else None
            member = meant.member if meant else None
            keep.append(member is None or (member.path, member.name_start) == declared[:2])
        if any(keep):
            kept.append(file if all(keep) else file.selected(keep))
    return kept


def _files_that_know(view: View, found: Resolved, source: Source) -> set[str]:
    """Files in which an expression can have the type that the member belongs to."""
    tag = found.member.struct.rpartition(" ")[2].partition(".")[0] if found.member else ""
    if not tag or tag in ("struct", "union"):
        folder = source.path.rpartition("/")[0] + "/"
        return {path for path in view.files_mentioning(found.name) if path.startswith(folder)}
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
