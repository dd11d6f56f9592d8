"""The directives of a file as the steps of a walk through it, worked out once for all walks.

Definitions between two other directives are one step. A branch knows where the next one of its group begins.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from kexpert.core.c.condition_values import names_in
from kexpert.core.c.directives import Directive

if TYPE_CHECKING:
    from kexpert.core.c.decided_steps import DecidedSteps

TO_THE_END = 1 << 31

# Kinds of steps, plain numbers because a walk takes thousands; in brackets, the value of the step.
DEFINE = 0  # (the replacement texts of macros, by name)
UNDEFINE = 1  # (the name)
INCLUDE = 2  # (the name; the quotes, None for a macro; the path that it means, None if only the walk can tell)
IF = 3  # the first branch of a group (the keyword and the condition)
ELSE = 4  # another branch: ``else``, ``elif`` (the same)
ENDIF = 5
SKIP = 6  # text that is left out for certain (where it begins and where it ends: offsets; numbers of directives)

#: Macros of the compiler that hardly any file defines.
_SETTLED = frozenset({"__KERNEL__", "__ASSEMBLY__", "__cplusplus", "__CHECKER__", "__i386__", "__x86_64__"})
_TESTS = frozenset({"defined", "IS_ENABLED", "IS_BUILTIN", "IS_MODULE"})

#: (kind, offset of the directive, its number from 1, value, the step to go on with if a branch is left out). Plain
#: tuples, because there are hundreds of thousands and the garbage collector looks at no others of them twice.
Step: TypeAlias = tuple[int, int, int, Any, int]


@dataclass(frozen=True)
class FileSteps:
    """A file of ``size`` bytes. ``guard``: the macro that keeps it from being read twice; "" without one."""

    size: int
    guard: str
    steps: tuple[Step, ...]

    @cached_property
    def changes(self) -> frozenset[str]:
        """The settled names that it may define or undefine."""
        texts = (step[3] if step[0] == DEFINE else (step[3],) for step in self.steps if step[0] in (DEFINE, UNDEFINE))
        return frozenset(name for each in texts for name in each if is_settled(name))

    @cached_property
    def tests(self) -> tuple[str, ...]:
        """The settled names that decide branches of it on their own, but for those that it changes."""
        branches = [step[3] for step in self.steps if step[0] in (IF, ELSE)]
        return tuple(sorted({name for each in branches for name in settled_names(each) or ()} - self.changes))

    @cached_property
    def options(self) -> tuple[str, ...]:
        """The options on which ``tests`` depend, named without CONFIG_."""
        names = (name.removeprefix("CONFIG_") for name in self.tests if name.startswith("CONFIG_"))
        return tuple(dict.fromkeys(each for name in names for each in (name, name.removesuffix("_MODULE"))))


def is_settled(name: str) -> bool:
    """True for an option and some macros of the compiler: their value changes only if a file is read that says so in
    ``changes``."""
    return name.startswith("CONFIG_") or name in _SETTLED


def settled_names(branch: tuple[str, str]) -> frozenset[str] | None:
    """The names that a branch tests; None if not all of them are settled."""
    keyword, condition = branch
    if keyword == "else":
        return frozenset()
    names = frozenset((condition,)) if keyword in ("ifdef", "ifndef") else names_in(condition) - _TESTS
    return names if all(map(is_settled, names)) else None


@dataclass(slots=True)
class KnownFiles:
    """What walks learnt of the files of a tree. A walk that began before ``forget`` adds to what is forgotten."""

    steps: dict[str, FileSteps] = field(default_factory=dict)
    exists: dict[str, bool] = field(default_factory=dict)
    #: By architecture, path and the values of the options that the file tests.
    decided: dict[tuple[str, str, tuple[str | None, ...]], DecidedSteps] = field(default_factory=dict)

    def forget(self, paths: Collection[str] | None) -> None:
        """Forget files that changed, came or went; None for any file."""
        is_folder = paths is None or any(path.endswith("/") for path in paths)
        self.steps = {} if paths is None or is_folder else {
            path: known for path, known in list(self.steps.items()) if path not in paths
        }  # fmt: skip
        self.exists = {}
        self.decided = {}


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
        value: Any = (keyword, each.name)
        if kind == UNDEFINE:
            value = each.name
        elif kind == INCLUDE:
            value = each.name, each.text, None
        steps.append((kind, each.start, number, value, TO_THE_END))
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
    name = directives[0].name
    return name if name == directives[1].name and not depth and not name.startswith(("CONFIG_", "__has_")) else ""
