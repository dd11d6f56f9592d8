"""Keeping what search needs in step with the symbol index, in the background.

``search.db`` and the vectors follow ``index.db``: whatever the symbol index knows of a file (its size and
mtime), search is made to know too. The two are compared at the start and after each update, so it does not
matter when either was killed.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kexpert.background.database import IndexState, discard
from kexpert.background.file_order import by_priority
from kexpert.background.indexed_files import OpenIndexedFiles
from kexpert.background.lock import WriterLock
from kexpert.background.process_pool import default_jobs
from kexpert.background.progress import Progress
from kexpert.background.tree import TreeFile
from kexpert.search.chunk_store import POSTINGS, ChunkStore
from kexpert.search.sync_plan import Difference, compare, much_is_new
from kexpert.search.vectors import discard as vectors_discard
from kexpert.search.worker import FileToRead, LaneSettings, lane_of, vectors_folder
from kexpert.search.worker_pool import LaneDamaged, LaneFailed, Lanes

#: More lanes take more memory (some 400 MB each) and make a query ask more processes.
_MAX_LANES = 4
#: Bytes of source that a batch holds: what is done again after a kill, and how often FTS5 writes a segment.
_BATCH_BYTES = 2 << 20
_PATIENCE_SECONDS = 3.0
#: A lane that dies this often at its work is not started again.
_DEATHS = 3


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """How search is kept: see the options ``vectors.*``."""

    vectors: bool = True
    url: str = ""
    embedder: str = ""


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


class _GiveUp(Exception):
    """What was tried does not help."""


class SearchIndexer:
    """A tree's chunks and vectors. It begins when ``follow`` is first called, and learns by it what changes."""

    def __init__(
        self,
        root: Path,
        directory: Path,
        settings: SearchSettings,
        open_index: OpenIndexedFiles,
        *,
        lanes: int = 0,
        on_ready: Callable[[], None] = lambda: None,
        on_progress: Callable[[Progress], None] = lambda _: None,
        on_message: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.root = root
        self.directory = directory
        self.settings = settings
        self._open_index = open_index
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
            self.root, self.directory, 0, self.settings.vectors, self.settings.url, self.settings.embedder,
            self._open_index,
        )  # fmt: skip
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
        difference = compare(self.root, self.directory, self._open_index, None if whole else paths, with_vectors)
        self._carry_out(difference, whole)

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
        left = [deque(_batches([f for f in by_priority(difference.todo, self._near) if lane_of(f.path, count) == lane]))
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
        if much_is_new(self.directory):
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
        difference = compare(self.root, self.directory, self._open_index, paths, False)
        for lane, process in enumerate(self.lanes.processes):
            todo = [as_read(file) for file in difference.todo if lane_of(file.path, count) == lane]
            gone = [path for path in difference.gone if lane_of(path, count) == lane]
            if todo or gone:
                process.submit("index", todo, gone)


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
