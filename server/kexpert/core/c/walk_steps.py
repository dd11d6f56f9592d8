"""The directives of a file as the steps of a walk through it, worked out once for all walks.

Definitions between two other directives are one step. A branch knows where the next one of its group begins.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from kexpert.core.c.directives import Directive

_TO_THE_END = 1 << 31

# Kinds of steps, plain numbers because a walk takes thousands; in brackets, the value of the step.
DEFINE = 0  # (the replacement texts of macros, by name)
UNDEFINE = 1  # (the name)
INCLUDE = 2  # (the name; the quotes, None for a macro)
IF = 3  # the first branch of a group (the keyword and the condition)
ELSE = 4  # another branch: ``else``, ``elif`` (the same)
ENDIF = 5

#: (kind, offset of the directive, its number from 1, value, the step to go on with if a branch is left out). Plain
#: tuples, because there are hundreds of thousands and the garbage collector looks at no others of them twice.
Step: TypeAlias = tuple[int, int, int, Any, int]


@dataclass(frozen=True, slots=True)
class FileSteps:
    """A file of ``size`` bytes. ``guard``: the macro that keeps it from being read twice; "" without one."""

    size: int
    guard: str
    steps: tuple[Step, ...]


@dataclass(slots=True)
class KnownFiles:
    """What walks learnt of the files of a tree. A walk that began before ``forget`` adds to what is forgotten."""

    steps: dict[str, FileSteps] = field(default_factory=dict)
    exists: dict[str, bool] = field(default_factory=dict)

    def forget(self, paths: Collection[str] | None) -> None:
        """Forget files that changed, came or went; None for any file."""
        is_folder = paths is None or any(path.endswith("/") for path in paths)
        self.steps = {} if paths is None or is_folder else {
            path: known for path, known in list(self.steps.items()) if path not in paths
        }  # fmt: skip
        self.exists = {}


def steps_of(size: int, directives: Sequence[Directive]) -> FileSteps:
    """The steps of a file of ``size`` bytes with these directives."""
    steps: list[Step] = []
    defined: dict[str, str | None] = {}
    branches: list[int] = []  # the last branch of each open group
    for number, each in enumerate(directives, 1):
        keyword = each.keyword
        if keyword == "define":
            defined[each.name] = each.text
            continue
        kind = _KINDS[keyword]
        if kind >= ELSE and not branches:
            continue
        if defined:
            steps.append((DEFINE, each.start, number, defined, 0))
            defined = {}
        if kind >= ELSE:
            last = branches.pop()
            steps[last] = (*steps[last][:4], len(steps))
        if kind in (IF, ELSE):
            branches.append(len(steps))
        value = each.name if kind == UNDEFINE else (each.name, each.text) if kind == INCLUDE else (keyword, each.name)
        steps.append((kind, each.start, number, value, _TO_THE_END))
    if defined:
        steps.append((DEFINE, size, len(directives), defined, 0))
    return FileSteps(size, _guard(directives), tuple(steps))


_KINDS = {"undef": UNDEFINE, "include": INCLUDE, "if": IF, "ifdef": IF, "ifndef": IF, "else": ELSE, "elif": ELSE,
          "endif": ENDIF}  # fmt: skip


def _guard(directives: Sequence[Directive]) -> str:
    if len(directives) < 3 or directives[0].keyword != "ifndef" or directives[1].keyword != "define":
        return ""
    depth = 0
    for at, each in enumerate(directives):
        depth += each.keyword.startswith("if") - (each.keyword == "endif")
        if (depth <= 0 and at < len(directives) - 1) or (depth == 1 and each.keyword in ("elif", "else")):
            return ""
    return directives[0].name if directives[0].name == directives[1].name and not depth else ""
