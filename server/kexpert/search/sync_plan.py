"""What search does not know yet of its tree: ``search.db`` beside ``index.db`` and Documentation/."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from kexpert.background.indexed_files import IndexedFiles, OpenIndexedFiles
from kexpert.background.tree import MAX_FILE_BYTES, FileKind, TreeFile
from kexpert.core.retrieval.chunk import is_documentation, is_generated
from kexpert.search.chunk_store import POSTINGS, ChunkStore

#: Chunks that FTS5 is asked about, besides those in the posting lists.
_AHEAD = 10_000
_KINDS = (FileKind.C, FileKind.HEADER, FileKind.KCONFIG)


@dataclass(frozen=True, slots=True)
class Difference:
    """What search does not know yet, and what it should forget."""

    todo: list[TreeFile]
    gone: list[str]


def compare(
    root: Path, directory: Path, open_index: OpenIndexedFiles, paths: Collection[str] | None, with_vectors: bool
) -> Difference:
    """What the search database lacks of the symbol index and of Documentation/; ``paths``, if given, alone.
    ``with_vectors``: a file lacks something also where its chunks are there and their vectors are not."""
    with (
        contextlib.closing(ChunkStore(directory / "search.db", readonly=True)) as store,
        contextlib.closing(open_index(directory)) as indexed,
    ):
        if paths is not None and not any(path.endswith("/") for path in paths):
            wanted = {file.path: file for path in paths if (file := _wanted(root, indexed, path))}
            known = {path: row for path in paths if (row := store.file(path))}
            unfinished: set[str] = set()
        else:
            wanted = {file.path: file for file in _all_wanted(root, indexed)}
            known = store.files()
            unfinished = set(store.unfinished()) if with_vectors else set()
    todo = [
        file for path, file in wanted.items() if known.get(path) != (file.size, file.mtime_ns) or path in unfinished
    ]
    return Difference(todo, [path for path in known if path not in wanted])


def _wanted(root: Path, indexed: IndexedFiles, path: str) -> TreeFile | None:
    if is_documentation(path):
        return _look_at(root, path)
    file = indexed.file(path)
    return file if file and _is_chunked(file) else None


def _all_wanted(root: Path, indexed: IndexedFiles) -> Iterator[TreeFile]:
    yield from filter(_is_chunked, indexed.files())
    for folder, _, names in os.walk(root / "Documentation"):
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), root)
            if is_documentation(path) and (file := _look_at(root, path)):
                yield file


def _is_chunked(file: TreeFile) -> bool:
    return file.kind in _KINDS and not is_generated(file.path)


def _look_at(root: Path, path: str) -> TreeFile | None:
    try:
        stat = os.lstat(root / path)
        path.encode()
    except (OSError, ValueError):
        return None
    if stat.st_size > MAX_FILE_BYTES or not os.path.isfile(root / path):
        return None
    return TreeFile(path, stat.st_size, stat.st_mtime_ns, FileKind.MAKEFILE)


def much_is_new(directory: Path) -> bool:
    """Whether so many chunks are newer than the posting lists that these are worth making again."""
    from kexpert.search.posting_lists import Postings, identity

    path = directory / POSTINGS
    with contextlib.closing(ChunkStore(directory / "search.db", readonly=True)) as store:
        if not store.complete or store.last() < _AHEAD:
            return False
        last, wanted = store.last(), store.meta("postings")
    if not wanted or identity(path) != wanted:
        return True
    try:
        return last - Postings(path).last > _AHEAD
    except (OSError, ValueError):
        return True
