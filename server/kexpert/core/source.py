"""One immutable text with what can be read off it, each read at most once."""

from __future__ import annotations

from functools import cached_property

from kexpert.core.parse import Parsed, parse
from kexpert.core.symbols import FileFacts
from kexpert.core.text import LineIndex


class Source:
    """A file's bytes under its path (relative to the tree, ``/`` between parts).

    Immutable: an edit makes a new ``Source`` by ``edited``, which reuses the parse.
    """

    def __init__(self, path: str, data: bytes, *, previous: Parsed | None = None) -> None:
        self.path = path
        self.data = data
        self._previous = previous

    @cached_property
    def lines(self) -> LineIndex:
        return LineIndex(self.data)

    @cached_property
    def parsed(self) -> Parsed:
        parsed = parse(self.data, self._previous)
        self._previous = None
        return parsed

    @cached_property
    def facts(self) -> FileFacts:
        """Symbols, calls and ops of this text, as indexing would store them."""
        from kexpert.core.extract import extract

        return extract(self.path, self.data)

    def edited(self, data: bytes) -> Source:
        """The same file with new bytes; costs a reparse of what changed, when first asked."""
        return Source(self.path, data, previous=self.__dict__.get("parsed", self._previous))
