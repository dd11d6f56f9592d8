"""Functions that are given to an operation other than by ``.open = foo_open``, which the index knows.

By position in an initialiser (``{ foo_open, foo_close }``), and by an assignment (``ops->open = foo_open;``). Files are
read when somebody asks; of a member that very many files name only those are read that name its struct too, and none
if these are too many.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kexpert.core.c.declarators import CType
from kexpert.core.c.lex import blank_comments
from kexpert.core.c.source import Source
from kexpert.core.c.tokens import Tokens
from kexpert.core.symbols import Assignment, Kind
from kexpert.features.semantics.resolve import resolve
from kexpert.features.semantics.type_inference import Types
from kexpert.view import View

_ASSIGNED = rb"(?:->|\.)[ \t]*(%s)[ \t]*=[ \t\n]*&?[ \t]*([A-Za-z_]\w*)[ \t]*;"
_INITIALISED = rb"\bstruct\s+%s\b\s+(?:\w+\s+)*(\w+)\s*((?:\[[^][]*\]\s*)*)=\s*\{"
_CALLABLE = frozenset({Kind.FUNCTION, Kind.SYSCALL, Kind.ASM_LABEL, Kind.PROTOTYPE, Kind.MACRO})
_MAX_FILES = 300
_MAX_RESOLVED = 80
_MAX_INITIALISER_BYTES = 64 * 1024


def assigned_in_code(view: View, source: Source, struct: str, member: str) -> list[Assignment]:
    """The functions given to a member of ``struct foo``; ``source`` asks."""
    tag = struct.partition(" ")[2]
    number = _position(view, source, struct, member)
    if not tag or number < 0:
        return []
    naming_struct = view.files_mentioning(tag)
    naming_member = view.files_mentioning(member)
    if len(naming_member) > _MAX_FILES:
        naming_member = sorted(set(naming_member).intersection(naming_struct))
    found: list[Assignment] = []
    if len(naming_struct) <= _MAX_FILES:
        for path in naming_struct:
            found += _by_position(view, path, tag, member, number)
    if len(naming_member) <= _MAX_FILES:
        found += _by_assignment(view, naming_member, tag, member)
    functions = view.kinds_of({each.function for each in found})
    return [each for each in found if not _CALLABLE.isdisjoint(functions.get(each.function, ()))]


def _position(view: View, source: Source, struct: str, member: str) -> int:
    members = Types(view, source).members(CType(struct))
    return next((number for number, each in enumerate(members) if each.name == member), -1)


def _by_position(view: View, path: str, tag: str, member: str, number: int) -> Iterator[Assignment]:
    data = view.data(path) or b""
    if tag.encode() not in data or not path.endswith((".c", ".h")):
        return
    code = blank_comments(data)
    for match in re.finditer(_INITIALISED % re.escape(tag.encode()), code):
        begin = match.end() - 1
        tokens = Tokens(code[begin : begin + _MAX_INITIALISER_BYTES], base=begin)
        items = tokens.commas(1, tokens.past(0) - 1)
        if match[2]:  # an array of them
            lists = [tokens.commas(start + 1, tokens.past(start) - 1) for start, _ in items if tokens[start] == "{"]
        else:
            lists = [items]
        for each in lists:
            start, stop = each[number] if number < len(each) else (0, 0)
            if any(tokens[first] in (".", "[") for first, _ in each[: number + 1]):
                continue
            start += tokens[start] == "&"
            if stop == start + 1 and tokens.is_word(start):
                at = tokens.start(start)
                table = match[1].decode("latin-1")
                yield Assignment(tag, member, tokens[start], table, path, at, code.count(b"\n", 0, at))


def _by_assignment(view: View, paths: list[str], tag: str, member: str) -> Iterator[Assignment]:
    pattern = re.compile(_ASSIGNED % re.escape(member.encode()))
    resolved = 0
    for path in paths:
        data = view.data(path) or b""
        source = view.source(path) if path.endswith((".c", ".h")) and pattern.search(data) else None
        for match in pattern.finditer(source.data) if source else ():
            resolved += 1
            if source is None or resolved > _MAX_RESOLVED:
                return
            found = resolve(view, source, match.start(1))
            if found is not None and found.member is not None and found.member.struct.partition(" ")[2] == tag:
                at = match.start(2)
                name = match[2].decode("latin-1")
                yield Assignment(tag, member, name, "", path, at, source.lines.line_of(at))
