"""The tree's function-like macros, as the symbol index knows them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from kexpert.background.tree import read
from kexpert.core.c.lex import blank_comments
from kexpert.core.c.macro_choice import MacroText, includes, likely_definitions
from kexpert.core.c.made_elsewhere import Definitions
from kexpert.core.symbols import Kind
from kexpert.index.schema import FILE_SHIFT

_MAX_DEFINITIONS = 40
_MAX_DEFINE_BYTES = 8192
_DEFINITIONS = (
    f"SELECT f.path, s.start, s.end FROM symbols s JOIN files f ON f.id = s.id >> {FILE_SHIFT}"
    f" WHERE s.name = ? AND s.kind = {Kind.MACRO:d} LIMIT {_MAX_DEFINITIONS}"
)

Rows = Callable[[str, Iterable[Any]], list[Any]]


class MacroFinder:
    """Definitions of macros by name. What was read is kept; make a new finder after a change of the tree."""

    def __init__(self, root: Path, rows: Rows) -> None:
        """``rows`` runs a query on the symbol index."""
        self._root = root
        self._rows = rows
        self._texts: dict[str, list[MacroText]] = {}
        self._includes: dict[str, frozenset[str]] = {}
        self._last_read: tuple[str, bytes] = ("", b"")

    def definitions_for(self, path: str) -> Definitions:
        """The look-up of macros for calls in one file."""
        return lambda name: likely_definitions(path, self._named(name), self._included)

    def _named(self, name: str) -> list[MacroText]:
        found = self._texts.get(name)
        if found is None:
            found = self._texts[name] = [
                MacroText(path, blank_comments(self._data(path)[start:end], strings=False))
                for path, start, end in self._rows(_DEFINITIONS, (name,))
                if end - start <= _MAX_DEFINE_BYTES
            ]
        return found

    def _included(self, path: str) -> frozenset[str]:
        if path not in self._includes:
            self._includes[path] = includes(self._data(path))
        return self._includes[path]

    def _data(self, path: str) -> bytes:
        if self._last_read[0] != path:
            self._last_read = path, read(self._root, path) or b""
        return self._last_read[1]
