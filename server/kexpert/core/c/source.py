"""One immutable text of a file, with its lines, parse and facts computed lazily."""

from __future__ import annotations

from kexpert.core.c.parse import Parsed, parse
from kexpert.core.positions import LineIndex
from kexpert.core.symbols import FileFacts


class Source:
    """The bytes of a file, and its path (see ``core.paths``).

    Immutable: ``edited`` makes a new ``Source`` that reuses the parse. Threads may share one. There is no lock: two
    threads that ask first at the same time both compute. (``functools.cached_property`` of Python 3.11 would hold one
    lock for all instances of the class.)
    """

    __slots__ = ("__weakref__", "_before", "_facts", "_lines", "_parsed", "_previous", "data", "path")

    def __init__(self, path: str, data: bytes, *, previous: Parsed | None = None, before: Source | None = None) -> None:
        self.path = path
        self.data = data
        self._previous = previous
        self._before = before  # an earlier version of the file whose facts are known
        self._lines: LineIndex | None = None
        self._parsed: Parsed | None = None
        self._facts: FileFacts | None = None

    @property
    def lines(self) -> LineIndex:
        lines = self._lines
        if lines is None:
            lines = self._lines = LineIndex(self.data)
        return lines

    @property
    def parsed(self) -> Parsed:
        parsed = self._parsed
        if parsed is None:
            parsed = self._parsed = parse(self.data, self._previous)
            self._previous = None
        return parsed

    @property
    def facts(self) -> FileFacts:
        """Symbols, calls and assignments of this text, as the index stores them."""
        facts = self._facts
        if facts is None:
            from kexpert.core.c.extract import extract
            from kexpert.core.c.incremental_facts import updated_facts
            from kexpert.core.c.word_scan import identifiers
            from kexpert.core.kernel.kconfig_facts import kconfig_facts
            from kexpert.core.paths import is_build_file, is_kconfig

            before = self._before
            if before is not None and before._facts is not None:
                facts = updated_facts(before.data, before._facts, self.data)
            if is_kconfig(self.path):
                facts = kconfig_facts(self.path, self.data)
            elif is_build_file(self.path):
                facts = FileFacts(identifiers=identifiers(self.data))
            facts = self._facts = facts or extract(self.path, self.data)
            self._before = None
        return facts

    def edited(self, data: bytes) -> Source:
        """The same file with new bytes. Parse and facts are updated incrementally when first asked for."""
        before = self if self._facts is not None else self._before
        return Source(self.path, data, previous=self._parsed or self._previous, before=before)
