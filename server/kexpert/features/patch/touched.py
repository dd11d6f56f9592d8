"""The definitions that changed lines belong to, in a file before and after a patch."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from kexpert.core.c.lex import blank_comments
from kexpert.core.c.source import Source
from kexpert.core.paths import is_kconfig
from kexpert.core.symbols import FileFacts, Kind, Symbol
from kexpert.core.text import decode
from kexpert.features.patch.states import FileStates

#: Kinds that are named as touched; a changed member or enumerator touches its type.
_TOUCHED = frozenset(
    {Kind.FUNCTION, Kind.SYSCALL, Kind.PROTOTYPE, Kind.MACRO, Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.TYPEDEF,
     Kind.VARIABLE, Kind.DECLARATION, Kind.TRACEPOINT, Kind.MODULE_PARAM, Kind.INITCALL, Kind.EXPORT, Kind.CONFIG,
     Kind.ASM_LABEL}
)  # fmt: skip
_C_SUFFIXES = (".c", ".h", ".S")
_OPTION = re.compile(rb"\bCONFIG_([A-Z0-9_a-z]+)")
_KCONFIG_WORDS = re.compile(rb"\s*(?:select|imply|depends on|default|visible if|if|def_bool|def_tristate)\b(.*)")
_KCONFIG_NAME = re.compile(rb"\b[A-Z][A-Z0-9_]+\b")
#: Larger files are not parsed for one patch.
_MAX_PARSED_BYTES = 4 << 20
_MAX_OPTIONS = 200
#: Kinds of which the text before the body is compared, and those of which the whole text is.
_DECLARED = frozenset({Kind.FUNCTION, Kind.SYSCALL})
_SHORT = frozenset({Kind.PROTOTYPE, Kind.MACRO, Kind.TYPEDEF, Kind.DECLARATION})
_MAX_DECLARATION_BYTES = 300

_Key = tuple[Kind, str]


@dataclass(slots=True)
class TouchedMember:
    """A member of a struct whose declaration changed, or a function in an ops table."""

    name: str
    status: str  # "added" | "removed" | "changed"
    function: str = ""  # of an ops table


@dataclass(slots=True)
class Touched:
    """A definition that a patch touches. ``symbol`` is in the tree's text if ``is_in_tree``, else in the patch's."""

    symbol: Symbol
    status: str  # "added" | "removed" | "changed" | "moved"
    is_in_tree: bool
    #: "by syntax": changed lines lie in its extent; "by name": git's heading names it, its hunk fits nowhere.
    certainty: str = "by syntax"
    table: str = ""  # the struct of an ops table
    only_comments: bool = False  # and blanks
    #: The declaration of a function, or a short macro, before and after, if it changed.
    declarations: tuple[str, str] | None = None
    members: list[TouchedMember] = field(default_factory=list)


def touched_in(path: str, states: FileStates, known: Source | None = None) -> list[Touched]:
    """The definitions of one file that changed lines belong to, by position. ``known``: the file in the tree."""
    if not path.endswith(_C_SUFFIXES) and not is_kconfig(path):
        return []
    old, new = _facts(path, states, known)
    in_old = _around(old, states.old, states.removed)
    in_new = _around(new, states.new, states.added)
    every_old, every_new = _by_key(old.symbols), _by_key(new.symbols)
    found = []
    for key in {**in_old, **in_new}:
        olds, news = every_old.get(key, []), every_new.get(key, [])
        before = in_old.get(key) or _counterpart(in_new[key], news, olds)
        after = in_new.get(key) or _counterpart(in_old[key], olds, news)
        status = "changed" if before and after else "added" if after else "removed"
        mine, other = (before, after) if states.is_old_in_tree else (after, before)
        symbol = mine or other
        if symbol is None:
            continue
        each = Touched(symbol, status, mine is not None)
        if before and after:
            _compare(each, states.old[before.start : before.end], states.new[after.start : after.end])
        _add_members(each, key, (old, states.old, states.removed), (new, states.new, states.added))
        found.append(each)
    return sorted(found, key=lambda each: (each.symbol.line, each.symbol.name))


def _compare(each: Touched, before: bytes, after: bytes) -> None:
    """Say what of a definition changed: its declaration, or only comments."""
    old, new = (b" ".join(_code(text).split()) for text in (before, after))
    each.only_comments = old == new
    if each.symbol.kind in _DECLARED:
        old, new = (text.partition(b"{")[0].rstrip() for text in (old, new))
    elif each.symbol.kind not in _SHORT:
        return
    if old != new and max(len(old), len(new)) <= _MAX_DECLARATION_BYTES:
        each.declarations = decode(old), decode(new)


def _code(text: bytes) -> bytes:
    return blank_comments(text, strings=False).replace(b"\\\n", b" ")


def named_in_headings(states: FileStates, symbols: Iterable[Symbol]) -> list[Touched]:
    """The definitions that the headings of hunks without a place name."""
    words = {word for hunk in states.unplaced for word in re.findall(r"[A-Za-z_]\w*", hunk.heading[:300])}
    kinds = (Kind.FUNCTION, Kind.SYSCALL, Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.VARIABLE)
    return [Touched(symbol, "changed", True, "by name") for symbol in symbols
            if symbol.name in words and symbol.kind in kinds]  # fmt: skip


def in_tree(found: Iterable[Touched], symbols: Iterable[Symbol]) -> None:
    """Put definitions of a text that is not the tree's where the tree has them, of the ``symbols`` of its file."""
    known = _by_key(symbols)
    for each in found:
        rows = known.get((each.symbol.kind, each.symbol.name), [])
        symbol = max(rows, key=lambda row: row.end - row.start, default=None)
        each.is_in_tree = symbol is not None
        each.symbol = symbol or each.symbol


def merged(found: Iterable[Touched]) -> list[Touched]:
    """The same definitions, each once: what several patches of a series do to one in their order."""
    kept: dict[tuple[str, Kind, str], Touched] = {}
    for each in found:
        key = (each.symbol.path, each.symbol.kind, each.symbol.name)
        first = kept.setdefault(key, each)
        if first is each:
            continue
        if first.status != each.status:
            is_there = each.status != "removed"
            first.status = ("added" if first.status == "added" else "changed") if is_there else "removed"
        if each.certainty != first.certainty:
            first.certainty = "by syntax"
        first.table = first.table or each.table
        first.only_comments = first.only_comments and each.only_comments
        if first.declarations and each.declarations:
            first.declarations = first.declarations[0], each.declarations[1]
        first.declarations = first.declarations or each.declarations
        names = {member.name for member in first.members}
        first.members = first.members + [member for member in each.members if member.name not in names]
    return list(kept.values())


def options_in(path: str, states: FileStates) -> list[str]:
    """The CONFIG symbols that changed lines name, in the order in which they do."""
    names: dict[str, None] = {}
    for text, numbers in ((states.old, states.removed), (states.new, states.added)):
        lines = text.split(b"\n")
        for number in numbers:
            line = lines[number] if number < len(lines) else b""
            for match in _OPTION.finditer(line):
                names[f"CONFIG_{match[1].decode('latin-1').removesuffix('_MODULE')}"] = None
            if is_kconfig(path) and (words := _KCONFIG_WORDS.match(line)):
                for name in _KCONFIG_NAME.findall(words[1]):
                    names[f"CONFIG_{name.decode('latin-1')}"] = None
    return list(names)[:_MAX_OPTIONS]


def _facts(path: str, states: FileStates, known: Source | None) -> tuple[FileFacts, FileFacts]:
    """The facts of both sides: of the tree's file, which may be known, and from these those of the edited text."""
    if max(len(states.old), len(states.new)) > _MAX_PARSED_BYTES:
        return FileFacts(), FileFacts()
    mine, other = (states.old, states.new) if states.is_old_in_tree else (states.new, states.old)
    source = known if known is not None and known.data == mine else Source(path, mine)
    facts = source.facts
    edited = source.edited(other).facts
    return (facts, edited) if states.is_old_in_tree else (edited, facts)


def _by_key(symbols: Iterable[Symbol]) -> dict[_Key, list[Symbol]]:
    found: dict[_Key, list[Symbol]] = {}
    for symbol in symbols:
        found.setdefault((symbol.kind, symbol.name), []).append(symbol)
    return found


def _counterpart(symbol: Symbol, own: list[Symbol], others: list[Symbol]) -> Symbol | None:
    """Of the other side's symbols of a name that which is this one: by its turn, else the longest."""
    if len(own) == len(others):
        return others[own.index(symbol)]
    return max(others, key=lambda each: each.end - each.start, default=None)


def _line_starts(text: bytes) -> list[int]:
    starts, at = [0], text.find(b"\n")
    while at >= 0:
        starts.append(at + 1)
        at = text.find(b"\n", at + 1)
    return starts


def _spans(numbers: Sequence[int], text: bytes) -> list[tuple[int, int]]:
    """The byte ranges of some lines, without their ends; blank lines left out."""
    starts = _line_starts(text)
    spans = []
    for number in numbers:
        if number < len(starts):
            end = starts[number + 1] - 1 if number + 1 < len(starts) else len(text)
            if text[starts[number] : end].strip():
                spans.append((starts[number], end))
    return spans


def _around(facts: FileFacts, text: bytes, numbers: Sequence[int]) -> dict[_Key, Symbol]:
    """The definitions that hold a changed line, the first of each name."""
    spans = _spans(numbers, text)
    ends = [end for _, end in spans]
    found: dict[_Key, Symbol] = {}
    for symbol in facts.symbols:
        if symbol.kind not in _TOUCHED:
            continue
        at = bisect_left(ends, symbol.start + 1)  # the first changed line that ends inside or after it
        if at < len(spans) and spans[at][0] < symbol.end:
            found.setdefault((symbol.kind, symbol.name), symbol)
    return found


_Side = tuple[FileFacts, bytes, Sequence[int]]


def _add_members(each: Touched, key: _Key, old: _Side, new: _Side) -> None:
    """The changed members of a struct, or the changed entries of an ops table."""
    kind, name = key
    if kind in (Kind.STRUCT, Kind.UNION):
        each.members = _compared(_members(name, *old), _members(name, *new))
    elif kind is Kind.VARIABLE:
        for facts, _, _ in (old, new):
            each.table = each.table or next((a.struct for a in facts.assignments if a.table == name), "")
        if each.table:
            each.members = _compared(_entries(name, *old), _entries(name, *new))


def _compared(before: Collection[tuple[str, str]], after: Collection[tuple[str, str]]) -> list[TouchedMember]:
    """Members of changed lines of both sides; the second of a pair is the function of a table."""
    names = {name for name, _ in after}
    found = [TouchedMember(name, "changed" if name in {n for n, _ in before} else "added", function)
             for name, function in after]  # fmt: skip
    return found + [TouchedMember(name, "removed", function) for name, function in before if name not in names]


def _members(struct: str, facts: FileFacts, text: bytes, numbers: Sequence[int]) -> list[tuple[str, str]]:
    spans = _spans(numbers, text)
    return [
        (symbol.name, "")
        for symbol in facts.symbols
        if symbol.kind is Kind.MEMBER and symbol.scope.partition(".")[0] == struct
        and any(start < symbol.end and symbol.start < end for start, end in spans)
    ]  # fmt: skip


def _entries(table: str, facts: FileFacts, text: bytes, numbers: Sequence[int]) -> list[tuple[str, str]]:
    changed = set(numbers)
    return [(a.member, a.function) for a in facts.assignments if a.table == table and a.line in changed]
