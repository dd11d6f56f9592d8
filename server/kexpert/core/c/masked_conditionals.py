"""Masking of ``#if`` groups that a grammar without a preprocessor cannot read.

A group whose branches are whole statements stays. Any other group loses its directives, and all branches but one.
"""

from __future__ import annotations

import re
from itertools import pairwise

from kexpert.core.c.editing import LOOKBACK_BYTES, Editor

_DIRECTIVE = re.compile(rb"#[ \t]*(if|ifdef|ifndef|elif|else|endif)\b[^\n]*(?:(?<=\\)\n[^\n]*)*")
_MAX_DEPTH = 60  # nested conditionals
_HEADS = (b"if ", b"if(", b"for ", b"for(", b"while ", b"while(", b"} else if", b"else if", b"&&", b"||")


def mask_conditionals(edit: Editor) -> None:
    """Blank every ``#if`` group that cuts through a statement, a list or braces, innermost first."""
    stack: list[list[tuple[int, int]]] = []
    for match in _DIRECTIVE.finditer(edit.out):
        if edit.out[edit.line_start(match.start()) : match.start()].strip():
            continue
        if len(stack) > _MAX_DEPTH:
            return
        kind = match[1]
        if kind in (b"if", b"ifdef", b"ifndef"):
            stack.append([match.span()])
        elif stack:
            stack[-1].append(match.span())
            if kind == b"endif":
                _conditional(edit, stack.pop())


def _conditional(edit: Editor, directives: list[tuple[int, int]]) -> None:
    """Mask one group, given the (start, end) of its directives, if its branches are not whole statements."""
    branches = [(a[1], b[0]) for a, b in pairwise(directives)]
    ends = [_branch_end(edit, *branch) for branch in branches]
    if all(end == b"," for end in ends):
        pass
    elif any(end not in (b"", b";", b"}") for end in ends) or not _may_branch(edit, directives[0][0]):
        _keep_one(edit, directives[0], branches)
    else:
        return
    for start, end in directives:
        edit.blank(start, end)


def _may_branch(edit: Editor, at: int) -> bool:
    """Return True if a statement may begin at ``at``: not after ``if (x)``, ``else`` or a label."""
    before = bytes(edit.out[max(at - LOOKBACK_BYTES, 0) : at]).rstrip()
    if before.endswith((b":", b"else")):
        return False
    line = before[before.rfind(b"\n") + 1 :]
    if before.endswith(b")") and line[:1] in b" \t" and line.lstrip().startswith(_HEADS):
        return False
    return edit.starts_statement(at)


def _keep_one(edit: Editor, first: tuple[int, int], branches: list[tuple[int, int]]) -> None:
    """Blank all branches but the first, or but the second after ``#if 0`` and ``#ifdef __cplusplus``."""
    condition = bytes(edit.out[slice(*first)]).split()[-1]
    keep = 0
    if condition in (b"0", b"__cplusplus"):
        keep = 1
    for index, (start, end) in enumerate(branches):
        if index != keep:
            edit.blank(start, end)


def _branch_end(edit: Editor, start: int, end: int) -> bytes:
    """The last character of a branch (``;``, ``}``, ``,``, …), b"" if it is empty, ``?`` if it is not complete code."""
    out = edit.out
    tail = bytes(out[max(start, end - 2000) : end]).rstrip()
    while tail.endswith(b"*/"):
        tail = tail[: max(tail.rfind(b"/*"), 0)].rstrip()
    if not tail:
        return b""
    for opener, closer in (b"{}", b"()"):
        if out.count(opener, start, end) != out.count(closer, start, end):
            return b"?"
    line = tail[tail.rfind(b"\n") + 1 :]
    if line.lstrip()[:1] == b"#" or tail[: len(tail) - len(line)].rstrip(b"\n").endswith(b"\\"):
        return b""
    head = bytes(out[edit.after(start) : start + 200])
    if head.startswith((b"}", b"else", b"||", b"&&", b")")):
        return b"?"
    return tail[-1:]
