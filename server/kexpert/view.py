"""The interface that a feature asks: text, symbols, uses, tables of functions, search.

Every docstring here is a contract; ``index.disk_view`` (a tree), ``workspace.buffer_view`` (files of
no tree) and the tests' view in memory keep it, and one test holds them to it. Paths are relative to the
root, offsets are byte offsets into a file's own bytes, lines are 0-based. Nothing here raises for a name
or path that does not exist.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from kexpert.core.c.source import Source
from kexpert.core.kernel.configuration import Configuration
from kexpert.core.retrieval.chunk import Chunk, ChunkKind
from kexpert.core.symbols import Assignment, FileUses, Flag, Kind, Symbol


class SearchMethod(Enum):
    """How the results of a search are ordered."""

    BM25 = "bm25"
    VECTORS = "vectors"
    FUSED = "fused"  # reciprocal rank fusion of the two
    RERANKED = "reranked"  # by the trained ranker


class FilterError(ValueError):
    """A filter in a query that cannot be applied; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that search found. Scores compare within one search only."""

    path: str
    kind: ChunkKind
    name: str
    line: int
    start: int
    end: int
    score: float
    #: (size in bytes, mtime in ns) of its file when it was indexed.
    identity: tuple[int, int]


class View(ABC):
    """An immutable snapshot of a tree with the open buffers over it. Safe to read from any thread.

    A buffer that differs from its file hides all that the disk says of that file. What is indexed of a
    file that changed on disk is replaced by what the file says now.
    """

    #: Absolute path of the tree; of "/" where there is none.
    root: str
    #: False while the first indexing runs: lists and counts lack files.
    complete: bool

    @cached_property
    def configuration(self) -> Configuration:
        """For which variants are ranked. Whoever makes the view may set it; nothing is decided by default."""
        return Configuration("x86", decides_arch=False)

    # -- text -----------------------------------------------------------------------------------

    @abstractmethod
    def source(self, path: str) -> Source | None:
        """The text of a file, parsed at most once; None if it is not in the tree or cannot be read."""

    @abstractmethod
    def data(self, path: str) -> bytes | None:
        """The bytes that ``source`` has, without keeping them: for questions that read thousands of files."""

    @abstractmethod
    def state_of(self, path: str) -> Hashable:
        """Names the text of a file as it is now: it is another after every change. None if there is no such file."""

    @abstractmethod
    def headers_state(self) -> Hashable:
        """Names what all headers say: it is another after every change of a header, once that is noticed."""

    def lasting_headers_state(self) -> str | None:
        """The same as a text that holds for later processes too; None while the index grows, or where a header is
        changed in a buffer."""
        return None

    @abstractmethod
    def is_open(self, path: str) -> bool:
        """Whether the text of a file is a buffer's, which may differ from the disk."""

    @abstractmethod
    def exists(self, path: str) -> bool:
        """Whether there is such a file in the tree."""

    @abstractmethod
    def list_dir(self, path: str) -> Mapping[str, bool]:
        """Names in a directory -> whether each is a directory; empty if there is no such directory."""

    @abstractmethod
    def files_named(self, name: str) -> list[str]:
        """The indexed and open files with this name, or whose paths end with it: ``hw/regs.h``."""

    def text(self, symbol: Symbol) -> bytes:
        """The bytes of a symbol's definition; empty if they cannot be read."""
        source = self.source(symbol.path)
        return source.data[symbol.start : symbol.end] if source else b""

    # -- symbols --------------------------------------------------------------------------------

    @abstractmethod
    def lookup(self, name: str, kinds: Collection[Kind] = (), limit: int = 200) -> list[Symbol]:
        """Every symbol of exactly this name, all variants; ``kinds`` empty for any kind."""

    @abstractmethod
    def symbols_in(self, path: str) -> list[Symbol]:
        """Every symbol of one file, by position."""

    @abstractmethod
    def lookup_prefix(
        self, prefix: str, limit: int = 200, near: str = "", kinds: Collection[Kind] = ()
    ) -> list[Symbol]:
        """Symbols whose name starts with ``prefix``, one for each name and kind, members included.

        Those in files close to the path ``near`` and those that most functions call come first. ``kinds`` empty for
        any kind.
        An empty prefix finds nothing.
        """

    @abstractmethod
    def lookup_fuzzy(self, pattern: str, limit: int = 200, near: str = "") -> list[Symbol]:
        """Symbols named exactly so, then by prefix, by parts of the name (``page_alloc`` finds
        __alloc_pages), by initials and by letters in order (``kzal``, ``klz``)."""

    @abstractmethod
    def kinds_of(self, names: Collection[str]) -> dict[str, dict[Kind, Flag]]:
        """For each known name its kinds, each with all flags that any symbol of that kind has; for many names at once.

        What is saved and the open buffers; a file that changed on disk counts as it was indexed.
        """

    # -- uses -----------------------------------------------------------------------------------

    @abstractmethod
    def files_mentioning(self, name: str) -> list[str]:
        """Files (C, headers, assembly, Makefiles, Kconfig) that contain the identifier anywhere."""

    @abstractmethod
    def files_that_can_hold(self, clauses: Sequence[Collection[bytes]]) -> list[str]:
        """Files that can hold, for every clause, one of its texts, by path: all that do, and perhaps others.

        ASCII letters are folded: texts are in lower case. Every file for no clauses.
        """

    def wanted_texts(
        self, paths: Sequence[str], wanted: Callable[[bytes], bool], *, can_join: bool = False
    ) -> Iterator[tuple[str, bytes | None]]:
        """Each path of the tree in this order, with the bytes of the file if ``wanted`` takes them, else None.

        Files may be read ahead, and ``wanted`` may be called on several threads. ``can_join``: it takes texts joined by
        newlines if it takes one of them.
        """
        for path in paths:
            data = self.data(path)
            yield path, data if data is not None and wanted(data) else None

    @abstractmethod
    def references(
        self,
        name: str,
        cancelled: Callable[[], bool] = lambda: False,
        within: Collection[str] | None = None,
    ) -> list[FileUses]:
        """Every occurrence in code (not in comments or strings), by path; in the files ``within`` if given.

        Returns an empty list as soon as ``cancelled()``.
        """

    @abstractmethod
    def place_of(self, symbol: Symbol) -> tuple[int, int] | None:
        """(line, character) of a symbol's name without reading the whole file; None where that depends
        on the position encoding or the text is not what was indexed."""

    @abstractmethod
    def callers(self, name: str, limit: int = 1000) -> list[Symbol]:
        """Functions that call ``name``."""

    @abstractmethod
    def caller_count(self, name: str) -> int:
        """How many functions call ``name``, by what is saved; meaningful once ``complete``."""

    @abstractmethod
    def exported(self, names: Sequence[str]) -> set[str]:
        """Those of ``names`` that an EXPORT_SYMBOL gives to modules, by what is saved."""

    # -- tables of functions --------------------------------------------------------------------

    @abstractmethod
    def assignments_of(self, function: str) -> list[Assignment]:
        """Ops tables that hold a function."""

    @abstractmethod
    def implementations(self, struct: str, member: str, limit: int = 2000) -> list[Assignment]:
        """Functions assigned to a member of a struct; ``struct`` "" for any struct."""

    # -- search by meaning ----------------------------------------------------------------------

    @abstractmethod
    def search(self, query: str, limit: int = 20, method: SearchMethod | None = None) -> list[Hit]:
        """Chunks that a question means, best first: functions, records, macros, options, sections.

        The query may hold filters (``path:fs/ext4 kind:struct subsystem:"XFS FILESYSTEM" config:SMP``).
        Raises FilterError.
        """

    @abstractmethod
    def similar(self, chunk: Chunk, limit: int = 10, other_files: bool = False, timeout: float = 2.0) -> list[Hit]:
        """Code most like a piece of code, best first, without that piece (``other_files``: without its file).

        Empty if that is not known within ``timeout`` seconds.
        """


def collected_kinds(names: Collection[str], symbols: Iterable[Symbol]) -> dict[str, dict[Kind, Flag]]:
    """What ``View.kinds_of`` says, from symbols."""
    wanted = frozenset(names)
    found: dict[str, dict[Kind, Flag]] = {}
    for symbol in symbols:
        if symbol.name in wanted:
            kinds = found.setdefault(symbol.name, {})
            kinds[symbol.kind] = kinds.get(symbol.kind, Flag(0)) | symbol.flags
    return found
