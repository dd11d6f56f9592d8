"""The steps of a header where the conditions on options are decided: little is left to walk through.

Options keep their values in nearly every walk, so what a header makes of them is worked out once for all walks with the
same values. Where a header is entered for certain, also its guard is decided: it is not defined.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from kexpert.core.c.walk_steps import (
    DEFINE,
    ELSE,
    ENDIF,
    IF,
    INCLUDE,
    SKIP,
    TO_THE_END,
    FileSteps,
    Step,
    settled_names,
)

#: A branch (keyword and condition) -> whether it holds; None if that is not known
Holds: TypeAlias = Callable[[tuple[str, str]], bool | None]
#: (name, True if in quotes) -> path of the included file; None if only the walk can tell
Find: TypeAlias = Callable[[str, bool], str | None]
#: Offsets where the state changes, numbers of directives before, states
Walked: TypeAlias = tuple[list[int], list[int], list[bool | None]]


@dataclass(frozen=True, slots=True)
class DecidedSteps:
    """Holds where the text of ``file`` is compiled for certain and its guard is not defined."""

    file: FileSteps
    steps: tuple[Step, ...]
    #: How the walk through the file goes, if no condition is left.
    walked: Walked | None


def decide(file: FileSteps, holds: Holds, find: Find) -> DecidedSteps:
    """``holds`` is asked of branches that test settled names alone."""
    steps = _Decision(file, holds, find).run()
    if any(step[0] in (IF, ELSE) for step in steps):
        return DecidedSteps(file, steps, None)
    starts, counts = [0], [0]
    states: list[bool | None] = [True]
    for step in steps:
        if step[0] == SKIP:
            starts += step[3][0]
            counts += step[3][1]
            states += [bool(number % 2) for number in range(len(step[3][0]))]
    return DecidedSteps(file, tuple(step for step in steps if step[0] != SKIP), (starts, counts, states))


class _Decision:
    def __init__(self, file: FileSteps, holds: Holds, find: Find) -> None:
        self._file = file
        self._steps = file.steps
        self._holds = holds
        self._find = find
        self._out: list[Step] = []
        self._left: list[int] = []  # of each open group that is left as it is, the last branch

    def run(self) -> tuple[Step, ...]:
        steps = self._steps
        is_decided: list[bool] = []  # of each open group
        at = 0
        while at < len(steps):
            kind, start, count, value, _ = step = steps[at]
            if kind == IF:
                taken = self._taken(at)
                is_decided.append(taken is not None)
                if taken is None:
                    self._leave(step)
                elif taken != at:
                    self._skip(at, taken)
                    at = taken
                    if at == len(steps) or steps[at][0] == ENDIF:
                        is_decided.pop()
            elif kind == ELSE and is_decided[-1]:  # the branch before it was taken
                end = self._end_of_group(at)
                self._skip(at, end)
                at = end
                is_decided.pop()
            elif kind in (ELSE, ENDIF):
                if kind == ELSE or not is_decided[-1]:
                    self._leave(step)
                if kind == ENDIF:
                    is_decided.pop()
            elif kind == DEFINE and self._out and self._out[-1][0] == DEFINE:
                self._out[-1] = (DEFINE, start, count, {**self._out[-1][3], **value}, 0)
            elif kind == INCLUDE and value[1] is not None:
                self._out.append((kind, start, count, (*value[:2], self._find(value[0], value[1] == '"')), 0))
            else:
                self._out.append(step)
            at += 1
        return tuple(self._out)

    def _taken(self, at: int) -> int | None:
        """Of the group that begins at a step, the branch that is compiled, its end for none; None if that is open."""
        steps = self._steps
        while True:
            holds = self._decided(at)
            following = min(steps[at][4], len(steps))
            is_last = following == len(steps) or steps[following][0] == ENDIF
            if holds is None or (steps[at][3][0] == "else" and not is_last):
                return None
            if holds or is_last:
                return at if holds else following
            at = following

    def _decided(self, at: int) -> bool | None:
        branch = self._steps[at][3]
        if branch[0] == "else" or (at == 0 and self._file.guard):
            return True
        names = settled_names(branch)
        return None if names is None or names & self._file.changes else self._holds(branch)

    def _end_of_group(self, at: int) -> int:
        while at < len(self._steps) and self._steps[at][0] != ENDIF:
            at = self._steps[at][4]
        return min(at, len(self._steps))

    def _leave(self, step: Step) -> None:
        """A directive of a group that is left as it is."""
        if step[0] != IF:
            last = self._left.pop()
            self._out[last] = (*self._out[last][:4], len(self._out))
        if step[0] != ENDIF:
            self._left.append(len(self._out))
        self._out.append((*step[:4], TO_THE_END))

    def _skip(self, start: int, end: int) -> None:
        """Text from one directive to another is left out. Definitions before it may as well come after it."""
        steps, out = self._steps, self._out
        offsets = [steps[start][1]]
        counts = [steps[start][2]]
        if end < len(steps):
            offsets.append(steps[end][1])
            counts.append(steps[end][2])
        definitions = out.pop() if out and out[-1][0] == DEFINE else None
        if out and out[-1][0] == SKIP:
            before = out.pop()[3]
            offsets, counts = before[0] + offsets, before[1] + counts
        out.append((SKIP, 0, 0, (offsets, counts), 0))
        if definitions is not None:
            out.append(definitions)
