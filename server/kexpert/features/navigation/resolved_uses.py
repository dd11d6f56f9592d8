"""The meanings of the uses of members, kept between questions, by name and file.

An entry holds for one text of its file, one state of all headers and one configuration: what a use means follows from
them. Answers about
``list`` cost half a minute the first time and a moment the next, whatever struct they are about.
"""

from __future__ import annotations

from collections.abc import Hashable

from kexpert.core.c.source import Source
from kexpert.core.symbols import FileUses
from kexpert.features.semantics.member_meaning import NOTHING, MemberMeanings, ResolvedUse
from kexpert.view import View

#: Uses kept; each takes some 100 bytes.
_MAX_USES = 400_000


class ResolvedUses:
    """Kept answers. Threads may share one: each step is a single operation on a dictionary."""

    def __init__(self, max_uses: int = _MAX_USES) -> None:
        self._max_uses = max_uses
        self._kept = 0
        self._state: Hashable = None
        self._names: dict[str, dict[str, tuple[Hashable, FileUses, list[ResolvedUse]]]] = {}

    def reader(self, view: View, name: str) -> NameReader:
        """The uses of one name in the files of a view."""
        configuration = view.configuration
        state = view.headers_state(), configuration if configuration.is_decided else configuration.arch
        if state != self._state:
            self._names, self._kept, self._state = {}, 0, state
        if self._kept > self._max_uses:  # the names that were asked for longest ago go first
            for old in list(self._names)[: len(self._names) // 2 + 1]:
                dropped = self._names.pop(old, {})
                self._kept -= sum(len(file) for _, file, _ in list(dropped.values()))
        files = self._names.pop(name, {})
        self._names[name] = files
        return NameReader(self, view, name, files)

    def note(self, uses: int) -> None:
        self._kept += uses


class NameReader:
    """Finds and resolves the uses of a name, file by file."""

    def __init__(
        self,
        kept: ResolvedUses,
        view: View,
        name: str,
        files: dict[str, tuple[Hashable, FileUses, list[ResolvedUse]]],
    ) -> None:
        self._kept = kept
        self._view = view
        self._name = name
        self._files = files
        self._meanings = MemberMeanings(view)

    def read(self, path: str) -> tuple[FileUses, list[ResolvedUse]] | None:
        """The uses that may be members in one file; None if there are none."""
        state = self._view.state_of(path)
        known = self._files.get(path)
        if known is None or known[0] != state:
            found = self._view.references(self._name, within=(path,))
            file = found[0] if found else FileUses(path, len(self._name), [], [], [], [])
            # the text is read anew, so that thousands of files do not drive the headers out of the view's cache
            source = Source(path, self._view.data(path) or b"")
            resolved = self._meanings.of_file(source, self._name, file.starts) if found else []
            keep = [use.meaning is not NOTHING for use in resolved]
            file = file.selected(keep)
            known = state, file, [use for use in resolved if use.meaning is not NOTHING]
            self._files[path] = known
            self._kept.note(len(file) + 1)
        return (known[1], known[2]) if len(known[1]) else None
