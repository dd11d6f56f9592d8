"""The meanings of the uses of members, kept between questions, by name and file.

An entry holds for one text of its file, one state of all headers and one configuration: what a use means follows from
them. Answers about ``list`` cost half a minute the first time and a moment the next, whatever struct they are about.
What is kept in a ``Store`` outlives the process.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable
from itertools import starmap
from typing import NamedTuple, Protocol

from kexpert import __version__
from kexpert.core.c.access import Access
from kexpert.core.c.source import Source
from kexpert.core.symbols import FileUses
from kexpert.features.semantics.include_paths import arch_of
from kexpert.features.semantics.member_meaning import NOTHING, Certainty, Meaning, MemberMeanings, ResolvedUse
from kexpert.view import View

#: Uses kept; each takes some 100 bytes.
_MAX_USES = 400_000
#: Of the form in which a store has uses, and of what they mean.
_VERSION = 2

Cancelled = Callable[[], bool]


class Store(Protocol):
    """Texts by keys of one line."""

    def get(self, key: str) -> str | None: ...

    def put(self, key: str, text: str) -> None: ...


class _Entry(NamedTuple):
    state: Hashable
    file: FileUses
    uses: list[ResolvedUse]


class ResolvedUses:
    """Kept answers. Threads may share one: each step is a single operation on a dictionary."""

    def __init__(self, store: Store | None = None, max_uses: int = _MAX_USES) -> None:
        self.store = store
        self._max_uses = max_uses
        self._kept = 0
        self._state: Hashable = None
        self._names: dict[str, dict[str, _Entry]] = {}

    def reader(self, view: View, name: str) -> NameReader:
        """The uses of one name in the files of a view."""
        configuration = view.configuration
        state = view.headers_state(), configuration if configuration.is_decided else configuration.arch
        if state != self._state:
            self._names, self._kept, self._state = {}, 0, state
        if self._kept > self._max_uses:  # the names that were asked for longest ago go first
            for old in list(self._names)[: len(self._names) // 2 + 1]:
                dropped = self._names.pop(old, {})
                self._kept -= sum(len(entry.file) for entry in list(dropped.values()))
        files = self._names.pop(name, {})
        self._names[name] = files
        return NameReader(self, view, name, files)

    def note(self, uses: int) -> None:
        self._kept += uses


class NameReader:
    """Finds and resolves the uses of a name, file by file."""

    def __init__(self, kept: ResolvedUses, view: View, name: str, files: dict[str, _Entry]) -> None:
        self._kept = kept
        self._view = view
        self._name = name
        self._files = files
        self._meanings = MemberMeanings(view)
        self._headers = view.lasting_headers_state() if kept.store is not None else None
        self._configurations: dict[str, str] = {}

    def is_kept(self, path: str) -> bool:
        """True if the uses in a file need not be resolved."""
        return self._known(path, self._view.state_of(path)) is not None

    def read(self, path: str, cancelled: Cancelled) -> tuple[FileUses, list[ResolvedUse]] | None:
        """The uses that may be members in one file; None if there are none, or if it was cancelled."""
        state = self._view.state_of(path)
        known = self._known(path, state)
        if known is None:
            found = self._view.references(self._name, within=(path,))
            file = found[0] if found else FileUses(path, len(self._name), [], [], [], [])
            # the text is read anew, so that thousands of files do not drive the headers out of the view's cache
            source = Source(path, self._view.data(path) or b"")
            resolved = self._meanings.of_file(source, self._name, file.starts, cancelled) if found else []
            if len(resolved) < len(file):
                return None
            keep = [use.meaning is not NOTHING for use in resolved]
            known = _Entry(state, file.selected(keep), [use for use in resolved if use.meaning is not NOTHING])
            self._keep(path, known)
            if self._kept.store is not None and (key := self._key(path, state)):
                self._kept.store.put(key, _encoded(known))
        return (known.file, known.uses) if len(known.file) else None

    def _known(self, path: str, state: Hashable) -> _Entry | None:
        known = self._files.get(path)
        if known is not None and known.state == state:
            return known
        if self._kept.store is None or not (key := self._key(path, state)):
            return None
        text = self._kept.store.get(key)
        known = _decoded(text, path, len(self._name), state) if text else None
        if known is not None:
            self._keep(path, known)
        return known

    def _keep(self, path: str, entry: _Entry) -> None:
        self._files[path] = entry
        self._kept.note(len(entry.file) + 1)

    def _key(self, path: str, state: Hashable) -> str:
        """What the uses follow from; "" where something of that is only in memory."""
        if self._headers is None or state is None or self._view.is_open(path):
            return ""
        arch = arch_of(path)
        if arch not in self._configurations:
            self._configurations[arch] = self._view.configuration.of_arch(arch).digest()
        parts = (__version__, str(_VERSION), self._name, path, str(state), self._headers, self._configurations[arch])
        return "\0".join(parts)


def _encoded(entry: _Entry) -> str:
    file = entry.file
    columns = [list(map(int, column)) for column in (file.starts, file.members, file.lines, file.columns)]
    meanings = list({use.meaning: None for use in entry.uses})
    numbers = {meaning: number for number, meaning in enumerate(meanings)}
    uses = [(numbers[use.meaning], str(use.access)) for use in entry.uses]
    return json.dumps([columns, meanings, uses], separators=(",", ":"))


def _decoded(text: str, path: str, size: int, state: Hashable) -> _Entry | None:
    """None for a text that is no entry."""
    try:
        (starts, members, lines, columns), meanings, uses = json.loads(text)
        known = [Meaning(Certainty(certainty), *rest) for certainty, *rest in meanings]
        resolved = list(starmap(lambda number, access: ResolvedUse(known[number], Access(access)), uses))
    except (ValueError, TypeError, IndexError):
        return None
    return _Entry(state, FileUses(path, size, starts, members, lines, columns), resolved)
