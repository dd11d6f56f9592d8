"""The search worker: a process that cuts files into chunks, writes their words and vectors, and finds the nearest.

Each file belongs to one worker (by its path), so workers share only the search database, and use as many
processors as there are workers. A worker answers queries between two steps of its indexing.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sqlite3
import zlib
from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kexpert.background.indexed_files import IndexedFiles, OpenIndexedFiles
from kexpert.background.tree import TreeFile, read
from kexpert.background.worker_process import DONE, READY, STOP
from kexpert.core.retrieval.chunk import Chunk, chunks
from kexpert.core.symbols import FileFacts, Kind
from kexpert.search.chunk_store import ChunkStore, FileChunks, VectorChanges, tree_prefix
from kexpert.search.schema import POSTING_LISTS_FILE
from kexpert.search.vectors import BATCH, DIMENSIONS, SHARD_CAPACITY, VectorStore, VectorsUnavailable, discard

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kexpert.search.embedder import Embedder

#: Message kinds for requests that failed.
FAILED = "failed"
DAMAGED = "damaged"
#: Kinds of symbols that chunks are made of.
_CHUNKED = (Kind.FUNCTION, Kind.SYSCALL, Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.MACRO)
#: A full collection of which more vectors are superseded is made anew at the start.
_MAX_SUPERSEDED_SHARE = 0.25
#: Below the server's own priority: indexing can wait, a user who asks cannot.
_NICENESS = 5
_CACHE_KB = 65_536


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Settings of a worker, sent to its process at the start."""

    root: Path
    directory: Path  # of the tree's databases
    number: int
    vectors: bool = True  # False: words alone
    url: str = ""  # of a Chroma server; "" for a folder of the worker's own
    embedder: str = ""
    #: Opens the symbol index; None for a worker that only answers queries, about what another process writes.
    open_index: OpenIndexedFiles | None = None

    @property
    def writes(self) -> bool:
        return self.open_index is not None

    @property
    def vectors_place(self) -> Path | str:
        """The folder or the URL of the vectors."""
        return self.url or vectors_folder(self.directory, self.number)


def vectors_folder(directory: Path, worker: int) -> Path:
    """The folder of a worker's vectors."""
    return directory / "vectors" / str(worker)


def vectors_identity(embedder: Embedder) -> str:
    """The identity of vectors of this embedder as they are stored: only vectors of the same can be compared."""
    return f"{embedder.identity}:{min(embedder.dimensions, DIMENSIONS)}"


def worker_of(path: str, workers: int) -> int:
    """The worker to which a file belongs, the same in every process."""
    return zlib.crc32(path.encode("utf-8", "surrogateescape")) % workers


def run(settings: WorkerSettings, connection: Connection) -> None:
    """Run the process: take requests (id, verb, arguments) until the other end closes or sends STOP."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which stops its workers in good order
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    gc.disable()  # as in the workers of the symbol index: much garbage, no cycles
    with contextlib.suppress(EOFError, BrokenPipeError):
        worker = SearchWorker(settings)
        connection.send((None, READY, (worker.has_vectors, worker.notes)))
        try:
            _serve(worker, connection)
        finally:
            worker.close()


def _serve(worker: SearchWorker, connection: Connection) -> None:
    """Answer queries at once, between two steps of indexing; index requests in their order."""
    waiting: deque[tuple[int, str, Any]] = deque()
    work: tuple[int, Iterator[None]] | None = None
    while True:
        while connection.poll(None if work is None and not waiting else 0):
            request, verb, arguments = connection.recv()
            if verb == STOP:
                return
            if verb in ("index", "posting_lists"):
                waiting.append((request, verb, arguments))
                continue
            try:
                connection.send((request, DONE, worker.nearest(*arguments)))
            except VectorsUnavailable as error:
                connection.send((request, FAILED, str(error)))
        if work is None and waiting:
            request, verb, arguments = waiting.popleft()
            work = request, worker.index(*arguments) if verb == "index" else worker.make_posting_lists()
        if work is not None:
            try:
                next(work[1])
            except StopIteration as end:
                connection.send((work[0], DONE, end.value))
                work = None
            except (OSError, sqlite3.Error) as error:
                damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
                connection.send((work[0], DAMAGED if damaged else FAILED, str(error)))
                work = None


class SearchWorker:
    """The open databases of one worker."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.settings = settings
        self.notes: list[str] = []
        self.store = ChunkStore(settings.directory / "search.db", readonly=not settings.writes)
        self.store.db.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
        self._indexed: IndexedFiles | None = settings.open_index(settings.directory) if settings.open_index else None
        self.vectors: VectorStore | None = None
        self._embedder: Embedder | None = None
        if settings.vectors:
            self._open_vectors()

    @property
    def has_vectors(self) -> bool:
        return self.vectors is not None

    def close(self) -> None:
        """Close all. Unfinished work is recorded in the database, so no collection counts as dirty."""
        if self.settings.writes:
            self.store.mark_clean(shard.number for shard in self.store.shards(self.settings.number) if shard.dirty)
        if self.vectors is not None:
            self.vectors.close()
        self.store.close()
        if self._indexed is not None:
            self._indexed.close()

    # -- vectors --------------------------------------------------------------------------------

    def _open_vectors(self) -> None:
        """Open the vectors after comparing them with the search database; a note says why if that fails."""
        from kexpert.search.embedder import EmbedderError, load_embedder

        place = self.settings.vectors_place
        is_folder = isinstance(place, Path)
        prefix = self.store.collections_prefix if is_folder else tree_prefix(self.settings.directory)
        try:
            self._embedder = load_embedder(self.settings.embedder, DIMENSIONS)
            try:
                self.vectors = VectorStore(place, prefix)
            except VectorsUnavailable as error:
                if not isinstance(place, Path) or not self.settings.writes:
                    raise
                self.notes.append(f"{error}; the vectors are made anew")
                discard(place)
                self.vectors = VectorStore(place, prefix)
            identity = vectors_identity(self._embedder)
            if self.settings.writes:
                self._repair(self.vectors, identity)
            elif self.store.meta(f"embedder-{self.settings.number}") != identity:
                raise VectorsUnavailable("the vectors were made by another embedder")
        except (VectorsUnavailable, EmbedderError, OSError) as error:
            self.vectors = None
            self.notes.append(f"search by meaning is off, words alone are compared: {error}")

    def _repair(self, vectors: VectorStore, identity: str) -> None:
        """Drop collections that are dirty, damaged, short of vectors or made by another embedder; delete vectors
        whose deletion is pending."""
        store, worker = self.store, self.settings.number
        shards = store.shards(worker)
        missing = [shard.number for shard in shards if shard.dirty]
        if store.meta(f"embedder-{worker}") not in (identity, None):
            self.notes.append("another embedder is in use: the vectors are made anew")
            missing = [shard.number for shard in shards]
        full = store.full_shards(SHARD_CAPACITY)
        pending = store.pending_deletes(worker)
        superseded = Counter(shard for _, shard in pending if shard in full)
        for number, count in superseded.items():
            if count > SHARD_CAPACITY * _MAX_SUPERSEDED_SHARE and number not in missing:
                self.notes.append(f"collection {number}: {count} of its vectors are superseded; made anew")
                missing.append(number)
        for shard in shards:
            if shard.number in missing:
                continue
            try:
                held = vectors.count(shard.number)
            except VectorsUnavailable as error:
                self.notes.append(f"{error}; its vectors are made anew")
                missing.append(shard.number)
                continue
            wanted = store.vectors_in(shard.number)
            if held < wanted:
                lacking = f"{wanted - held} of {wanted} vectors are missing"
                self.notes.append(f"collection {shard.number}: {lacking}; made anew")
                missing.append(shard.number)
        if missing:
            store.mark_missing(missing)
            for number in missing:
                vectors.drop(number)
        store.set_meta(f"embedder-{worker}", identity)
        deletes = [delete for delete in pending if delete[1] not in full and delete[1] not in missing]
        _delete(vectors, deletes)
        store.settle(VectorChanges([], deletes))

    def nearest(self, query: str | Chunk, limit: int, within: Sequence[int] = ()) -> list[tuple[int, float]]:
        """(chunk, cosine) of the chunks nearest in meaning to a question or to a piece of code."""
        if self.vectors is None or self._embedder is None:
            return []
        vector: NDArray[np.float32]
        if isinstance(query, str):
            vector = self._embedder.encode_query(query)
        else:
            vector = self._embedder.encode_chunks([query])[0]
        shards = [shard.number for shard in self.store.shards(self.settings.number)]
        spare = int(limit * self.store.superseded_share())  # the caller drops chunks that are gone
        return self.vectors.nearest(shards, vector, limit + spare, within)

    # -- indexing -------------------------------------------------------------------------------

    def index(self, files: Sequence[TreeFile], gone: Sequence[str]) -> Generator[None, None, list[str]]:
        """Bring words and vectors of some files up to date, in steps; returns a note on each file left out."""
        notes: list[str] = []
        batch = []
        for file in files:
            data = read(self.settings.root, file.path)
            if data is None:
                notes.append(f"{file.path}: cannot be read, not found by search")
                data = b""
            found = chunks(file.path, data, self._known_symbols(file, data))
            batch.append(FileChunks(file.path, file.identity, found))
            yield
        changes = self.store.write(batch, gone, self.settings.number, SHARD_CAPACITY)
        del batch
        yield
        if self.vectors is None or self._embedder is None:
            return notes
        try:
            by_shard: dict[int, list[Any]] = {}
            for chunk in changes.new:
                by_shard.setdefault(chunk.shard, []).append(chunk)
            for shard, new in by_shard.items():
                for start in range(0, len(new), BATCH):
                    part = new[start : start + BATCH]
                    vectors = self._embedder.encode_chunks([chunk.chunk for chunk in part])
                    self.vectors.upsert(shard, [chunk.id for chunk in part], vectors)
                    yield
            _delete(self.vectors, changes.deletes)
        except VectorsUnavailable as error:
            self.vectors = None
            notes.append(f"{error}; until the next start search compares words alone")
            return notes
        self.store.settle(changes)
        return notes

    def make_posting_lists(self) -> Iterator[None]:
        """Write the posting lists of the whole tree anew, in steps."""
        from kexpert.search.posting_lists import identity_of, write_posting_lists

        path = self.settings.directory / POSTING_LISTS_FILE
        yield from write_posting_lists(self.store, path)
        self.store.set_meta("postings", identity_of(path))

    def _known_symbols(self, file: TreeFile, data: bytes) -> FileFacts | None:
        """The symbols of a file from the symbol index, if that has read the same text."""
        if self._indexed is None or not file.path.endswith((".c", ".h")) or len(data) != file.size:
            return None
        indexed = self._indexed.file(file.path)
        if indexed is None or indexed.identity != file.identity:
            return None
        return self._indexed.symbols(file.path, _CHUNKED)


def _delete(vectors: VectorStore, deletes: Sequence[tuple[int, int]]) -> None:
    """Delete vectors, given as (number, collection)."""
    for shard in {shard for _, shard in deletes}:
        vectors.delete(shard, [number for number, held_in in deletes if held_in == shard])
