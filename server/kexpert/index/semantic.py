"""Keeping what search needs in step with the symbol index, in the background.

``search.db`` and the vectors follow ``index.db``: whatever the symbol index knows of a file (its size and
mtime), search is made to know too. The two are compared at the start and after each update, so it does not
matter when either was killed.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kexpert.core.chunk import is_generated
from kexpert.index.build import Progress, default_jobs, in_order
from kexpert.index.database import IndexState, cache_directory, discard
from kexpert.index.lane import FileToRead, LaneSettings, lane_of, vectors_folder, vectors_identity
from kexpert.index.lanes import LaneDamaged, LaneFailed, Lanes
from kexpert.index.lexical import POSTINGS, ChunkStore
from kexpert.index.lock import WriterLock
from kexpert.index.store import Store
from kexpert.index.tree import MAX_FILE_BYTES, FileKind, TreeFile
from kexpert.index.vectors import DIMENSIONS
from kexpert.index.vectors import discard as vectors_discard

#: More lanes take more memory (some 400 MB each) and make a query ask more processes.
_MAX_LANES = 4
#: Bytes of source that a batch holds: what is done again after a kill, and how often FTS5 writes a segment.
_BATCH_BYTES = 2 << 20
_PATIENCE_SECONDS = 3.0
#: Chunks that FTS5 is asked about, besides those in the posting lists.
_AHEAD = 10_000
#: A lane that dies this often at its work is not started again.
_DEATHS = 3
_KINDS = (FileKind.C, FileKind.HEADER, FileKind.KCONFIG)


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """How search is kept: see the options ``vectors.*``."""

    vectors: bool = True
    url: str = ""
    embedder: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """What search does not know yet, and what it should forget."""

    todo: list[TreeFile]
    gone: list[str]


def prepare(root: Path, directory: Path, lanes: int) -> str | None:
    """Make sure that there is a search database of this version; the line to tell when an old one was thrown away."""
    database = directory / "search.db"
    state = ChunkStore.state_of(database, root)
    if state in (IndexState.READY, IndexState.PARTIAL):
        return None
    discard(database)
    (directory / POSTINGS).unlink(missing_ok=True)
    vectors_discard(directory / "vectors")
    with contextlib.closing(ChunkStore(database)) as store:
        store.create(root)
        store.set_meta("lanes", str(lanes))
    return None if state is IndexState.MISSING else f"{database}: {state.value}; building it anew"


def lane_count(directory: Path) -> int:
    """Into how many lanes a tree's search was divided when it was made."""
    with contextlib.closing(ChunkStore(directory / "search.db", readonly=True)) as store:
        return int(store.meta("lanes") or 1)


def compare(root: Path, directory: Path, paths: Collection[str] | None, with_vectors: bool) -> Difference:
    """What the search database lacks of the symbol index and of Documentation/; ``paths``, if given, alone.
    ``with_vectors``: a file lacks something also where its chunks are there and their vectors are not."""
    with (
        contextlib.closing(ChunkStore(directory / "search.db", readonly=True)) as store,
        contextlib.closing(Store(directory / "index.db", readonly=True)) as symbols,
    ):
        if paths is not None and not any(path.endswith("/") for path in paths):
            wanted = {file.path: file for path in paths if (file := _wanted(root, symbols, path))}
            known = {path: row for path in paths if (row := store.file(path))}
            unfinished: set[str] = set()
        else:
            wanted = {file.path: file for file in _all_wanted(root, symbols)}
            known = store.files()
            unfinished = set(store.unfinished()) if with_vectors else set()
    todo = [
        file for path, file in wanted.items() if known.get(path) != (file.size, file.mtime_ns) or path in unfinished
    ]
    return Difference(todo, [path for path in known if path not in wanted])


def _wanted(root: Path, symbols: Store, path: str) -> TreeFile | None:
    if is_documentation(path):
        return _look_at(root, path)
    row = symbols.db.execute("SELECT path, size, mtime_ns, kind FROM files WHERE path = ?", (path,)).fetchone()
    return _of_row(row) if row else None


def _all_wanted(root: Path, symbols: Store) -> Iterator[TreeFile]:
    for row in symbols.db.execute("SELECT path, size, mtime_ns, kind FROM files"):
        file = _of_row(row)
        if file is not None:
            yield file
    for folder, _, names in os.walk(root / "Documentation"):
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), root)
            if is_documentation(path) and (file := _look_at(root, path)):
                yield file


def _of_row(row: tuple[str, int, int, int]) -> TreeFile | None:
    path, size, mtime_ns, kind = row
    return TreeFile(path, size, mtime_ns, FileKind(kind)) if kind in _KINDS and not is_generated(path) else None


def is_documentation(path: str) -> bool:
    """Whether sections of this file are found by search: the symbol index does not know it."""
    return path.startswith("Documentation/") and path.endswith((".rst", ".txt"))


def _look_at(root: Path, path: str) -> TreeFile | None:
    try:
        stat = os.lstat(root / path)
        path.encode()
    except (OSError, ValueError):
        return None
    if stat.st_size > MAX_FILE_BYTES or not os.path.isfile(root / path):
        return None
    return TreeFile(path, stat.st_size, stat.st_mtime_ns, FileKind.MAKEFILE)


class _GiveUp(Exception):
    """What was tried does not help."""


class SemanticIndex:
    """A tree's chunks and vectors. It begins when ``follow`` is first called, and learns by it what changes."""

    def __init__(
        self,
        root: Path,
        directory: Path,
        settings: SearchSettings,
        *,
        lanes: int = 0,
        on_ready: Callable[[], None] = lambda: None,
        on_progress: Callable[[Progress], None] = lambda _: None,
        on_message: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.root = root
        self.directory = directory
        self.settings = settings
        self.lanes: Lanes | None = None
        self.failure = ""
        self._wanted_lanes = lanes or min(default_jobs(), _MAX_LANES)
        self._on_ready = on_ready
        self._on_progress = on_progress
        self._on_message = on_message
        self._lock = WriterLock(directory / "vectors.lock")
        self._wake = threading.Condition()
        self._paths: set[str] = set()
        self._whole = True
        self._rebuild = False
        self._near: tuple[str, ...] = ()
        self._stopping = False
        self._started = False
        self._cancelled = False
        self._deaths: dict[int, int] = {}
        self._idle = threading.Event()
        self._idle.set()
        self._thread = threading.Thread(target=self._run, name="kexpert-search", daemon=True)

    def close(self) -> None:
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout=60)
        self._stop_lanes()
        self._lock.release()

    def follow(self, paths: Iterable[str] | None, near: Iterable[str] = ()) -> None:
        """The symbol index is complete, and has read these files again, or (None) any. Never blocks."""
        with self._wake:
            if paths is None:
                self._whole = True
            else:
                self._paths.update(paths)
            self._near = tuple(near)
            self._idle.clear()
            self._wake.notify_all()
            if not (self._started or self._stopping):
                self._started = True
                self._thread.start()

    def cancel(self) -> None:
        """Give out no more work of the run that is under way; the next start goes on with it."""
        self._cancelled = True

    def wait_idle(self, timeout: float) -> bool:
        """Wait until nothing is left to do."""
        return self._idle.wait(timeout)

    def near(self, what: Any, limit: int, within: Any = (), timeout: float = 5.0) -> list[tuple[int, float]]:
        """(chunk, cosine) by meaning; nothing where the vectors are not at hand (yet, or any more)."""
        lanes = self.lanes
        return lanes.near(what, limit, within, timeout) if lanes else []

    def damaged(self) -> None:
        """Somebody met a damaged page of the search database."""
        with self._wake:
            self._rebuild = True
            self._idle.clear()
            self._wake.notify_all()

    # -- the background thread ------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            try:
                if self.lanes is None and not self._start_lanes():
                    self._pause(_PATIENCE_SECONDS)
                    continue
                self._step()
            except _GiveUp as reason:
                self.failure = str(reason)
                self._on_message(f"search: {reason}")
                self._stop_lanes()
                self._idle.set()
                return
            except (OSError, sqlite3.Error) as error:
                self._on_message(f"search: {error}")
                self._pause(_PATIENCE_SECONDS)

    def _pause(self, seconds: float) -> None:
        with self._wake:
            self._wake.wait_for(lambda: self._stopping, seconds)

    def _start_lanes(self) -> bool:
        """Become the one process that has the vectors open; False while another is."""
        if not self._lock.acquire():
            self.failure = f"process {self._lock.holder()} has the vectors of this tree open"
            self._idle.set()
            return False
        message = prepare(self.root, self.directory, self._wanted_lanes)
        if message:
            self._on_message(message)
        settings = LaneSettings(
            self.root, self.directory, 0, self.settings.vectors, self.settings.url, self.settings.embedder
        )
        self.lanes = Lanes(settings, lane_count(self.directory), self._on_message)
        self._whole = True
        return True

    def _stop_lanes(self) -> None:
        if self.lanes is not None:
            self.lanes.close()
            self.lanes = None

    def _step(self) -> None:
        with self._wake:
            if not (self._whole or self._paths or self._rebuild or self._stopping):
                self._idle.set()
                self._wake.wait()
            if self._stopping:
                return
            self._idle.clear()
            paths, self._paths = self._paths, set()
            whole, self._whole = self._whole, False
            rebuild, self._rebuild = self._rebuild, False
        if rebuild:
            self._on_message(f"{self.directory / 'search.db'}: damaged; building it anew")
            self._stop_lanes()
            discard(self.directory / "search.db")
            return
        assert self.lanes is not None
        while not self.lanes.ready:  # what a lane lost is known only then
            for process in self.lanes.processes:
                if not process.alive:
                    self._revive(process.settings.number)
                    whole = True
            self._pause(0.05)
            if self._stopping:
                return
        self._on_ready()
        with_vectors = self.settings.vectors and self.lanes.with_vectors
        self._carry_out(compare(self.root, self.directory, None if whole else paths, with_vectors), whole)

    def _revive(self, number: int) -> None:
        """A lane died: what it has on disk may be the reason."""
        assert self.lanes is not None
        deaths = self._deaths[number] = self._deaths.get(number, 0) + 1
        if deaths > _DEATHS:
            raise _GiveUp(f"a process died {deaths} times; search compares words alone until the next start")
        if deaths > 1 and not self.settings.url:
            self._on_message("search: a process died at its vectors twice; they are made anew")
            self.lanes.processes[number].close()
            vectors_discard(vectors_folder(self.directory, number))
            with contextlib.closing(ChunkStore(self.directory / "search.db")) as store:
                store.lose([shard for shard, _, _ in store.shards(number)])
        self.lanes.restart(number)

    def _carry_out(self, difference: Difference, whole: bool) -> None:
        """Give the lanes their files, a batch at a time, those near what is open first."""
        assert self.lanes is not None
        count = len(self.lanes.processes)
        total = len(difference.todo)
        left = [deque(_batches([f for f in in_order(difference.todo, self._near) if lane_of(f.path, count) == lane]))
                for lane in range(count)]  # fmt: skip
        gone = [[path for path in difference.gone if lane_of(path, count) == lane] for lane in range(count)]
        running: dict[Future[list[str]], tuple[int, list[FileToRead]]] = {}
        done = 0
        failed = self._cancelled = False
        loud = whole and total > 200
        while not self._stopping:
            if self._cancelled:
                left = [deque() for _ in range(count)]
            for lane in range(count):
                while (left[lane] or gone[lane]) and sum(1 for at, _ in running.values() if at == lane) < 2:
                    batch = left[lane].popleft() if left[lane] else []
                    process = self.lanes.processes[lane]
                    running[process.submit("index", batch, gone[lane])] = lane, batch
                    gone[lane] = []
            if not running:
                break
            finished, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
            for future in finished:
                lane, batch = running.pop(future)
                try:
                    for note in future.result()[:20]:
                        self._on_message(note)
                    done += len(batch)
                except LaneDamaged:
                    self.damaged()
                    return
                except LaneFailed as error:
                    self._on_message(f"search: {error}")
                    if not self.lanes.processes[lane].alive:
                        self._revive(lane)
                    failed = self._whole = True
            if loud and finished:
                self._on_progress(Progress("Indexing for search", done, total))
            if whole and self._paths:
                self._save_first()
        if self._stopping:
            return
        if self._cancelled:
            self._on_message(f"indexing for search stopped on request, {total - done} files left")
            self._on_progress(Progress("Indexing for search", done, total, "", finished=True))
            return
        if failed:
            self._pause(_PATIENCE_SECONDS)  # before it is tried again
            return
        with contextlib.closing(ChunkStore(self.directory / "search.db")) as store:
            if whole and not self._whole and not store.complete:
                store.finish()
        if _much_is_new(self.directory):
            self._await(self.lanes.processes[0].submit("postings"))
        if loud:
            self._on_progress(Progress("Indexing for search", total, total, "", finished=True))

    def _await(self, future: Future[Any]) -> None:
        """Wait for a lane, and pass on to it what is saved meanwhile."""
        while not self._stopping:
            if wait([future], timeout=0.2).done:
                with contextlib.suppress(LaneFailed):
                    future.result()
                return
            if self._paths:
                self._save_first()

    def _save_first(self) -> None:
        """What was saved meanwhile goes before what is left of a tree."""
        assert self.lanes is not None
        with self._wake:
            paths, self._paths = self._paths, set()
        count = len(self.lanes.processes)
        difference = compare(self.root, self.directory, paths, False)
        for lane, process in enumerate(self.lanes.processes):
            todo = [as_read(file) for file in difference.todo if lane_of(file.path, count) == lane]
            gone = [path for path in difference.gone if lane_of(path, count) == lane]
            if todo or gone:
                process.submit("index", todo, gone)


def _much_is_new(directory: Path) -> bool:
    """Whether so many chunks are newer than the posting lists that these are worth making again."""
    from kexpert.index.postings import Postings, identity

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


def as_read(file: TreeFile) -> FileToRead:
    return FileToRead(file.path, file.size, file.mtime_ns)


def _batches(files: Iterable[TreeFile]) -> Iterator[list[FileToRead]]:
    batch: list[FileToRead] = []
    size = 0
    for file in files:
        batch.append(as_read(file))
        size += file.size
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


class VectorReader:
    """The vectors of a tree as they are, for a command that runs once."""

    def __init__(self, root: Path, settings: SearchSettings, on_message: Callable[[str], None]) -> None:
        """Begin to load them. Where a server has them open (a folder of ChromaDB's is one process's) or there
        are none, this is said, and nothing is near anything."""
        directory = cache_directory(root)
        self._lanes: Lanes | None = None
        self._lock = WriterLock(directory / "vectors.lock")
        database = directory / "search.db"
        if ChunkStore.state_of(database, root) not in (IndexState.READY, IndexState.PARTIAL):
            on_message(f"{root}: nothing is there to search by meaning; run: kexpert index --tree {root}")
        elif not settings.vectors:
            on_message("vectors.enabled is off: words alone are compared")
        elif not settings.url and not self._lock.acquire():
            on_message(f"process {self._lock.holder()} has the vectors of this tree open: words alone are compared")
        else:
            lane = LaneSettings(root, directory, 0, True, settings.url, settings.embedder, writes=False)
            self._lanes = Lanes(lane, lane_count(directory), on_message)

    def near(self, what: Any, limit: int, within: Sequence[int] = (), timeout: float = 5.0) -> list[tuple[int, float]]:
        """(chunk, cosine) by meaning. The first call waits until the vectors are loaded."""
        if self._lanes is None:
            return []
        for process in self._lanes.processes:
            while process.alive and not process.ready.wait(0.1):
                pass
        return self._lanes.near(what, limit, within, 60.0)

    def close(self) -> None:
        if self._lanes is not None:
            self._lanes.close()
        self._lock.release()


def build_search(
    root: Path,
    settings: SearchSettings,
    on_progress: Callable[[Progress], None] = lambda _: None,
    on_message: Callable[[str], None] = lambda _: None,
) -> SearchReport:
    """Bring a tree's search up to date with its symbol index and wait for it."""
    began = time.monotonic()
    directory = cache_directory(root)
    if _is_up_to_date(root, directory, settings):
        return _report(directory, began, 0.0)
    index = SemanticIndex(root, directory, settings, on_progress=on_progress, on_message=on_message)
    try:
        index.follow(None)
        while not index.wait_idle(0.5):
            pass
        if index.lanes is None:
            return SearchReport(0, 0, time.monotonic() - began, failure=index.failure)
        return _report(directory, began, index.lanes.peak_rss_mb())
    finally:
        index.close()


def _is_up_to_date(root: Path, directory: Path, settings: SearchSettings) -> bool:
    """Whether there is nothing to do, told without loading any vectors."""
    from kexpert.index.embed import EmbedderError, load_embedder

    if ChunkStore.state_of(directory / "search.db", root) is not IndexState.READY:
        return False
    difference = compare(root, directory, None, settings.vectors)
    if difference.todo or difference.gone or _much_is_new(directory):
        return False
    if not settings.vectors:
        return True
    try:
        identity = vectors_identity(load_embedder(settings.embedder, DIMENSIONS))
    except EmbedderError:
        return False
    with contextlib.closing(ChunkStore(directory / "search.db", readonly=True)) as store:
        return all(store.meta(f"embedder-{lane}") == identity for lane in range(int(store.meta("lanes") or 1)))


def _report(directory: Path, began: float, peak_rss_mb: float) -> SearchReport:
    with contextlib.closing(ChunkStore(directory / "search.db", readonly=True)) as store:
        chunks, pending = store.counts()
    disk = [path for path in directory.rglob("*") if path.is_file() and not path.name.startswith("index.db")]
    size = sum(path.stat().st_size for path in disk) / 1e6
    return SearchReport(chunks, chunks - pending, time.monotonic() - began, size, peak_rss_mb)


@dataclass(frozen=True, slots=True)
class SearchReport:
    """What search has after a run: chunks, and how many have a vector."""

    chunks: int
    vectors: int
    seconds: float
    db_mb: float = 0.0
    peak_rss_mb: float = 0.0
    failure: str = ""
