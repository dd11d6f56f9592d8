"""The names that macros of other files make in open buffers, whose text is not what the index read."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kexpert.core.symbols import OpenCall, Symbol

if TYPE_CHECKING:
    from kexpert.core.c.macro_text import Macro
    from kexpert.core.c.source import Source
    from kexpert.index.macro_finder import Rows

#: Calls whose names are remembered.
_MAX_CALLS = 20_000

_Key = tuple[str, str, str, str, str]


class BufferExpansions:
    """Expands each open call once while the index stays the same. Safe from any thread."""

    def __init__(self, root: Path, rows: Rows) -> None:
        self._root = root
        self._rows = rows
        self._lock = threading.Lock()
        self._version: Any = None
        self._made: dict[_Key, tuple[Symbol, ...]] = {}

    def symbols(self, source: Source, version: Any) -> list[Symbol]:
        """The made names of a buffer; ``version`` changes with the index."""
        calls = source.facts.open_calls
        if not calls:
            return []
        with self._lock:
            if version != self._version or len(self._made) > _MAX_CALLS:
                self._version, self._made = version, {}
            made = self._made
        missing = {key: call for call in calls if (key := _key(source.path, call)) not in made}
        if missing:
            made.update(self._expanded(source.path, missing))
        known = {symbol.name for symbol in source.facts.symbols}
        return [
            symbol._replace(
                line=symbol.line + call.line, name_start=symbol.name_start + call.start,
                start=symbol.start + call.start, end=symbol.end + call.start,
            )
            for call in calls
            for symbol in made.get(_key(source.path, call), ())
            if symbol.name not in known
        ]  # fmt: skip

    def _expanded(self, path: str, calls: Mapping[_Key, OpenCall]) -> dict[_Key, tuple[Symbol, ...]]:
        from kexpert.core.c.made_elsewhere import Expander, symbols_made
        from kexpert.index.macro_finder import MacroFinder

        expander = Expander(MacroFinder(self._root, self._rows).definitions_for(path))
        makes: dict[Macro, bool] = {}
        found: dict[_Key, tuple[Symbol, ...]] = {}
        for key, call in calls.items():
            symbols, _ = symbols_made(path, [_at_zero(call)], expander, (), makes)
            found[key] = tuple(symbols)
        return found


def _key(path: str, call: OpenCall) -> _Key:
    return path, call.macro, call.prefix, call.arguments, call.written


def _at_zero(call: OpenCall) -> OpenCall:
    return call._replace(start=0, end=call.end - call.start, line=0, opening=call.opening - call.start)


def merged(symbols: Iterable[Symbol], made: Iterable[Symbol]) -> list[Symbol]:
    """Symbols of a file in the order of their places."""
    return sorted([*symbols, *made], key=lambda symbol: (symbol.name_start, symbol.kind, symbol.name))
