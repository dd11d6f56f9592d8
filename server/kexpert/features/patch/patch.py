"""A report on a patch: touched definitions with their callers and implementations, options, maintainers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from kexpert.core.kernel.maintainers import Maintainers, parse_maintainers
from kexpert.core.symbols import Kind
from kexpert.core.unified_diff import FilePatch, parse_unified_diff
from kexpert.features.callgraph.callers import callers
from kexpert.features.callgraph.definitions import FUNCTIONS
from kexpert.features.callgraph.edges import Edge, TableEntry
from kexpert.features.callgraph.kept_calls import KeptCalls
from kexpert.features.callgraph.operations import Operations
from kexpert.features.callgraph.pointers import PassedOn, passed_on
from kexpert.features.callgraph.undecided import without_configuration
from kexpert.features.patch.series import NamedPatch, PlacedPatch, placed
from kexpert.features.patch.states import FileStates, TreeState
from kexpert.features.patch.touched import Touched, in_tree, merged, named_in_headings, options_in, touched_in
from kexpert.view import View

_MAX_CALLERS = 8
#: Definitions whose callers are looked for.
_MAX_TRACED = 60
_MAX_TOUCHED = 2000
_MAX_PATH_CHARS = 1024
#: Kinds that have callers.
_CALLED = (*FUNCTIONS, Kind.MACRO)
#: Kinds that files mention.
_MENTIONED = (Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.TYPEDEF, Kind.CONFIG)


@dataclass(slots=True)
class FileChange:
    """A file of the patch. ``path`` is that after the patch, or before it if the file is deleted."""

    path: str
    old_path: str  # "" if it is the same
    status: str  # "changed" | "added" | "deleted" | "renamed" | "binary"
    state: TreeState
    added_lines: int
    removed_lines: int
    unplaced_hunks: int


@dataclass(slots=True)
class TouchedUse:
    """A touched definition and who depends on it."""

    touched: Touched
    is_exported: bool = False
    callers: tuple[Edge, ...] = ()
    more_callers: int = 0
    #: Ops tables that hold the function.
    entries: tuple[TableEntry, ...] = ()
    #: Where the function is passed on as a pointer.
    passed_on: tuple[PassedOn, ...] = ()
    #: Files that mention a type or option.
    mentioning_files: int = 0
    #: Functions in the tree assigned to each changed member of a struct, by the member's name.
    implementations: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Responsible:
    """A section of MAINTAINERS and the files of the patch that it covers."""

    title: str
    status: str
    maintainers: list[str]
    reviewers: list[str]
    lists: list[str]
    files: list[str]


@dataclass(slots=True)
class PatchReport:
    files: list[FileChange] = field(default_factory=list)
    touched: list[TouchedUse] = field(default_factory=list)
    #: CONFIG symbols that changed lines name, with the files.
    options: dict[str, list[str]] = field(default_factory=dict)
    responsible: list[Responsible] = field(default_factory=list)
    #: What was passed over, and why; a line each.
    notes: list[str] = field(default_factory=list)
    more_touched: int = 0
    is_complete: bool = True  # of the index


def patch_report(
    view: View,
    data: bytes,
    prefers_after: bool = False,
    cancelled: Callable[[], bool] = lambda: False,
    kept: KeptCalls | None = None,
) -> PatchReport:
    """What a unified diff touches in the tree. ``prefers_after``: the tree is known to have the patch. ``kept``: where
    earlier answers found calls."""
    diff = parse_unified_diff(data)
    report = PatchReport(notes=list(diff.notes), is_complete=view.complete)
    named: list[NamedPatch] = []
    for patch in diff.files:
        names = _tree_names(view, patch)
        if isinstance(names, str):
            report.notes.append(names)
        else:
            named.append(NamedPatch(patch, *names))
    found: list[Touched] = []
    for each in placed(view, named, prefers_after, cancelled):
        found += _of_file(view, each, report)
    if cancelled():
        report.notes.append("cancelled: not all files were looked at")
    found = merged(found)
    _mark_moved(found)
    report.more_touched = max(0, len(found) - _MAX_TOUCHED)
    _add_uses(view, found[:_MAX_TOUCHED], report, kept or KeptCalls(), cancelled)
    report.responsible = _responsible(view, report.files)
    return report


def _tree_names(view: View, patch: FilePatch) -> tuple[str, str] | str:
    """(path before, path after), "" for none; or why the file is passed over."""
    raw = [name for name in (patch.old_name, patch.new_name) if name is not None]
    if not raw:
        return "a file without a name is passed over"
    for name in raw:
        if "\0" in name or len(name) > _MAX_PATH_CHARS:
            return "a file with an impossible name is passed over"
        if name.startswith("/") or ".." in name.split("/"):
            return f"{_shown(name)}: outside the tree, passed over"
    strip = next((n for n in (0, 1, 2) if any(view.exists(_stripped(name, n)) for name in raw)), 0)
    old, new = (_stripped(name, strip) if name is not None else "" for name in (patch.old_name, patch.new_name))
    return (old, new) if old or new else f"{_shown(raw[0])}: no file of the tree, passed over"


def _stripped(name: str, parts: int) -> str:
    """A path without its first parts; "" if nothing is left. ``diff -ur linux.orig linux`` names the folders."""
    left = [part for part in name.split("/") if part not in ("", ".")][parts:]
    return "/".join(left)


def _shown(name: str) -> str:
    return name.encode("ascii", "backslashreplace").decode()[:120]


def _of_file(view: View, each: PlacedPatch, report: PatchReport) -> list[Touched]:
    """Add a file to the report; returns what the patch touches in it."""
    patch, old, new, states = each.named.patch, each.named.old, each.named.new, each.states
    path = new or old
    status = "binary" if patch.is_binary else "added" if not old else "deleted" if not new else "changed"
    if old and new and old != new:
        status = "renamed"
    lines = [tag for hunk in patch.hunks for tag, _ in hunk.lines]
    report.files.append(
        FileChange(path, old if old != path else "", status, states.state, lines.count("+"), lines.count("-"),
                   len(states.unplaced))
    )  # fmt: skip
    for option in options_in(path, states):
        report.options.setdefault(option, []).append(path)
    found = touched_in(each.path, states, view.source(each.path))
    if each.is_made:
        in_tree(found, view.symbols_in(each.path))
    return found + _by_heading(view, each.path, states, found)


def _by_heading(view: View, path: str, states: FileStates, known: list[Touched]) -> list[Touched]:
    names = {each.symbol.name for each in known}
    named = named_in_headings(states, view.symbols_in(path)) if states.unplaced else []
    return [each for each in named if each.symbol.name not in names]


def _mark_moved(found: list[Touched]) -> None:
    """What one file loses and another gains has moved."""
    gone = {(each.symbol.kind, each.symbol.name) for each in found if each.status == "removed"}
    came = {(each.symbol.kind, each.symbol.name) for each in found if each.status == "added"}
    for each in found:
        if (each.symbol.kind, each.symbol.name) in gone & came:
            each.status = "moved"


def _add_uses(
    view: View, found: list[Touched], report: PatchReport, kept: KeptCalls, cancelled: Callable[[], bool]
) -> None:
    exported = view.exported(list({each.symbol.name for each in found if each.symbol.kind in _CALLED}))
    view = without_configuration(view)
    operations = Operations(view, kept)
    traced = 0
    for each in found:
        use = TouchedUse(each, each.symbol.name in exported and each.symbol.kind in _CALLED)
        report.touched.append(use)
        if traced >= _MAX_TRACED or cancelled() or each.only_comments:
            continue
        traced += 1
        if each.symbol.kind in _CALLED:
            edges = callers(view, each.symbol, operations, _MAX_CALLERS, cancelled)
            use.callers, use.more_callers, use.entries = edges.edges, edges.more, edges.entries
            if each.is_in_tree:
                use.passed_on = passed_on(view, each.symbol, cancelled).places
        if each.symbol.kind in _MENTIONED or (each.symbol.kind is Kind.MACRO and not use.callers):
            use.mentioning_files = len(view.files_mentioning(each.symbol.name))
        for member in each.members:
            if each.symbol.kind is Kind.STRUCT and member.name not in use.implementations:
                count = len(view.implementations(each.symbol.name, member.name))
                if count:
                    use.implementations[member.name] = count
    in_code = sum(not each.only_comments for each in found)
    if in_code > _MAX_TRACED:
        report.notes.append(f"callers are given for the first {_MAX_TRACED} of {in_code} touched definitions")


_parsed: Callable[[bytes], Maintainers] = lru_cache(maxsize=2)(parse_maintainers)


def _responsible(view: View, files: list[FileChange]) -> list[Responsible]:
    """The sections of MAINTAINERS for the files, those that cover most files first."""
    sections = _parsed(view.data("MAINTAINERS") or b"")
    by_title: dict[str, Responsible] = {}
    for file in files:
        for path in filter(None, (file.path, file.old_path)):
            for entry in sections.match(path):
                each = by_title.setdefault(
                    entry.title,
                    Responsible(entry.title, entry.status, entry.maintainers, entry.reviewers, entry.lists, []),
                )
                if path not in each.files:
                    each.files.append(path)
    return sorted(by_title.values(), key=lambda each: -len(each.files))
