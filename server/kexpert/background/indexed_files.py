"""The files that the symbol index has read, as search asks for them. Search is kept in step with these."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from kexpert.background.tree import TreeFile
from kexpert.core.symbols import FileFacts, Kind


class IndexedFiles(ABC):
    """A read-only connection to the symbol index of a tree. Not shared between threads."""

    @abstractmethod
    def files(self) -> Iterator[TreeFile]:
        """Every file, with its identity when it was indexed."""

    @abstractmethod
    def file(self, path: str) -> TreeFile | None:
        """One file, with its identity when it was indexed; None if it is not in the index."""

    @abstractmethod
    def symbols(self, path: str, kinds: Collection[Kind]) -> FileFacts | None:
        """The symbols of some kinds in a file, in order; None if it is not in the index."""

    @abstractmethod
    def close(self) -> None: ...


#: Opens the files of the index in a folder of databases. Sent to worker processes, so a class or function of a module.
OpenIndexedFiles = Callable[[Path], IndexedFiles]
