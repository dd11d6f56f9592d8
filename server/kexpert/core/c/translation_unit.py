"""What of a C file and its headers is compiled: the preprocessor's walk through conditions and includes.

Macros are followed only as far as conditions need them. A condition that is not known leaves both branches in, as
"unknown".
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field

from kexpert.core.c.condition_values import Macros, option_is_defined, truth
from kexpert.core.c.decided_steps import DecidedSteps, Holds, Walked
from kexpert.core.c.walk_steps import DEFINE, ENDIF, IF, INCLUDE, SKIP, UNDEFINE, FileSteps, Step

_MAX_DEPTH = 150
_MAX_FILES = 6000
#: A header without a guard may be included by many others.
_MAX_VISITS = 12

Option = Callable[[str], str | None]
#: (path of the file with the line, name, True if in quotes) -> path, or None
FindInclude = Callable[[str, str, bool], str | None]
Read = Callable[[str], FileSteps | None]
#: (path, steps, how conditions are decided) -> decided steps
Decide = Callable[[str, FileSteps, Holds], DecidedSteps]


class _Unknown:
    """The text of a macro that may be defined or not."""


_MAYBE = _Unknown()


class MacroTable(Macros):
    """The macros that are defined at a place of the walk."""

    def __init__(self, option: Option, predefined: dict[str, str], is_module: bool | None = None) -> None:
        self._option = option
        self._module = is_module
        self._texts: dict[str, str | _Unknown | None] = {"__KERNEL__": "1", **predefined}
        if is_module:
            self._texts["MODULE"] = "1"

    @property
    def is_module(self) -> bool | None:
        return self._module

    def option(self, name: str) -> str | None:
        return self._option(name.removeprefix("CONFIG_"))

    def __contains__(self, name: str) -> bool:
        """Whether a file defined a macro for certain."""
        return self._texts.get(name, _MAYBE) is not _MAYBE

    def lacks(self, name: str) -> bool:
        """True if no file can have defined a macro."""
        return name not in self._texts

    def copy(self) -> MacroTable:
        found = copy(self)
        found._texts = dict(self._texts)
        return found

    def is_defined(self, name: str) -> bool | None:
        if name in self._texts:
            return None if self._texts[name] is _MAYBE else True
        if name.startswith("CONFIG_"):
            inner = name.removesuffix("_MODULE")
            found = option_is_defined(name, self.option(inner))
            if found is False and inner != name:  # an option whose own name ends so
                return option_is_defined("", self.option(name))
            return found
        return None if name == "MODULE" and self._module is None else name.startswith("__has_")

    def text(self, name: str) -> str | None:
        found = self._texts.get(name, "")
        if isinstance(found, _Unknown) or found is None:
            return None
        if name in self._texts:
            return found
        if not name.startswith("CONFIG_"):
            return "0"
        value = self.option(name)
        if value in ("y", "m", "n", ""):
            return {"y": "1"}.get(value, "0")
        return value

    def define(self, texts: Mapping[str, str | None], certain: bool) -> None:
        """``texts``: by name; None for one that is not kept."""
        if certain:
            self._texts.update(texts)
            return
        for name in texts:
            self._texts.setdefault(name, _MAYBE)

    def undefine(self, name: str, certain: bool) -> None:
        if certain:
            self._texts.pop(name, None)
        elif name in self._texts:
            self._texts[name] = _MAYBE


#: The state of a stretch of a file: compiled, not compiled, not known.
State = bool | None


@dataclass(slots=True)
class FileStates:
    """Where the state of one file changes, of one or more walks through it; ``size`` in bytes when it was read.

    A walk is (offsets, numbers of directives before, states), all of one length.
    """

    size: int
    walks: list[tuple[list[int], list[int], list[State]]] = field(default_factory=list)
    entries: list[tuple[int, ...]] = field(default_factory=list)
    """For each walk where it was begun: the number of the ``#include`` in the C file, then in each header its offset.
    Compared as tuples, what is read later is greater."""

    def at(self, offset: int) -> State:
        """True if any walk compiles the text at an offset; None if that is not known."""
        return _any(states[bisect_right(starts, offset) - 1] for starts, _, states in self.walks)

    def after(self, directives: int) -> State:
        """The same for a place by the number of directives before it, which most edits leave as it is."""
        return _any(states[bisect_right(counts, directives) - 1] for _, counts, states in self.walks)


def _any(states: Iterable[State]) -> State:
    found = list(states)
    if True in found:
        return True
    return None if None in found else False


@dataclass(slots=True)
class TranslationUnit:
    """The files that one C file includes, by path, with what of them is compiled."""

    files: dict[str, FileStates]
    macros: MacroTable
    #: True if no file that an ``#include`` names is missing, but for those that a build makes.
    complete: bool = True

    def state(self, path: str, offset: int, size: int) -> State:
        """Whether the text at an offset of a file is compiled; None if not known. ``size``: of the file now."""
        found = self.files.get(path)
        return None if found is None or found.size != size else found.at(offset)

    def state_after(self, path: str, directives: int) -> State:
        """True if the text after this number of directives of a file is compiled; None if not known."""
        found = self.files.get(path)
        return None if found is None else found.after(directives)

    def read_at(self, path: str, offset: int) -> tuple[int, ...]:
        """When the text at an offset of a header is compiled last, to compare with other texts; () if it is not known
        to be compiled."""
        found = self.files.get(path)
        walks = zip(found.entries, found.walks, strict=True) if found else ()
        return max(
            ((*entry, offset) for entry, (starts, _, states) in walks if states[bisect_right(starts, offset) - 1]),
            default=(),
        )


@dataclass(slots=True)
class _Group:
    """An open ``#if``. ``outer``: the state around it; ``taken``: whether a branch above was the one."""

    outer: State
    taken: State


class _Frame:
    """A file on the way from the C file. ``walk``: where its state changes; that of decided steps without conditions
    is shared by all walks and not to be changed. ``tests``: the options that its steps took to be settled."""

    __slots__ = ("at", "entry", "groups", "path", "state", "steps", "tests", "walk")

    def __init__(
        self, path: str, steps: tuple[Step, ...], state: State, walk: Walked, entry: tuple[int, ...],
        tests: tuple[str, ...],
    ) -> None:  # fmt: skip
        self.path = path
        self.steps = steps
        self.state = state
        self.walk = walk
        self.entry = entry
        self.tests = tests
        self.at = 0  # the next step
        self.groups: list[_Group] = []


class _Unsettled(Exception):
    """A file changes an option that others on the way to it took to be settled."""


def translation_unit(
    path: str, main: FileSteps, read: Read, find: FindInclude, macros: MacroTable, first: tuple[str, ...] = (),
    decide: Decide | None = None,
) -> TranslationUnit:  # fmt: skip
    """Walk through a file. ``first``: headers that the build includes before everything else. ``decide`` saves time and
    changes nothing else."""
    if decide is not None:
        try:
            return _Walk(read, find, macros.copy(), decide).run(path, main, first)
        except _Unsettled:
            pass
    return _Walk(read, find, macros, None).run(path, main, first)


class _Walk:
    def __init__(self, read: Read, find: FindInclude, macros: MacroTable, decide: Decide | None) -> None:
        self.read = read
        self.find = find
        self.macros = macros
        self.decide = decide
        self.unit = TranslationUnit({}, macros)
        self.steps: dict[str, FileSteps] = {}
        self.stack: list[_Frame] = []
        self.closed: set[str] = set()  # files whose guard is defined for certain
        self.guards: dict[str, str] = {}  # their guards
        self.changed: set[str] = set()  # options that a file may have changed

    def run(self, path: str, main: FileSteps, first: tuple[str, ...]) -> TranslationUnit:
        for header in first:
            self._walk(self._enter(header, None, True, (-1,)))
        self._walk(self._enter(path, main, True, ()))
        return self.unit

    def _enter(self, path: str, file: FileSteps | None, state: State, entry: tuple[int, ...]) -> _Frame | None:
        """Begin to walk through a file; ``file``: the steps of the C file itself."""
        is_header = file is None
        known = self.unit.files.get(path)
        if known is None:
            if len(self.unit.files) >= _MAX_FILES:
                return None
            file = file or self.read(path)
            if file is None:
                return None
            known = self.unit.files[path] = FileStates(file.size)
            self.steps[path] = file
        else:
            file = self.steps[path]
            if len(known.walks) >= _MAX_VISITS or file.guard in self.macros:
                return None
        if file.changes:
            self._change(file.changes)
        decided = None
        if is_header and state is True and self.macros.lacks(file.guard):
            decided = self._decided(path, file)
        walk: Walked = (decided.walked if decided else None) or ([0], [0], [state])
        known.walks.append(walk)
        known.entries.append(entry)
        if decided is None:
            return _Frame(path, file.steps, state, walk, entry, ())
        return _Frame(path, decided.steps, state, walk, entry, file.tests)

    def _change(self, names: frozenset[str]) -> None:
        """A file is read that may change some options."""
        if self.decide is not None:
            self.changed |= names
            if any(not names.isdisjoint(frame.tests) for frame in self.stack):
                raise _Unsettled

    def _decided(self, path: str, file: FileSteps) -> DecidedSteps | None:
        if self.decide is None or (self.changed and not self.changed.isdisjoint(file.tests)):
            return None
        return self.decide(path, file, self._holds)

    def _walk(self, frame: _Frame | None) -> None:
        stack = self.stack = [frame] if frame is not None else []
        while stack:
            frame = stack[-1]
            inner = self._run(frame, len(stack) < _MAX_DEPTH)
            if inner is not None:
                stack.append(inner)
                continue
            stack.pop()
            guard = self.steps[frame.path].guard
            if guard in self.macros and self.guards.setdefault(guard, frame.path) == frame.path:
                self.closed.add(frame.path)

    def _run(self, frame: _Frame, may_include: bool) -> _Frame | None:
        """Go on with a file up to a header that is to be read first, or to its end."""
        macros, closed, steps, groups = self.macros, self.closed, frame.steps, frame.groups
        at, end, state = frame.at, len(steps), frame.state
        while at < end:
            kind, start, count, value, skip_to = steps[at]
            at += 1
            if kind == INCLUDE:
                if value[2] in closed or not may_include:
                    continue
                path = value[2] or self._included(frame.path, value)
                entry = (*frame.entry, start if frame.entry else count)
                inner = self._enter(path, None, state, entry) if path is not None else None
                if inner is not None:
                    frame.at, frame.state = at, state
                    return inner
                continue
            if kind == DEFINE:
                macros.define(value, state is True)
                continue
            if kind == UNDEFINE:
                macros.undefine(value, state is True)
                if value in self.guards:
                    closed.discard(self.guards[value])
                continue
            if kind == SKIP:
                _leave_out(frame.walk, value, state)
                continue
            if kind == ENDIF:
                now = groups.pop().outer
            elif kind == IF:
                holds = self._holds(value)
                groups.append(_Group(state, holds))
                now = _both(state, holds)
            else:
                now = self._other_branch(groups[-1], value)
            if now is not state:
                starts, counts, states = frame.walk
                starts.append(start)
                counts.append(count)
                states.append(now)
                state = now
            if state is False and kind != ENDIF:
                at = skip_to
        return None

    def _other_branch(self, group: _Group, branch: tuple[str, str]) -> State:
        keyword = branch[0]
        free = None if group.taken is None else not group.taken
        if keyword == "else" or free is False:
            holds = free if keyword == "else" else False
        else:
            holds = _both(free, self._holds(branch))
        if keyword == "elif" and group.taken is not True:
            group.taken = True if holds is True else (None if holds is None else group.taken)
        return _both(group.outer, holds)

    def _included(self, path: str, included: tuple[str, str | None, str | None]) -> str | None:
        """The file that an ``#include`` in another file means; None if it is not found."""
        name, quotes, _ = included
        if quotes is None:  # a macro that expands to the name
            text = self.macros.text(name) or ""
            if text[:1] not in ("<", '"'):
                return None
            name, quotes = text.strip('<>" '), text[0]
        found = self.find(path, name, quotes == '"')
        if found is None:
            self.unit.complete &= name.startswith(("generated/", "asm/"))
        return found

    def _holds(self, branch: tuple[str, str]) -> State:
        keyword, condition = branch
        if keyword == "ifdef":
            return self.macros.is_defined(condition)
        if keyword == "ifndef":
            found = self.macros.is_defined(condition)
            return None if found is None else not found
        return truth(condition, self.macros)


def _leave_out(walk: Walked, stretches: tuple[list[int], list[int]], state: State) -> None:
    """Stretches of text are not compiled; what is around them is in ``state``."""
    offsets, counts = stretches
    walk[0].extend(offsets)
    walk[1].extend(counts)
    walk[2].extend(state if number % 2 else False for number in range(len(offsets)))


def _both(left: State, right: State) -> State:
    if left is False or right is False:
        return False
    return None if left is None or right is None else True
