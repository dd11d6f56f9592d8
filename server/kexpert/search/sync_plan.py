"""Computes what to add, update and delete in ``search.db`` so that it matches ``index.db`` and Documentation/."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from kexpert.background.file_identity import FileIdentity
from kexpert.background.indexed_files import IndexedFiles, OpenIndexedFiles
from kexpert.background.tree import MAX_FILE_BYTES, FileKind, TreeFile
from kexpert.core.retrieval.chunk import is_documentation, is_generated
from kexpert.search.chunk_store import ChunkStore
from kexpert.search.schema import POSTING_LISTS_FILE

#: Chunks newer than the posting lists from which on these are made anew; FTS5 answers for the newer ones.
_MAX_NEW_CHUNKS = 10_000
_KINDS = (FileKind.C, FileKind.HEADER, FileKind.KCONFIG)


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """Files to read, and paths of files to forget."""

    todo: list[TreeFile]
    gone: list[str]


def make_sync_plan(
    root: Path, directory: Path, open_index: OpenIndexedFiles, paths: Collection[str] | None, with_vectors: bool
) -> SyncPlan:
    """Compare the search database with the symbol index and Documentation/; only ``paths``, if given.

    ``with_vectors``: a file whose chunks are stored and whose vectors are not is read again.
    """
    with (
        contextlib.closing(ChunkStore(directory / "search.db", readonly=True)) as store,
        contextlib.closing(open_index(directory)) as indexed,
    ):
        if paths is not None and not any(path.endswith("/") for path in paths):
            wanted = {file.path: file for path in paths if (file := _searched_file(root, indexed, path))}
            known = {path: identity for path in paths if (identity := store.file(path))}
            unfinished: set[str] = set()
        else:
            wanted = {file.path: file for file in searched_files(root, indexed)}
            known = store.files()
            unfinished = set(store.unfinished()) if with_vectors else set()
    todo = [file for path, file in wanted.items() if known.get(path) != file.identity or path in unfinished]
    return SyncPlan(todo, [path for path in known if path not in wanted])


def _searched_file(root: Path, indexed: IndexedFiles, path: str) -> TreeFile | None:
    if is_documentation(path):
        return _document(root, path)
    file = indexed.file(path)
    return file if file and _is_chunked(file) else None


def searched_files(root: Path, indexed: IndexedFiles) -> Iterator[TreeFile]:
    """Every file of a tree that has chunks: those of the symbol index, and Documentation/."""
    yield from filter(_is_chunked, indexed.files())
    for folder, _, names in os.walk(root / "Documentation"):
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), root)
            if is_documentation(path) and (file := _document(root, path)):
                yield file


def _is_chunked(file: TreeFile) -> bool:
    return file.kind in _KINDS and not is_generated(file.path)


def _document(root: Path, path: str) -> TreeFile | None:
    """A file of Documentation/, which the symbol index does not have."""
    try:
        stat = os.lstat(root / path)
        path.encode()
    except (OSError, ValueError):
        return None
    if stat.st_size > MAX_FILE_BYTES or not os.path.isfile(root / path):
        return None
    return TreeFile(path, FileIdentity.from_stat(stat), FileKind.MAKEFILE)


def are_posting_lists_stale(directory: Path) -> bool:
    """True if too many chunks are newer than the posting lists, which should then be made anew."""
    from kexpert.search.posting_lists import PostingLists, identity_of

    path = directory / POSTING_LISTS_FILE
    with contextlib.closing(ChunkStore(directory / "search.db", readonly=True)) as store:
        if not store.complete or store.last() < _MAX_NEW_CHUNKS:
            return False
        last, wanted = store.last(), store.meta("postings")
    if not wanted or identity_of(path) != wanted:
        return True
    try:
        return last - PostingLists(path).last > _MAX_NEW_CHUNKS
    except (OSError, ValueError):
        return True
