"""``#if`` groups as extraction sees them: dead branches, and groups whose branches do not fit together.

Extraction reads the branches of most groups one after the other, since each holds whole declarations. Two kinds of
groups need a choice: those that no kernel compiles (``#if 0``, ``#ifdef __ASSEMBLY__``), and those whose branches
open a brace each that one brace closes, or are two heads of one body.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from kexpert.core.c.conditions import simplify
from kexpert.core.text import decode

Span = tuple[int, int]

_MAX_DEPTH = 60  # nested groups
_MAX_HEAD_BYTES = 4000
_MAX_TYPE_BYTES = 300
_BLANKS = bytes(c if c in b"\n\r" else 0x20 for c in range(256))
_CONDITION = re.compile(rb"\s*#[ \t]*\w+[ \t]*(.*)", re.S)
#: Conditions that the kernel's C never and always fulfils.
_NEVER = frozenset({"0", "__ASSEMBLY__", "__ASSEMBLER__", "__cplusplus", "!1", "LINKER_SCRIPT"})
_ALWAYS = frozenset({"1", "!0", "!__ASSEMBLY__", "!__ASSEMBLER__", "!__cplusplus", "!LINKER_SCRIPT"})
_DECIDING = re.compile(rb"\b(?:0|1|__ASSEMBLY__|__ASSEMBLER__|__cplusplus|LINKER_SCRIPT)\b")
_HEAD = re.compile(
    rb"\s*(?:(?P<record>struct|union|enum)\s+(?:__\w+\s+)*(?P<tag>\w+)"
    rb"|(?!typedef\b)(?P<type>\w[\w\s*]*?\b)??(?P<name>\w+)\s*\([^;{}]*\)(?:\s*+__\w++)*)\s*(?P<brace>\{?)\s*",
    re.S,
)
_COLUMN_ZERO = re.compile(rb"\s*\n(?=\w)|(?=\w)")


class Conditional(NamedTuple):
    """One ``#if``, ``#elif``, ``#else`` or ``#endif``; ``end`` is the offset of its line break."""

    keyword: bytes
    start: int
    end: int


class AlternativeHead(NamedTuple):
    """A head of a function or record that shares its body with another head: ``#ifdef X int f(void) #else …``."""

    name_start: int
    name_end: int
    start: int
    group_end: int  # the body follows


@dataclass(slots=True)
class Choice:
    """What to leave out. Spans may overlap."""

    dead: list[Span] = field(default_factory=list)
    """Branches that are not the kernel's C."""
    unfit: list[Span] = field(default_factory=list)
    """Branches that do not fit beside another one, which is kept."""
    heads: list[AlternativeHead] = field(default_factory=list)


def choose(text: bytes, code: bytes, conditionals: list[Conditional]) -> Choice:
    """Choose what to leave out of ``text``, which is ``code`` with all directives blank."""
    chooser = _Chooser(text, code)
    stack: list[list[Conditional]] = []
    for conditional in conditionals:
        if conditional.keyword[:2] == b"if":
            if len(stack) > _MAX_DEPTH:
                break
            stack.append([conditional])
        elif stack:
            stack[-1].append(conditional)
            if conditional.keyword == b"endif":
                chooser.group(stack.pop())
    return chooser.choice


class _Chooser:
    def __init__(self, text: bytes, code: bytes) -> None:
        self.out = bytearray(text)
        self.code = code
        self.choice = Choice()
        self.begin = 0  # of the group that is decided
        self.taken: dict[str, bool] = {}  # what earlier groups assumed of a condition

    def group(self, directives: list[Conditional]) -> None:
        """Decide one group whose inner groups are decided."""
        out = self.out
        self.begin = directives[0].start
        branches = [(a.end, b.start) for a, b in pairwise(directives)]
        dead = self._dead(directives)
        for at in dead:
            self._leave_out(branches[at], self.choice.dead)
        depths = [out.count(b"{", *span) - out.count(b"}", *span) for span in branches]
        live = [at for at in range(len(branches)) if at not in dead]
        if any(depths):
            kept = self._consistent(directives, live) if live else -1
        elif len(live) > 1 and self._are_heads(branches, live, directives[-1].end):
            kept = live[0]
        else:
            return
        for at in live:
            if at != kept:
                if kept >= 0:
                    self._head(branches[at], directives[-1].end)
                self._leave_out(branches[at], self.choice.unfit)

    def _leave_out(self, span: Span, spans: list[Span]) -> None:
        start, end = span
        if start < end:
            spans.append(span)
            self.out[start:end] = self.out[start:end].translate(_BLANKS)

    def _dead(self, directives: list[Conditional]) -> set[int]:
        if not any(_DECIDING.search(self.code, *each[1:]) for each in directives[:-1]):
            return set()
        dead: set[int] = set()
        decided = False
        for at, directive in enumerate(directives[:-1]):
            condition = self._condition(directive)
            if decided or condition in _NEVER:
                dead.add(at)
            decided = decided or condition in _ALWAYS
        return dead

    def _condition(self, directive: Conditional) -> str:
        match = _CONDITION.match(self.code, directive.start, directive.end)
        text = decode(match[1].replace(b"\\\r\n", b" ").replace(b"\\\n", b" ")) if match else ""
        if directive.keyword in (b"ifdef", b"ifndef"):
            words = text.split()
            text = words[0] if words else ""
            return text if directive.keyword == b"ifdef" else f"!{text}"
        return simplify(text)

    def _consistent(self, directives: list[Conditional], live: list[int]) -> int:
        """The branch to keep, as earlier groups with the same conditions were decided; -1 for none."""
        assumed: list[tuple[str, bool]] = []
        for at in live:
            condition = self._condition(directives[at]) or "1"
            wanted = not condition.startswith("!")
            name = condition.removeprefix("!")
            if directives[at].keyword == b"else" or self.taken.get(name, wanted) == wanted:
                self.taken.update({**dict(assumed), **({} if name == "1" else {name: wanted})})
                return at
            assumed.append((name, not wanted))
        return -1

    def _are_heads(self, branches: list[Span], live: list[int], end: int) -> bool:
        """True if the branches are heads and the body follows the group."""
        if not all(self._matched_head(branches[at]) for at in live):
            return False
        return self.out[end : end + 200].lstrip()[:1] == b"{"

    def _matched_head(self, span: Span) -> re.Match[bytes] | None:
        start, end = span
        last = bytes(self.out[max(start, end - 400) : end]).rstrip()[-1:]
        if last not in (b")", b"{", b"_") and not last.isalnum():
            return None
        begin = _COLUMN_ZERO.match(self.out, start, end)
        if begin is None or end - start > _MAX_HEAD_BYTES:
            return None
        found = _HEAD.fullmatch(self.out, begin.end(), end)
        if found and found["name"] and not found["type"]:  # the type is above the group
            above = bytes(self.out[max(self.begin - _MAX_TYPE_BYTES, 0) : self.begin]).rstrip()[-1:]
            return found if above.isalnum() or above in (b"_", b"*") else None
        return found

    def _head(self, span: Span, group_end: int) -> None:
        match = self._matched_head(span)
        if match:
            name = "tag" if match["tag"] else "name"
            self.choice.heads.append(
                AlternativeHead(match.start(name), match.end(name), match.start(), group_end)
            )
