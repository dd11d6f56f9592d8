"""What of a C file and its headers is compiled: the preprocessor's walk through conditions and includes.

Macros are followed only as far as conditions need them. A condition that is not known leaves both branches in, as
"unknown".
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from kexpert.core.c.condition_values import Macros, option_is_defined, truth
from kexpert.core.c.directives import Directive, directives_of

_MAX_DEPTH = 150
_MAX_FILES = 6000
#: A header without a guard may be included by many others.
_MAX_VISITS = 12

Option = Callable[[str], str | None]
#: (path of the file with the line, name, True if in quotes) -> path, or None
FindInclude = Callable[[str, str, bool], str | None]
Read = Callable[[str], bytes | None]


class _Unknown:
    """The text of a macro that may be defined or not, or whose text is not kept."""


_MAYBE, _LONG = _Unknown(), _Unknown()


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

    def is_defined(self, name: str) -> bool | None:
        if name.startswith("CONFIG_") and name not in self._texts:
            inner = name.removesuffix("_MODULE")
            found = option_is_defined(name, self.option(inner))
            if found is False and inner != name:  # an option whose own name ends so
                return option_is_defined("", self.option(name))
            return found
        if name not in self._texts:
            return None if name == "MODULE" and self._module is None else name.startswith("__has_")
        return None if self._texts[name] is _MAYBE else True

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

    def define(self, directive: Directive, certain: bool) -> None:
        if not certain:
            self._texts.setdefault(directive.name, _MAYBE)
        else:
            self._texts[directive.name] = _LONG if directive.text is None else directive.text

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


@dataclass(slots=True)
class _Group:
    """An open ``#if``. ``outer``: the state around it; ``taken``: whether a branch above was the one."""

    outer: State
    taken: State


@dataclass(slots=True)
class _Frame:
    path: str
    directives: Iterator[Directive]
    starts: list[int]
    counts: list[int]
    states: list[State]
    count: int = 0  # of the directives that are read
    groups: list[_Group] = field(default_factory=list)


def translation_unit(
    path: str, data: bytes, read: Read, find: FindInclude, macros: MacroTable, first: tuple[str, ...] = ()
) -> TranslationUnit:
    """Walk through a file. ``first``: headers that the build includes before everything else."""
    return _Walk(read, find, macros).run(path, data, first)


class _Walk:
    def __init__(self, read: Read, find: FindInclude, macros: MacroTable) -> None:
        self.read = read
        self.find = find
        self.macros = macros
        self.unit = TranslationUnit({}, macros)
        self.directives: dict[str, tuple[Directive, ...]] = {}

    def run(self, path: str, data: bytes, first: tuple[str, ...]) -> TranslationUnit:
        for header in first:
            self._walk(self._enter(header, None, True))
        self._walk(self._enter(path, data, True))
        return self.unit

    def _enter(self, path: str, data: bytes | None, state: State) -> _Frame | None:
        known = self.unit.files.get(path)
        if known is None:
            if len(self.unit.files) >= _MAX_FILES:
                return None
            data = data if data is not None else self.read(path)
            if data is None:
                return None
            known = self.unit.files[path] = FileStates(len(data))
            self.directives[path] = directives_of(data)
        elif len(known.walks) >= _MAX_VISITS or self._is_guarded(self.directives[path]):
            return None
        starts, counts = [0], [0]
        states: list[State] = [state]
        known.walks.append((starts, counts, states))
        return _Frame(path, iter(self.directives[path]), starts, counts, states)

    def _is_guarded(self, directives: tuple[Directive, ...]) -> bool:
        """True if the include guard of a header keeps it from being read again."""
        if len(directives) < 3 or directives[0].keyword != "ifndef" or directives[-1].keyword != "endif":
            return False
        guard = directives[0].name
        return directives[1][:3:2] == ("define", guard) and self.macros.is_defined(guard) is True

    def _walk(self, frame: _Frame | None) -> None:
        stack = [frame] if frame is not None else []
        while stack:
            frame = stack[-1]
            directive = next(frame.directives, None)
            if directive is None:
                stack.pop()
                continue
            frame.count += 1
            keyword, state = directive.keyword, frame.states[-1]
            if keyword in ("define", "undef"):
                if state is False:
                    continue
                if keyword == "define":
                    self.macros.define(directive, state is True)
                else:
                    self.macros.undefine(directive.name, state is True)
            elif keyword == "include":
                if state is False or len(stack) >= _MAX_DEPTH:
                    continue
                inner = self._include(frame.path, directive, state)
                if inner is not None:
                    stack.append(inner)
            else:
                self._branch(frame, directive)

    def _include(self, path: str, directive: Directive, state: State) -> _Frame | None:
        name, quotes = directive.name, directive.text
        if quotes is None:  # a macro that expands to the name
            text = self.macros.text(name) or ""
            if text[:1] not in ("<", '"'):
                return None
            name, quotes = text.strip('<>" '), text[0]
        found = self.find(path, name, quotes == '"')
        if found is None:
            self.unit.complete &= name.startswith(("generated/", "asm/"))
            return None
        return self._enter(found, None, state)

    def _branch(self, frame: _Frame, directive: Directive) -> None:
        keyword, groups = directive.keyword, frame.groups
        if keyword.startswith("if"):
            outer = frame.states[-1]
            holds = False if outer is False else self._holds(directive)
            groups.append(_Group(outer, holds))
            self._change(frame, directive, _both(outer, holds))
        elif groups:
            group = groups[-1]
            if keyword == "endif":
                groups.pop()
                self._change(frame, directive, group.outer)
                return
            free = None if group.taken is None else not group.taken
            if keyword == "else" or free is False or group.outer is False:
                holds = free if keyword == "else" else False
            else:
                holds = _both(free, self._holds(directive))
            if keyword == "elif" and group.taken is not True:
                group.taken = True if holds is True else (None if holds is None else group.taken)
            self._change(frame, directive, _both(group.outer, holds))

    def _change(self, frame: _Frame, directive: Directive, state: State) -> None:
        if frame.states[-1] is not state:
            frame.starts.append(directive.start)
            frame.counts.append(frame.count)
            frame.states.append(state)

    def _holds(self, directive: Directive) -> State:
        if directive.keyword == "ifdef":
            return self.macros.is_defined(directive.name)
        if directive.keyword == "ifndef":
            found = self.macros.is_defined(directive.name)
            return None if found is None else not found
        return truth(directive.name, self.macros)


def _both(left: State, right: State) -> State:
    if left is False or right is False:
        return False
    return None if left is None or right is None else True
