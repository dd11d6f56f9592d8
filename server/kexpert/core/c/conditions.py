"""``#if`` nesting: the conditions under which a line is compiled, and the branches of each group."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from kexpert.core.c.lex import blank_comments
from kexpert.core.text import decode

_DIRECTIVE = re.compile(rb"#[ \t]*(if(?:n?def)?|elif(?:n?def)?|else|endif)\b")
_MAX_INDENT_BYTES = 256  # between the start of a line and its "#"
_MAX_CONDITION_BYTES = 4096  # read of one condition
_MAX_OUTER_BRACKETS = 8  # outer pairs removed from a condition
_GUARD = re.compile(rb"\s*#[ \t]*define[ \t]+(\w+)[ \t]*(?:/[/*][^\n]*)?\r?\n(?!\s*#[ \t]*endif)")
_GUARD_LOOKAHEAD_BYTES = 1024  # after the first #if, searched for the #define of an include guard
_PREDICATE = re.compile(r"\b(?:defined|IS_ENABLED|IS_REACHABLE)\s*(?:\(\s*(\w+)\s*\)|\s(\w+))")
_NEGATABLE = re.compile(r"\w+(?:\([^()]*\))?")


@dataclass(frozen=True, slots=True)
class Directive:
    start: int  # of the "#"
    keyword: str  # "if", "ifdef", "elif", "else", "endif", ...
    condition: str  # simplified; "" for else and endif


@dataclass(frozen=True, slots=True)
class Branch:
    """The text from one directive of a group to the ``#`` of the next, or to the end of the file."""

    start: int
    end: int
    keyword: str
    condition: str
    group: int  # offset of the group's #if: the same for all its branches


@dataclass(slots=True)
class _Open:
    condition: str
    earlier: list[str] = field(default_factory=list)  # conditions of the branches above this one


def conditions_at(data: bytes, offset: int) -> list[str]:
    """The conditions under which the line at ``offset`` is compiled, outermost first.

    ``#ifdef X`` gives ``"X"``, ``#ifndef X`` gives ``"!X"``. ``#elif`` and ``#else`` add the negation of each branch
    above them. The include guard of a header is left out.
    """
    line = data.rfind(b"\n", 0, max(offset, 0)) + 1
    stack: list[_Open] = []
    first = True
    for directive in directives(data, line):
        if directive.keyword.startswith("if"):
            guard = first and _is_guard(data, directive)
            stack.append(_Open("" if guard else directive.condition))
            first = False
        elif not stack:
            continue
        elif directive.keyword == "endif":
            stack.pop()
        else:
            top = stack[-1]
            top.earlier.append(top.condition)
            top.condition = directive.condition
    found: list[str] = []
    for group in stack:
        found += [negate(condition) for condition in group.earlier if condition]
        if group.condition:
            found.append(group.condition)
    return found


def branches(data: bytes) -> list[Branch]:
    """All branches of all groups, sorted by start. An unclosed group runs to the end of the file."""
    found: list[Branch] = []
    stack: list[tuple[int, Directive]] = []  # (group, directive that opened the branch)

    def close(end: int) -> int:
        group, opened = stack.pop()
        found.append(Branch(opened.start, end, opened.keyword, opened.condition, group))
        return group

    for directive in directives(data):
        if directive.keyword.startswith("if"):
            stack.append((directive.start, directive))
        elif stack:
            group = close(directive.start)
            if directive.keyword != "endif":
                stack.append((group, directive))
    while stack:
        close(len(data))
    return sorted(found, key=lambda branch: branch.start)


def directives(data: bytes, end: int | None = None) -> Iterator[Directive]:
    """Yield the conditional directives that begin before ``end``, except those inside comments."""
    stop = len(data) if end is None else end
    at = code = 0  # ``code`` is an offset known to lie outside any comment
    while match := _DIRECTIVE.search(data, at, stop):
        start, at = match.span()
        floor = max(0, start - _MAX_INDENT_BYTES)
        line = data.rfind(b"\n", floor, start) + 1 or floor
        if data[line:start].strip(b" \t\f\v") or (line == floor and floor):
            continue
        if in_comment(data, code, start):
            close = data.find(b"*/", start)
            if close < 0:
                return
            code = at = close + 2
            continue
        code = start
        keyword = match[1].decode()
        condition = "" if keyword in ("else", "endif") else _condition(keyword, data, at)
        yield Directive(start, keyword, condition)


def in_comment(data: bytes, code: int, offset: int) -> bool:
    """Return True if ``offset`` lies in a ``/*`` comment. ``code`` is an earlier offset outside any comment."""
    if data.rfind(b"/*", code, offset) <= data.rfind(b"*/", code, offset):
        return False
    # The "/*" may itself be in a string or after "//"; only lexing can tell.
    return blank_comments(data[code : offset + 1], strings=False)[-1] == 0x20


def _condition(keyword: str, data: bytes, start: int) -> str:
    end = data.find(b"\n", start)
    while start < end < start + _MAX_CONDITION_BYTES and data[end - 2 : end].rstrip(b"\r").endswith(b"\\"):
        end = data.find(b"\n", end + 1)
    line = data[start : min(end if end >= 0 else len(data), start + _MAX_CONDITION_BYTES)]
    text = decode(blank_comments(line, strings=False).replace(b"\\\r\n", b" ").replace(b"\\\n", b" "))
    if keyword.endswith("ndef"):
        return negate(" ".join(text.split()[:1]))
    if keyword.endswith("def"):
        return " ".join(text.split()[:1])
    return simplify(text)


def simplify(condition: str) -> str:
    """Write ``defined(X)``, ``IS_ENABLED(X)`` and ``IS_REACHABLE(X)`` as ``X``; drop blanks and outer brackets."""
    text = _PREDICATE.sub(lambda match: match[1] or match[2], condition)
    text = re.sub(r"!\s+(?!=)", "!", " ".join(text.split()))
    text = re.sub(r"!\((\w+)\)", r"!\1", re.sub(r"(?<![\w)])\(\s*(!?\w+)\s*\)", r"\1", text))
    for _ in range(_MAX_OUTER_BRACKETS):
        if not text.startswith("(") or _closing(text) != len(text) - 1:
            break
        text = text[1:-1].strip()
    return text


def negate(condition: str) -> str:
    """Negate a condition: ``X`` <-> ``!X``, ``A && B`` <-> ``!(A && B)``."""
    if _NEGATABLE.fullmatch(condition):
        return "!" + condition
    if condition.startswith("!"):
        inner = condition[1:]
        if _NEGATABLE.fullmatch(inner):
            return inner
        if inner.startswith("(") and _closing(inner) == len(inner) - 1:
            return inner[1:-1]
    return f"!({condition})" if condition else ""


def _closing(text: str) -> int:
    """Index of the bracket that closes the one at index 0; -1 if there is none."""
    depth = 0
    for at, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if not depth:
            return at
    return -1


def _is_guard(data: bytes, directive: Directive) -> bool:
    """Return True if the first ``#if`` of a file is its include guard: an empty ``#define`` of its symbol follows."""
    if not directive.condition.startswith("!"):
        return False
    line = data.find(b"\n", directive.start)
    ahead = blank_comments(data[line : line + _GUARD_LOOKAHEAD_BYTES], strings=False)
    match = _GUARD.match(ahead)
    return match is not None and re.search(rb"\b%s\b" % match[1], directive.condition.encode()) is not None
