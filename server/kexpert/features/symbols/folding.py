"""Folding ranges: blocks, comments, branches of ``#if``, long macros, runs of ``#include``.

Read from the text and not from the syntax tree, so that folds do not jump while a line is half typed or where ``#if``
splits a statement. A last line that is a ``}``, an ``#else`` or an ``#endif`` stays visible.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from kexpert.core.c.lex import blank_comments
from kexpert.core.c.source import Source
from kexpert.core.positions import LineIndex

_COMMENT = re.compile(rb"//|/\*")
_STRUCTURE = re.compile(rb"[{}]|^[ \t]*#[ \t]*(\w+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Fold:
    """Lines ``start_line`` (stays visible) to ``end_line``, 0-based, both inclusive."""

    start_line: int
    end_line: int
    kind: Literal["block", "comment", "imports", "branch", "macro"]


def folds(source: Source) -> list[Fold]:
    """All folds by line; the longer of two that begin on the same line."""
    code = blank_comments(source.data, strings=False)
    found: dict[int, Fold] = {}
    for fold in (*_comments(source, code), *_structure(source.lines, blank_comments(source.data))):
        known = found.get(fold.start_line)
        if fold.end_line > fold.start_line and (known is None or known.end_line < fold.end_line):
            found[fold.start_line] = fold
    return sorted(found.values(), key=lambda fold: fold.start_line)


def _comments(source: Source, code: bytes) -> Iterator[Fold]:
    """``code`` is the text with its comments blanked: anything that looks like a comment there is in a string."""
    data, lines = source.data, source.lines
    at = 0
    run: tuple[int, int] | None = None  # first and last line of neighbouring // comments
    while match := _COMMENT.search(data, at):
        start, at = match.span()
        if code[start] == 0x2F:
            continue
        line = lines.line_of(start)
        if match[0] == b"/*":
            close = data.find(b"*/", at)
            at = close + 2 if close >= 0 else len(data)
            yield Fold(line, lines.line_of(at), "comment")
            continue
        begins_line = not data[lines.starts[line] : start].strip()
        last = line
        while lines.line_bytes(last).endswith(b"\\"):
            last += 1
        at = lines.starts[last] + len(lines.line_bytes(last)) if last < len(lines.starts) else len(data)
        if not begins_line:
            continue
        if run and line == run[1] + 1:
            run = (run[0], last)
            continue
        if run:
            yield Fold(*run, "comment")
        run = (line, last)
    if run:
        yield Fold(*run, "comment")


#: Lines on which the open blocks begin, innermost first. A linked list: keeping a copy for each branch of an ``#if``
#: costs nothing, however deep the blocks are.
_Opened: TypeAlias = "tuple[int, _Opened] | None"


def _structure(lines: LineIndex, code: bytes) -> Iterator[Fold]:
    """Folds of braces and directives. Each branch of an ``#if`` begins with the same open blocks; those that the first
    branch leaves open are open after it."""
    opened: _Opened = None
    branches: list[tuple[int, _Opened, tuple[_Opened] | None]] = []  # line, blocks at #if, blocks after its 1st branch
    includes: list[int] = []
    macro_end = -1
    for match in _STRUCTURE.finditer(code):
        line = lines.line_of(match.end() - 1)
        word = match[1]
        if match[0] == b"{":
            opened = (_head_line(lines, code, line, match.start()), opened)
        elif word is None:
            if opened:
                yield Fold(opened[0], line - 1, "block")
                opened = opened[1]
        elif word in (b"if", b"ifdef", b"ifndef"):
            branches.append((line, opened, None))
        elif word in (b"elif", b"else", b"elifdef", b"elifndef") and branches:
            start, before, after = branches.pop()
            yield Fold(start, line - 1, "branch")
            branches.append((line, before, after or (opened,)))
            opened = before
        elif word == b"endif" and branches:
            start, _, after = branches.pop()
            yield Fold(start, line - 1, "branch")
            opened = after[0] if after else opened
        elif word == b"include":
            includes.append(line)
        elif word == b"define" and line > macro_end:
            macro_end = _last_of_directive(lines, line)
            yield Fold(line, macro_end, "macro")
    yield from _runs(lines, includes)


def _head_line(lines: LineIndex, code: bytes, line: int, brace: int) -> int:
    """The first line of a block's fold: for a brace alone on its line, the line before."""
    if line and not code[lines.starts[line] : brace].strip() and lines.line_bytes(line - 1).strip():
        return line - 1
    return line


def _last_of_directive(lines: LineIndex, line: int) -> int:
    while lines.line_bytes(line).endswith(b"\\"):
        line += 1
    return min(line, len(lines.starts) - 1)


def _runs(lines: LineIndex, includes: list[int]) -> Iterator[Fold]:
    """Runs of ``#include`` with nothing but blank lines between."""
    first = last = -1
    for line in includes:
        if first >= 0 and all(not lines.line_bytes(gap).strip() for gap in range(last + 1, line)):
            last = line
            continue
        if first >= 0:
            yield Fold(first, last, "imports")
        first = last = line
    if first >= 0:
        yield Fold(first, last, "imports")
