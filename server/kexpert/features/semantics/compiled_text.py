"""Definitions as the configuration in view compiles them: branches of ``#if`` that it leaves out are blank.

The C file that asks is walked through with its headers, as far as the configuration decides anything. A header that
asks for itself is seen from a file that includes what most files do. What is not known stays as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise

from kexpert.core.c.directives import Directive, directives_of
from kexpert.core.c.source import Source
from kexpert.core.c.translation_unit import MacroTable, State, translation_unit
from kexpert.core.kernel.configuration import Configuration
from kexpert.core.symbols import Symbol
from kexpert.features.semantics.header_walk import file_steps
from kexpert.features.semantics.include_paths import arch_of
from kexpert.features.semantics.macro_expansion import Macro
from kexpert.features.semantics.variant_states import OpenMacros, Place, Standing, state_in_file
from kexpert.view import View

_CONDITIONAL = frozenset({"if", "ifdef", "ifndef", "elif", "else", "endif"})
_NOT_NEWLINE = re.compile(rb"[^\n]")
_LINE = re.compile(rb"(?:[^\n\\]|\\\r?\n|\\)*")


#: Headers that most of the kernel's files read, in one way or another.
_COMMON = ("sched", "mm", "fs", "device", "pci", "interrupt", "netdevice", "blkdev", "compat", "kprobes", "usb", "acpi")


class Compilation:
    """What is compiled, seen from one file. ``decides``: False if no configuration is known."""

    def __init__(self, view: View, source: Source | None) -> None:
        self.view = view
        self._place: Place | None = None
        if source is not None:
            self._place = Place.at(view, source if source.path.endswith(".c") else common_file(arch_of(source.path)))
        self.decides = self._place is not None and self._place.configuration.is_decided
        #: True once the configuration has left something out.
        self.has_decided = False

    @property
    def name(self) -> str:
        """The configuration in words, if it has decided anything; else ""."""
        if self._place is None or not self.has_decided:
            return ""
        configuration = self._place.configuration
        return f"{configuration.origin} ({configuration.arch})" if configuration.origin else configuration.arch

    def text(self, path: str, data: bytes, start: int, end: int) -> bytes:
        """``data[start:end]``, of the same length, with blanks where another branch of an ``#if`` is compiled."""
        piece = data[start:end]
        if b"#" not in piece or not self.decides:
            return piece
        inner = [each for each in directives_of(data) if start <= each.start < end and each.keyword in _CONDITIONAL]
        if not inner:
            return piece
        found = _blanked(piece, start, inner, self._state_of(path, data, start, end))
        self.has_decided |= found != piece
        return found

    def variants(self, rows: Sequence[Symbol]) -> list[Symbol]:
        """Those of several definitions of a name that are compiled; if none is known to be, those that may be."""
        place = self._place
        if place is None or not self.decides or len(rows) < 2:
            return list(rows)
        standings = place.standings(rows)
        for wanted in (Standing.COMPILED, Standing.UNKNOWN):
            found = [row for row, standing in zip(rows, standings, strict=True) if standing is wanted]
            if found:
                self.has_decided |= len(found) < len(rows)
                return found
        seen = place.unit.macros
        return [
            row for row, standing in zip(rows, standings, strict=True)
            if standing is not Standing.EXCLUDED
            and state_in_file(self.view, row, place.configuration, seen) is not False
        ]  # fmt: skip

    def last_read(self, macros: Sequence[Symbol]) -> Symbol | None:
        """Of macros of headers the one that is compiled last; None if that is not known."""
        place = self._place
        if place is None or not self.decides:
            return None
        read = [macro for macro in macros if place.unit.read_at(macro.path, macro.start)]
        self.has_decided |= bool(read)
        return place.last_read(read)[0] if read else None

    def macro(self, name: str) -> Macro | None:
        """A macro without parameters as the walk defines it last; None if it is not known."""
        if self._place is None or not self.decides:
            return None
        macros = self._place.unit.macros
        text = macros.text(name) if macros.is_defined(name) is True else None
        return None if text is None else Macro(name, None, "", text)

    def _state_of(self, path: str, data: bytes, start: int, end: int) -> Callable[[int], State]:
        """Whether the text at an offset is compiled where the text at ``start`` is."""
        assert self._place is not None
        unit = self._place.unit
        if unit.state(path, start, len(data)) is True:
            return lambda offset: unit.state(path, offset, len(data))
        macros = _FileMacros(self._place.configuration, unit.macros, data)
        whole = translation_unit(path, file_steps(data), lambda _: None, lambda *_: None, macros)
        if whole.state(path, start, len(data)) is True:
            return lambda offset: whole.state(path, offset, len(data))
        macros = _FileMacros(self._place.configuration, unit.macros, data)
        piece = data[start:end]
        part = translation_unit(path, file_steps(piece), lambda _: None, lambda *_: None, macros)
        return lambda offset: part.state(path, offset - start, len(piece))


class _FileMacros(OpenMacros):
    """For a header that is not read: a macro that is not defined may be defined by who includes it, but for those that
    the header itself defines somewhere."""

    def __init__(self, configuration: Configuration, seen: MacroTable, data: bytes) -> None:
        super().__init__(configuration, seen)
        self._own = {each.name for each in directives_of(data) if each.keyword == "define"}

    def is_defined(self, name: str) -> bool | None:
        found = super().is_defined(name)
        return False if found is None and name in self._own and name not in self._texts else found


@lru_cache(maxsize=32)
def common_file(arch: str) -> Source:
    """A C file of an architecture, or of none, that reads the common headers."""
    text = "".join(f"#include <linux/{name}.h>\n" for name in _COMMON)
    return Source(f"arch/{arch}/common.c" if arch else "common.c", text.encode())


def _blanked(piece: bytes, base: int, directives: Sequence[Directive], state: Callable[[int], State]) -> bytes:
    """Blank the branches that are not compiled, and the directives of each group of which all is known."""
    out = bytearray(piece)

    def blank(start: int, end: int) -> None:
        out[start:end] = _NOT_NEWLINE.sub(b" ", piece[start:end])

    groups: list[list[tuple[int, State]]] = []  # of each open group, the start of each branch and its state
    for each in directives:
        at = each.start - base
        if each.keyword.startswith("if"):
            groups.append([])
        if not groups:
            continue
        if each.keyword != "endif":
            groups[-1].append((at, state(each.start + 1)))
            continue
        branches = [*groups.pop(), (at, False)]
        states = [found for _, found in branches]
        is_known = None not in states and states.count(True) < 2
        for (start, found), (following, _) in pairwise(branches):
            if found is False:
                blank(_line_end(piece, start), following)
        if is_known:
            for start, _ in branches:
                blank(start, _line_end(piece, start))
    return bytes(out)


def _line_end(piece: bytes, start: int) -> int:
    found = _LINE.match(piece, start)
    return found.end() if found else len(piece)
