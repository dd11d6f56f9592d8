"""One view of the tree: open buffers over the disk index. Features see nothing else.

STUB OF THE INTERFACE while the index is being written; signatures are fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

from kexpert.core.source import Source
from kexpert.core.symbols import Assignment, Kind, Span, Symbol


class View:
    """What features may ask. All paths are relative to ``root``. Immutable as features see it:
    the open buffers it overlays are fixed when it is made; thread-safe for reading.

    A name that an open (unsaved) buffer defines is found there, and rows of the disk index for that
    file are hidden. Rows whose file changed on disk since indexing are re-read before they are used.
    """

    root: str  # absolute
    complete: bool  # False while the first indexing runs: counts and "all" lists are partial

    def source(self, path: str) -> Source | None:
        """The text of a file in the tree: the open buffer, else the disk; None if unreadable."""
        raise NotImplementedError

    def lookup(self, name: str, kinds: Collection[Kind] = (), limit: int = 200) -> list[Symbol]:
        """Every symbol of exactly this name (case matters), all variants."""
        raise NotImplementedError

    def lookup_prefix(self, prefix: str, limit: int = 200, near: str = "") -> list[Symbol]:
        """Symbols (one per name and kind) whose name starts with ``prefix``; those whose path is close to ``near``
        first. Members and enumerators included: filter by kind."""
        raise NotImplementedError

    def lookup_fuzzy(self, pattern: str, limit: int = 200, near: str = "") -> list[Symbol]:
        """Symbols by prefix, then by subwords (``kzal``, ``page_alloc`` -> __alloc_pages), initials, subsequence."""
        raise NotImplementedError

    def symbols_in(self, path: str) -> list[Symbol]:
        """Every symbol of one file in order of position."""
        raise NotImplementedError

    def text(self, symbol: Symbol) -> bytes:
        """The bytes of ``symbol.start:symbol.end``; empty when they cannot be read."""
        raise NotImplementedError

    def references(self, name: str, cancelled: Callable[[], bool] = lambda: False) -> Iterator[Span]:
        """Every occurrence in code (not in comments or strings) over the tree, file by file."""
        raise NotImplementedError

    def files_mentioning(self, name: str) -> list[str]:
        """Files (C, headers, assembly, Makefiles, Kconfig) in which the identifier occurs."""
        raise NotImplementedError

    def callers(self, name: str, limit: int = 1000) -> list[Symbol]:
        """Functions that call ``name``."""
        raise NotImplementedError

    def caller_count(self, name: str) -> int:
        raise NotImplementedError

    def assignments_of(self, function: str) -> list[Assignment]:
        """Ops tables in which a function stands."""
        raise NotImplementedError

    def implementations(self, struct: str, member: str, limit: int = 2000) -> list[Assignment]:
        """Functions assigned to a member of a struct; ``struct`` "" for any."""
        raise NotImplementedError

    def list_dir(self, path: str) -> Mapping[str, bool]:
        """Names in a directory of the tree -> whether each is a directory; empty if it is none."""
        raise NotImplementedError
