"""A process that cuts files into chunks, writes their words and vectors, and answers which are near.

Each file belongs to one lane (by its path), so lanes share nothing but the search database, and use as many
processors as there are lanes. A lane puts its work off for every question that comes in.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sqlite3
import zlib
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kexpert.background.indexed_files import IndexedFiles, OpenIndexedFiles
from kexpert.background.tree import read
from kexpert.core.retrieval.chunk import Chunk, chunks
from kexpert.core.symbols import FileFacts, Kind
from kexpert.search.chunk_store import POSTINGS, WEIGHTS, Changes, ChunkStore, FileChunks
from kexpert.search.vectors import BATCH, DIMENSIONS, SHARD_CAPACITY, VectorStore, VectorsUnavailable, discard

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kexpert.search.embedder import Embedder

#: Kinds of symbols that chunks are made of.
_CHUNKED = (Kind.FUNCTION, Kind.SYSCALL, Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.MACRO)
#: Questions are answered by who sits at the machine; filling the index can wait.
_NICENESS = 5
_CACHE_KB = 65_536


@dataclass(frozen=True, slots=True)
class LaneSettings:
    """What a lane is told at its start."""

    root: Path
    directory: Path  # of the tree's databases
    number: int
    vectors: bool = True  # False: words alone
    url: str = ""  # of a Chroma server; "" for a folder of the lane's own
    embedder: str = ""
    #: Opens the symbol index; None: it answers questions about vectors that another process writes.
    open_index: OpenIndexedFiles | None = None

    @property
    def writes(self) -> bool:
        return self.open_index is not None

    @property
    def place(self) -> Path | str:
        return self.url or vectors_folder(self.directory, self.number)


@dataclass(frozen=True, slots=True)
class FileToRead:
    """A file as the symbol index has it."""

    path: str
    size: int
    mtime_ns: int


def vectors_folder(directory: Path, lane: int) -> Path:
    """Where a lane of a tree has its vectors."""
    return directory / "vectors" / str(lane)


def vectors_identity(embedder: Embedder) -> str:
    """What vectors are compared with: others made by this embedder and cut to this length."""
    return f"{embedder.identity}:{min(embedder.dimensions, DIMENSIONS)}"


def lane_of(path: str, lanes: int) -> int:
    """The lane that a file belongs to, the same in every process."""
    return zlib.crc32(path.encode("utf-8", "surrogateescape")) % lanes


def run(settings: LaneSettings, connection: Connection) -> None:
    """The process: take requests (id, verb, arguments) until the other end closes or says stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which has lanes stop in good order
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    gc.disable()  # as in the workers of the symbol index: much garbage, no cycles
    with contextlib.suppress(EOFError, BrokenPipeError):
        lane = Lane(settings)
        connection.send((None, "ready", (lane.has_vectors, lane.notes)))
        try:
            _converse(lane, connection)
        finally:
            lane.close()


def _converse(lane: Lane, connection: Connection) -> None:
    """Answer requests in their order, questions before work, and between two steps of work."""
    waiting: deque[tuple[int, str, Any]] = deque()
    work: tuple[int, Iterator[None]] | None = None
    while True:
        while connection.poll(None if work is None and not waiting else 0):
            request, verb, argument = connection.recv()
            if verb == "stop":
                return
            if verb in ("index", "postings"):
                waiting.append((request, verb, argument))
                continue
            try:
                connection.send((request, "done", lane.near(*argument)))
            except VectorsUnavailable as error:
                connection.send((request, "failed", str(error)))
        if work is None and waiting:
            request, verb, argument = waiting.popleft()
            work = request, lane.index(*argument) if verb == "index" else lane.make_postings()
        if work is not None:
            try:
                next(work[1])
            except StopIteration as end:
                connection.send((work[0], "done", end.value))
                work = None
            except (OSError, sqlite3.Error) as error:
                damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
                connection.send((work[0], "damaged" if damaged else "failed", str(error)))
                work = None


class Lane:
    """The databases of one lane, open."""

    def __init__(self, settings: LaneSettings) -> None:
        self._settings = settings
        self.notes: list[str] = []
        self._store = ChunkStore(settings.directory / "search.db", readonly=not settings.writes)
        self._store.db.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
        self._indexed: IndexedFiles | None = settings.open_index(settings.directory) if settings.open_index else None
        self._vectors: VectorStore | None = None
        self._embedder: Embedder | None = None
        self._identity = ""
        if settings.vectors:
            self._open_vectors()

    @property
    def has_vectors(self) -> bool:
        return self._vectors is not None

    def close(self) -> None:
        """Stop in good order: what is half done is known to be, and nothing is torn."""
        if self._settings.writes:
            self._store.mend(number for number, _, torn in self._store.shards(self._settings.number) if torn)
        if self._vectors is not None:
            self._vectors.close()
        self._store.close()
        if self._indexed is not None:
            self._indexed.close()

    # -- vectors --------------------------------------------------------------------------------

    def _open_vectors(self) -> None:
        """Open what is there, after comparing it with what should be there."""
        from kexpert.search.embedder import EmbedderError, load_embedder

        place = self._settings.place
        prefix = self._settings.directory.name[-80:].strip("._-")
        try:
            self._embedder = load_embedder(self._settings.embedder, DIMENSIONS)
            try:
                self._vectors = VectorStore(place, prefix)
            except VectorsUnavailable as error:
                if not isinstance(place, Path) or not self._settings.writes:
                    raise
                self.notes.append(f"{error}; the vectors are made anew")
                discard(place)
                self._vectors = VectorStore(place, prefix)
            self._identity = vectors_identity(self._embedder)
            if self._settings.writes:
                self._compare()
            elif self._store.meta(f"embedder-{self._settings.number}") != self._identity:
                raise VectorsUnavailable("the vectors were made by another embedder")
        except (VectorsUnavailable, EmbedderError, OSError) as error:
            self._vectors = None
            self.notes.append(f"search by meaning is off, words alone are compared: {error}")

    def _compare(self) -> None:
        """Drop the collections whose writer was killed, that are damaged, or that another embedder filled."""
        assert self._vectors is not None and self._embedder is not None
        store, lane = self._store, self._settings.number
        identity = self._identity
        shards = store.shards(lane)
        lost = [number for number, _, torn in shards if torn]
        if store.meta(f"embedder-{lane}") not in (identity, None):
            self.notes.append("another embedder is in use: the vectors are made anew")
            lost = [number for number, _, _ in shards]
        for number, _, _ in shards:
            if number in lost:
                continue
            try:
                held = self._vectors.count(number)
            except VectorsUnavailable as error:
                self.notes.append(f"{error}; its vectors are made anew")
                lost.append(number)
                continue
            wanted = store.vectors_in(number)
            if held < wanted:
                self.notes.append(f"collection {number}: {wanted - held} of {wanted} vectors are missing; made anew")
                lost.append(number)
        if lost:
            store.lose(lost)
            for number in lost:
                self._vectors.drop(number)
        store.set_meta(f"embedder-{lane}", identity)
        doomed = store.doomed(lane)
        self._remove(doomed)
        store.settle(Changes([], doomed))

    def _remove(self, doomed: Sequence[tuple[int, int]]) -> None:
        assert self._vectors is not None
        for shard in {shard for _, shard in doomed}:
            self._vectors.delete(shard, [number for number, held_in in doomed if held_in == shard])

    def near(self, what: str | Chunk, limit: int, within: Sequence[int] = ()) -> list[tuple[int, float]]:
        """(chunk, cosine) of the chunks nearest in meaning to a question, or to a piece of code."""
        if self._vectors is None or self._embedder is None:
            return []
        vector: NDArray[np.float32]
        vector = self._embedder.encode_query(what) if isinstance(what, str) else self._embedder.encode_chunks([what])[0]
        shards = [number for number, _, _ in self._store.shards(self._settings.number)]
        return self._vectors.nearest(shards, vector, limit, within)

    # -- indexing -------------------------------------------------------------------------------

    def index(self, files: Sequence[FileToRead], gone: Sequence[str]) -> Generator[None, None, list[str]]:
        """Bring some files' words and vectors up to date, in steps; the value is a note on each file left out."""
        notes: list[str] = []
        batch = []
        for file in files:
            data = read(self._settings.root, file.path)
            if data is None:
                notes.append(f"{file.path}: cannot be read, not found by search")
                data = b""
            found = chunks(file.path, data, self._facts(file, data))
            batch.append(FileChunks(file.path, file.size, file.mtime_ns, found))
            yield
        changes = self._store.write(batch, gone, self._settings.number, SHARD_CAPACITY)
        del batch
        yield
        if self._vectors is None or self._embedder is None:
            return notes
        try:
            by_shard: dict[int, list[Any]] = {}
            for one in changes.new:
                by_shard.setdefault(one.shard, []).append(one)
            for shard, new in by_shard.items():
                for start in range(0, len(new), BATCH):
                    part = new[start : start + BATCH]
                    vectors = self._embedder.encode_chunks([one.chunk for one in part])
                    self._vectors.upsert(shard, [one.id for one in part], vectors)
                    yield
            self._remove(changes.doomed)
        except VectorsUnavailable as error:
            self._vectors = None
            notes.append(f"{error}; until the next start search compares words alone")
            return notes
        self._store.settle(changes)
        return notes

    def make_postings(self) -> Iterator[None]:
        """Write the posting lists of the whole tree anew, in steps."""
        from kexpert.search.posting_lists import identity, make

        path = self._settings.directory / POSTINGS
        yield from make(self._store, path, WEIGHTS)
        self._store.set_meta("postings", identity(path))

    def _facts(self, file: FileToRead, data: bytes) -> FileFacts | None:
        """The symbols of a file as the index has them, if it has read this very text."""
        if self._indexed is None or not file.path.endswith((".c", ".h")) or len(data) != file.size:
            return None
        indexed = self._indexed.file(file.path)
        if indexed is None or (indexed.size, indexed.mtime_ns) != (file.size, file.mtime_ns):
            return None
        return self._indexed.symbols(file.path, _CHUNKED)
