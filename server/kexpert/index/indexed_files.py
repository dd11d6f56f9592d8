"""The symbol index as search reads it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from kexpert.background.file_identity import FileIdentity
from kexpert.background.indexed_files import IndexedFiles
from kexpert.background.tree import FileKind, TreeFile
from kexpert.core.symbols import FileFacts, Flag, Kind, Symbol
from kexpert.index.schema import FILE_SHIFT, SymbolStore

_FILES = "SELECT path, size, mtime_ns, kind FROM files"


class SymbolIndexFiles(IndexedFiles):
    """The files in ``index.db``."""

    def __init__(self, directory: Path) -> None:
        """``directory``: the folder of the tree's databases."""
        self._store = SymbolStore(directory / "index.db", readonly=True)

    def files(self) -> Iterator[TreeFile]:
        return map(_tree_file, self._store.db.execute(_FILES))

    def file(self, path: str) -> TreeFile | None:
        row = self._store.db.execute(f"{_FILES} WHERE path = ?", (path,)).fetchone()
        return _tree_file(row) if row else None

    def symbols(self, path: str, kinds: Collection[Kind]) -> FileFacts | None:
        file = self._store.file(path)
        if file is None:
            return None
        rows = self._store.db.execute(
            "SELECT name, kind, line, at, start, end, flags FROM symbols WHERE id >= ? AND id < ?"
            f" AND kind IN ({','.join(str(int(kind)) for kind in kinds)}) ORDER BY id",
            (file.id << FILE_SHIFT, (file.id + 1) << FILE_SHIFT),
        )
        return FileFacts(
            [
                Symbol(name, Kind(kind), path, line, at, start, end, "", Flag(flags))
                for name, kind, line, at, start, end, flags in rows
            ]
        )

    def close(self) -> None:
        self._store.close()


def _tree_file(row: tuple[str, int, int, int]) -> TreeFile:
    path, size, mtime_ns, kind = row
    return TreeFile(path, FileIdentity(size, mtime_ns), FileKind(kind))
