"""Which variants of a name the compiler sees from a place, by the configuration in view.

A file of another architecture is not built. A header counts as the preprocessor reads it on the way from the asking
file. Another ``.c`` file counts by its object's options and the ``#if`` around the definition.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from enum import IntEnum
from functools import lru_cache

from kexpert.core.c.condition_values import Macros, truth
from kexpert.core.c.directives import directives_of
from kexpert.core.c.source import Source
from kexpert.core.c.translation_unit import MacroTable, State, TranslationUnit, translation_unit
from kexpert.core.kernel.configuration import Configuration
from kexpert.core.kernel.tristate import parse as parse_expression
from kexpert.core.kernel.tristate import requirements
from kexpert.core.symbols import Symbol
from kexpert.features.semantics.header_walk import build_in, file_steps, unit_of
from kexpert.features.semantics.include_paths import arch_of
from kexpert.view import View

_MAX_ALTERNATIVES = 8
_MAX_FILES_JUDGED = 300
_MAX_GROUP = 24
_AT_THE_END = 1 << 31


class Standing(IntEnum):
    """What is known of a variant, best first."""

    COMPILED = 0
    UNKNOWN = 1
    NOT_INCLUDED = 2  # a header that the file does not read
    EXCLUDED = 3


class Place:
    """A place that asks, with the configuration under which it is compiled."""

    def __init__(self, view: View, source: Source, offset: int = -1) -> None:
        self.view = view
        self.source = source
        self.offset = offset
        self.configuration = configuration_at(view, source, offset)
        self._unit: TranslationUnit | None = None

    @classmethod
    def at(cls, view: View, source: Source, offset: int = -1) -> Place:
        """The place; the last one is kept, since a question ranks many names at one place."""
        last = view.configuration.last_place
        if isinstance(last, Place) and last.view is view and last.source is source and last.offset == offset:
            return last
        place = view.configuration.last_place = cls(view, source, offset)
        return place

    @property
    def unit(self) -> TranslationUnit:
        """The walk through the file and its headers."""
        if self._unit is None:
            self._unit = unit_of(self.view, self.source, self.configuration)
        return self._unit

    def read_headers(self) -> None:
        """Walk through the includes now, if the configuration decides anything."""
        if self.configuration.is_decided:
            self._unit = self.unit

    def standings(self, rows: Sequence[Symbol]) -> list[Standing]:
        """What is known of each of several variants."""
        return [self.standing(row) for row in rows]

    def standing(self, row: Symbol) -> Standing:
        """What is known of one variant."""
        arch = arch_of(row.path)
        if arch and arch != self.configuration.arch and self.configuration.decides_arch:
            return Standing.EXCLUDED
        if row.path == self.source.path or row.path in self.unit.files:
            return _standing(self._state(row.path, row.start))
        if not row.path.endswith((".c", ".S")):
            return Standing.NOT_INCLUDED
        built = is_built(self.view, row.path, self.configuration)
        if built is False:
            return Standing.EXCLUDED
        state = state_in_file(self.view, row, self.configuration, self.unit.macros)
        return Standing.EXCLUDED if state is False else _standing(None if built is None else state)

    def last_read(self, macros: Iterable[Symbol]) -> list[Symbol]:
        """Macros of headers, the one that holds at this place first: that which was read last before it."""
        before = bisect_right(_nesting(self.source)[0], self.offset) if self.offset >= 0 else _AT_THE_END
        unit = self.unit

        def key(macro: Symbol) -> tuple[bool, tuple[int, ...]]:
            read = unit.read_at(macro.path, macro.start)
            return bool(read) and read[0] <= before, read

        return sorted(macros, key=key, reverse=True)

    def _state(self, path: str, offset: int) -> State:
        """Whether the text at an offset of a file that the walk reads is compiled."""
        if path == self.source.path:
            return self.unit.state_after(path, bisect_right(_nesting(self.source)[0], offset))
        file = self.view.source(path)
        return self.unit.state(path, offset, len(file.data) if file else -1)

    def is_excluded(self, path: str, offset: int) -> bool:
        """True if the text at an offset is known to be left out by an ``#if`` of its file."""
        file = self.view.source(path)
        if file is None:
            return False
        starts, depths = _nesting(file)
        before = bisect_right(starts, offset)
        return before > 0 and depths[before - 1] > 0 and self._state(path, offset) is False


def _standing(state: State) -> Standing:
    return Standing.UNKNOWN if state is None else Standing.COMPILED if state else Standing.EXCLUDED


# -- the configuration at a place ----------------------------------------------------------------------


def configuration_at(view: View, source: Source, offset: int = -1) -> Configuration:
    """The configuration in view, under the conditions of the asking file's object and of the ``#if`` around it."""
    base = view.configuration.of_arch(arch_of(source.path))
    found = base.under(facts_of_object(view, source.path, base))
    if offset >= 0:
        facts = _facts_around(source, offset, found)
        found = found.under(facts) if facts else found
    return found


def facts_of_object(view: View, path: str, configuration: Configuration) -> list[tuple[str, bool]]:
    """What must hold of options for a file to be built: of alternatives, the first unless one holds already."""
    facts: list[tuple[str, bool]] = []
    for condition in build_in(view, path, configuration).conditions:
        ways = condition.split(" || ")[:_MAX_ALTERNATIVES]
        macros = _ObjectMacros(configuration)
        if len(ways) > 1 and any(truth(way, macros) for way in ways):
            continue
        for part in ways[0].split(" && "):
            name = part.removeprefix("!")
            if name.startswith("CONFIG_"):
                facts.append((name.removeprefix("CONFIG_"), part == name))
    return facts


def _facts_around(source: Source, offset: int, configuration: Configuration) -> list[tuple[str, bool]]:
    """The options that the ``#if`` around an offset needs, where the configuration has them otherwise."""
    facts: list[tuple[str, bool]] = []
    macros = OpenMacros(configuration)
    groups: list[tuple[list[str], str]] = []  # (conditions of earlier branches, of this one)
    for each in directives_of(source.data):
        if each.start > offset:
            break
        match each.keyword:
            case "if":
                groups.append(([], each.name))
            case "ifdef":
                groups.append(([], f"defined({each.name})"))
            case "ifndef":
                groups.append(([], f"!defined({each.name})"))
            case "elif" | "else" if groups:
                earlier, condition = groups.pop()
                groups.append(([*earlier, condition], each.name))
            case "endif" if groups:
                groups.pop()
    for earlier, condition in groups:
        wanted = [(text, False) for text in earlier[-_MAX_ALTERNATIVES:]] + ([(condition, True)] if condition else [])
        for text, must_hold in wanted:
            if truth(text, macros) is not must_hold:
                facts += _needed(text, must_hold)
    return facts


def _needed(condition: str, must_hold: bool) -> Iterable[tuple[str, bool]]:
    """The options that make a condition hold, or not hold, if that is plain."""
    text = condition if must_hold else f"!({condition})"
    for word in ("defined", "IS_ENABLED", "IS_BUILTIN", "IS_REACHABLE"):
        text = text.replace(word, "")
    for name, on in requirements(parse_expression(text)):
        if name.startswith("CONFIG_"):
            yield name.removeprefix("CONFIG_"), on


class _ObjectMacros(Macros):
    """In a Makefile's condition an option holds if it is y or m; a plain word is an architecture."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration

    def is_defined(self, name: str) -> bool | None:
        return None

    def option(self, name: str) -> str | None:
        return self._configuration.option(name.removeprefix("CONFIG_"))

    def text(self, name: str) -> str | None:
        if not name.startswith("CONFIG_"):
            return "1" if name == self._configuration.arch else None
        value = self.option(name)
        return None if value is None else "0" if value in ("n", "") else "1"


class OpenMacros(MacroTable):
    """Macros of which only some are known: one that is not seen may be defined elsewhere."""

    def __init__(self, configuration: Configuration, seen: MacroTable | None = None) -> None:
        super().__init__(configuration.option, {}, None)
        self._seen = seen

    def is_defined(self, name: str) -> bool | None:
        found = super().is_defined(name)
        if found is False and not name.startswith("CONFIG_"):
            return True if self._seen is not None and self._seen.is_defined(name) else None
        return found

    def text(self, name: str) -> str | None:
        if not name.startswith("CONFIG_") and super().is_defined(name) is not True:
            return self._seen.text(name) if self._seen is not None and self._seen.is_defined(name) else None
        return super().text(name)


# -- files ---------------------------------------------------------------------------------------------


def is_built(view: View, path: str, configuration: Configuration) -> bool | None:
    """Whether a ``.c`` file is compiled; None if that is not known."""
    arch = arch_of(path)
    if arch and arch != configuration.arch and configuration.decides_arch:
        return False
    macros = _ObjectMacros(configuration)
    build = build_in(view, path, configuration)
    state: bool | None = True if build.is_listed else None
    for condition in build.conditions:
        if condition == arch:
            continue
        holds = truth(condition, macros)
        if holds is False:
            return False
        state = None if holds is None else state
    return state


def state_in_file(view: View, row: Symbol, configuration: Configuration, seen: MacroTable | None = None) -> State:
    """Whether the ``#if`` around a definition in another file lets it through."""
    source = view.source(row.path)
    if source is None:
        return None
    macros = OpenMacros(configuration, seen)
    unit = translation_unit(row.path, file_steps(source.data), lambda _: None, lambda *_: None, macros)
    return unit.state(row.path, row.start, len(source.data))


@lru_cache(maxsize=32)
def _nesting(source: Source) -> tuple[list[int], list[int]]:
    """Where the directives of a file are, and how many ``#if`` are open after each, its include guard left out."""
    directives = directives_of(source.data)
    guard = directives[:1] and directives[0].keyword == "ifndef" and directives[-1].keyword == "endif"
    depth = -1 if guard and directives[1].name == directives[0].name else 0
    depths = []
    for each in directives:
        depth += each.keyword.startswith("if") - (each.keyword == "endif")
        depths.append(depth)
    return [each.start for each in directives], depths


# -- lists -----------------------------------------------------------------------------------------------


def excluded_files(view: View, paths: Collection[str]) -> frozenset[str]:
    """Those of some files that the configuration in view does not build. Of very many files only the architecture
    is looked at."""
    configuration = view.configuration
    if not configuration.is_decided:
        return frozenset()
    reads = len(paths) <= _MAX_FILES_JUDGED
    return frozenset(path for path in set(paths) if _is_excluded(view, path, configuration, reads))


def _is_excluded(view: View, path: str, configuration: Configuration, reads: bool) -> bool:
    arch = arch_of(path)
    if arch and arch != configuration.arch and configuration.decides_arch:
        return True
    return reads and path.endswith((".c", ".S")) and is_built(view, path, configuration) is False


def compiled_first(view: View, rows: Sequence[Symbol]) -> list[Symbol]:
    """The same list in which, of the symbols of one name, those that the configuration excludes come last."""
    configuration = view.configuration
    found = list(rows)
    if not configuration.is_decided:
        return found
    places: dict[str, list[int]] = {}
    for at, row in enumerate(found):
        places.setdefault(row.name, []).append(at)
    for indices in places.values():
        group = [found[at] for at in indices[:_MAX_GROUP]]
        if len(group) > 1:
            group.sort(key=lambda row: _is_out(view, row, configuration))
            for at, row in zip(indices, group, strict=False):
                found[at] = row
    return found


def _is_out(view: View, row: Symbol, configuration: Configuration) -> bool:
    if _is_excluded(view, row.path, configuration, True):
        return True
    return state_in_file(view, row, configuration) is False
