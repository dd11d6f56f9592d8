"""What a patch touches, as lines for a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from kexpert.core.symbols import Kind
from kexpert.features.callgraph.edges import Edge
from kexpert.features.patch.patch import FileChange, PatchReport, TouchedUse
from kexpert.features.patch.states import TreeState

Json: TypeAlias = dict[str, Any]
PlaceOf: TypeAlias = Callable[[str], str]

_MAX_PASSED_ON = 3
_GROWING = "the index is still growing: callers may be missing"


def kind_name(use: TouchedUse) -> str:
    """``ops table`` for a variable that holds functions, ``export`` for an EXPORT_SYMBOL, else the kind."""
    return "ops table" if use.touched.table else use.touched.symbol.kind.name.lower()


def to_json(found: PatchReport) -> Json:
    """Lines count from 1. ``inTree``: path and line are those of the tree, else those of the text in the patch."""
    return {
        "files": [_file(file) for file in found.files],
        "touched": [_touched(use) for use in found.touched],
        "moreTouched": found.more_touched,
        "options": [{"name": name, "files": files} for name, files in found.options.items()],
        "maintainers": [
            {"section": each.title, "status": each.status, "maintainers": each.maintainers,
             "reviewers": each.reviewers, "lists": each.lists, "files": each.files}
            for each in found.responsible
        ],
        "notes": found.notes,
        "indexComplete": found.is_complete,
    }  # fmt: skip


def _file(file: FileChange) -> Json:
    return {
        "path": file.path,
        "oldPath": file.old_path or None,
        "status": file.status,
        "tree": file.state.value,
        "added": file.added_lines,
        "removed": file.removed_lines,
        "unplacedHunks": file.unplaced_hunks,
    }


def _touched(use: TouchedUse) -> Json:
    each = use.touched
    answer: Json = {
        "name": each.symbol.name,
        "kind": kind_name(use),
        "status": each.status,
        "path": each.symbol.path,
        "line": each.symbol.line + 1,
        "inTree": each.is_in_tree,
        "certainty": each.certainty,
        "exported": use.is_exported,
        "callers": [_caller(edge) for edge in use.callers],
        "moreCallers": use.more_callers,
    }
    if each.only_comments:
        answer["onlyComments"] = True
    if each.declarations:
        answer["before"], answer["after"] = each.declarations
    if use.passed_on:
        answer["passedOn"] = [
            {"path": place.path, "line": place.line + 1, "in": place.around, "text": place.text}
            for place in use.passed_on
        ]
    if each.table:
        answer["struct"] = each.table
    if each.members:
        answer["members"] = [
            {"name": member.name, "status": member.status}
            | ({"function": member.function} if member.function else {})
            | ({"implementations": use.implementations[member.name]} if member.name in use.implementations else {})
            for member in each.members
        ]
    if use.entries:
        answer["tables"] = [
            {"operation": entry.operation, "table": entry.table, "path": entry.path, "line": entry.line + 1}
            for entry in use.entries
        ]
    if use.mentioning_files:
        answer["mentioningFiles"] = use.mentioning_files
    return answer


def _caller(edge: Edge) -> Json:
    return {
        "name": edge.caller.name,
        "path": edge.path,
        "line": edge.line + 1,
        "through": edge.operation or "direct call",
        "certainty": edge.certainty.value,
    }


def to_lines(found: PatchReport, place_of: PlaceOf = str) -> Iterator[str]:
    """Files, touched definitions with their callers, options, maintainers, notes."""
    for number, (_, lines) in enumerate(to_sections(found, place_of)):
        if number:
            yield ""
        yield from lines
    yield from (f"note: {note}" for note in notes(found))


def notes(found: PatchReport) -> list[str]:
    return [*found.notes, *([] if found.is_complete else [_GROWING])]


def to_sections(found: PatchReport, place_of: PlaceOf = str) -> Iterator[tuple[str, list[str]]]:
    """The same by what it is about, with a heading; what is empty is left out."""
    sections = {
        "Files": _files(found, place_of),
        "What they touch": _definitions(found, place_of),
        "Options": [f"options: {', '.join(found.options)}"] if found.options else [],
        "Maintainers": _responsible(found),
    }
    yield from ((heading, lines) for heading, each in sections.items() if (lines := list(each)))


def _files(found: PatchReport, place_of: PlaceOf) -> Iterator[str]:
    for file in found.files:
        old = f" (was {place_of(file.old_path)})" if file.old_path else ""
        yield f"{place_of(file.path)}{old}: {file.status}, +{file.added_lines} -{file.removed_lines}{_state(file)}"


def _definitions(found: PatchReport, place_of: PlaceOf) -> Iterator[str]:
    for use in found.touched:
        yield from _of(use, place_of)
    if found.more_touched:
        yield f"... {found.more_touched} more"


def _responsible(found: PatchReport) -> Iterator[str]:
    for each in found.responsible:
        yield f"{each.title} ({each.status or 'no status'}; {len(each.files)} of the files)"
        yield from (f"    {person}" for person in each.maintainers)
        yield from (f"    {person} (reviewer)" for person in each.reviewers)
        yield from (f"    {address}" for address in each.lists)


def _state(file: FileChange) -> str:
    if file.state in (TreeState.BEFORE, TreeState.AFTER):
        return f"; the tree has it {file.state.value}"
    count = f": {file.unplaced_hunks} hunks" if file.unplaced_hunks else ""
    return f"; {file.state.value}{count}"


def _of(use: TouchedUse, place_of: PlaceOf) -> Iterator[str]:
    each = use.touched
    where = f"{place_of(each.symbol.path)}:{each.symbol.line + 1}"
    extra = [each.status + " (only comments)" if each.only_comments else each.status]
    if not each.is_in_tree:
        extra.append("line of the patch's text")
    if each.certainty != "by syntax":
        extra.append(each.certainty)
    if use.is_exported and each.symbol.kind is not Kind.EXPORT:
        extra.append("exported")
    table = f" (struct {each.table})" if each.table else ""
    yield f"{where}: {kind_name(use)} {each.symbol.name}{table}: {', '.join(extra)}"
    if each.declarations:
        yield f"    was: {each.declarations[0]}"
        yield f"    now: {each.declarations[1]}"
    for member in each.members:
        function = f" = {member.function}" if member.function else ""
        count = use.implementations.get(member.name)
        implemented = f", {count} functions in the tree implement it" if count else ""
        yield f"    .{member.name}{function}: {member.status}{implemented}"
    for entry in use.entries[:3]:
        table = entry.table or "an unnamed table"
        yield f"    held as {entry.operation} by {table} {place_of(entry.path)}:{entry.line + 1}"
    for place in use.passed_on[:_MAX_PASSED_ON]:
        around = f" in {place.around}" if place.around else ""
        yield f"    passed on as a pointer{around} {place_of(place.path)}:{place.line + 1}"
    if len(use.passed_on) > _MAX_PASSED_ON:
        yield f"    ... passed on at {len(use.passed_on) - _MAX_PASSED_ON} more places"
    for edge in use.callers:
        through = f" through {edge.operation}" if edge.operation else ""
        certainty = f" ({edge.certainty.value})" if edge.certainty.value != "exact" else ""
        yield f"    called by {edge.caller.name}{through} {place_of(edge.path)}:{edge.line + 1}{certainty}"
    if use.more_callers:
        yield f"    ... {use.more_callers} more callers"
    if use.mentioning_files:
        one = use.mentioning_files == 1
        yield f"    {use.mentioning_files} file{'' if one else 's'} mention{'s' if one else ''} it"
