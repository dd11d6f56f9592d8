"""Where functions make calls, kept between questions: reading hundreds of callers takes most of an answer's time.

An entry holds for one text of its file and one state of all headers, from which it follows.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from kexpert.view import View

#: Entries kept; each takes some 300 bytes.
_MAX_ENTRIES = 60_000

_Found = TypeVar("_Found")


class KeptCalls:
    """Kept answers. Threads may share one: each step is a single operation on a dictionary."""

    def __init__(self, max_entries: int = _MAX_ENTRIES) -> None:
        self._max_entries = max_entries
        self._state: Hashable = None
        self._entries: dict[Hashable, tuple[Hashable, Any]] = {}

    def reader(self, view: View) -> CallReader:
        """For one question about a view."""
        state = view.headers_state(), view.configuration.arch
        if state != self._state or len(self._entries) > self._max_entries:
            self._state, self._entries = state, {}
        return CallReader(view, self._entries)


class CallReader:
    """Asks once for each text of a file. The files' states are looked at once in a question."""

    def __init__(self, view: View, entries: dict[Hashable, tuple[Hashable, Any]]) -> None:
        self._view = view
        self._entries = entries
        self._states: dict[str, Hashable] = {}

    def ask(self, path: str, question: Hashable, answer: Callable[[], _Found]) -> _Found:
        """``answer()``, or what it gave for the same text of the file at ``path``."""
        state = self._states.get(path)
        if state is None:
            state = self._states[path] = self._view.state_of(path)
        key = path, question
        known = self._entries.get(key)
        if known is None or known[0] != state:
            known = self._entries[key] = (state, answer())
        found: _Found = known[1]
        return found
