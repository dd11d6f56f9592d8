"""The search indexer: keeps chunks and vectors in step with the symbol index, in the background.

``search.db`` and the vectors follow ``index.db``. The two are compared at the start and after each update of the
symbol index, so it does not matter when either was killed.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kexpert.background.batches import batches
from kexpert.background.database import IndexState, discard
from kexpert.background.file_order import by_priority
from kexpert.background.indexed_files import OpenIndexedFiles
from kexpert.background.lock import WriterLock
from kexpert.background.process_pool import default_jobs
from kexpert.background.progress import OnProgress, Progress, ignore_progress
from kexpert.background.tree import TreeFile
from kexpert.background.worker_process import WorkerFailed
from kexpert.background.worker_thread import WorkerThread
from kexpert.search.chunk_store import ChunkStore
from kexpert.search.schema import POSTING_LISTS_FILE
from kexpert.search.seeding import SeedingCancelled, seed
from kexpert.search.sync_plan import SyncPlan, are_posting_lists_stale, make_sync_plan
from kexpert.search.vectors import discard as discard_vectors
from kexpert.search.worker import WorkerSettings, vectors_folder, worker_of
from kexpert.search.worker_pool import SearchDatabaseDamaged, WorkerPool

if TYPE_CHECKING:
    from kexpert.core.retrieval.chunk import Chunk

#: More workers take more memory (about 400 MB each) and make a query ask more processes.
_MAX_WORKERS = 4
#: Batches given to a worker at a time: the one that it works at and the next.
_MAX_BATCHES_UNDER_WAY = 2
#: Bytes of source in a batch: it is repeated after a kill, and makes one FTS5 segment.
_BATCH_BYTES = 2 << 20
_RETRY_SECONDS = 3.0
_POLL_SECONDS = 0.2
_READY_POLL_SECONDS = 0.05
_CLOSE_SECONDS = 60.0
#: A worker that dies more often at its work is not started again.
_MAX_DEATHS = 3
#: A sync of more files shows progress, and so does the first one.
_MIN_PROGRESS_FILES = 200
_MAX_NOTES_PER_BATCH = 20
_TITLE = "Indexing for search"


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """The options ``vectors.*``."""

    vectors: bool = True
    url: str = ""
    embedder: str = ""


def prepare(root: Path, directory: Path, workers: int) -> str | None:
    """Make sure that there is a search database of this version; returns a line for the user if an old one was
    thrown away."""
    database = directory / "search.db"
    state = ChunkStore.state_of(database, root)
    if state in (IndexState.READY, IndexState.PARTIAL):
        return None
    discard(database)
    (directory / POSTING_LISTS_FILE).unlink(missing_ok=True)
    discard_vectors(directory / "vectors")
    with contextlib.closing(ChunkStore(database)) as store:
        store.create(root)
        store.set_meta("workers", str(workers))
    return None if state is IndexState.MISSING else f"{database}: {state.value}; building it anew"


def worker_count(directory: Path) -> int:
    """The number of workers among which a tree's files were divided when its search database was created."""
    with contextlib.closing(ChunkStore(directory / "search.db", readonly=True)) as store:
        return int(store.meta("workers") or 1)


class _GiveUpError(Exception):
    """Restarting workers does not help."""


class SearchIndexer:
    """A tree's chunks and vectors. It starts with the first ``index_updated``, which also reports later changes."""

    def __init__(
        self,
        root: Path,
        directory: Path,
        settings: SearchSettings,
        open_index: OpenIndexedFiles,
        *,
        workers: int = 0,
        on_ready: Callable[[], None] = lambda: None,
        on_progress: OnProgress = ignore_progress,
        on_message: Callable[[str], None] = lambda _: None,
    ) -> None:
        """``workers``: 0 for one a processor, up to four. ``on_ready`` is called when all workers have started."""
        self.root = root
        self.directory = directory
        self.settings = settings
        self.pool: WorkerPool | None = None
        self.failure = ""
        self._open_index = open_index
        self._workers = workers or min(default_jobs(), _MAX_WORKERS)
        self._on_ready = on_ready
        self._on_progress = on_progress
        self._on_message = on_message
        self._lock = WriterLock(directory / "vectors.lock")
        self._changed: set[str] = set()
        self._open_paths: tuple[str, ...] = ()
        self._compare_all = True
        self._rebuild = False
        self._cancelled = False
        self._is_progress_shown = False
        self._deaths: dict[int, int] = {}
        self._thread = WorkerThread(
            "kexpert-search",
            self._step,
            errors=(OSError, sqlite3.Error),
            on_error=lambda error: on_message(f"search: {error}"),
            retry_seconds=lambda: _RETRY_SECONDS,
        )
        self._thread.set_idle()

    def close(self) -> None:
        """Stop the thread and the workers."""
        self._thread.close(_CLOSE_SECONDS)
        self._stop_pool()
        self._lock.release()

    def index_updated(self, paths: Iterable[str] | None, open_paths: Iterable[str] = ()) -> None:
        """Report that the symbol index is complete and has read ``paths`` again (None: any). Never blocks."""
        with self._thread.new_work():
            if paths is None:
                self._compare_all = True
            else:
                self._changed.update(paths)
            self._open_paths = tuple(open_paths)
        self._thread.start()

    def cancel(self) -> None:
        """Give out no more work of the running sync; the next start goes on with it."""
        self._cancelled = True

    def wait_idle(self, timeout_seconds: float) -> bool:
        """Wait until nothing is left to do; False when the time is over first."""
        return self._thread.wait_idle(timeout_seconds)

    def nearest(
        self, query: str | Chunk, limit: int, within: Any = (), timeout: float = 5.0
    ) -> list[tuple[int, float]]:
        """(chunk, cosine) of the nearest chunks; empty while no vectors are open."""
        pool = self.pool
        return pool.nearest(query, limit, within, timeout) if pool else []

    def report_damage(self) -> None:
        """Report a damaged page of the search database: it is built anew."""
        with self._thread.new_work():
            self._rebuild = True

    # -- the background thread ------------------------------------------------------------------

    def _step(self) -> None:
        try:
            if self.pool is None and not self._start_pool():
                self._thread.pause(_RETRY_SECONDS)
                return
            self._sync_once()
        except _GiveUpError as reason:
            self.failure = str(reason)
            self._on_message(f"search: {reason}")
            self._end_progress(0)
            self._stop_pool()
            self._thread.stop()

    def _start_pool(self) -> bool:
        """Become the one process that has the vectors open; False while another is."""
        if not self._lock.acquire():
            self.failure = f"process {self._lock.holder()} has the vectors of this tree open"
            self._thread.set_idle()
            return False
        try:
            begun = seed(
                self.root, self.directory, self._open_index, self.settings.vectors and not self.settings.url,
                self._on_progress, lambda: self._thread.stopping,
            )  # fmt: skip
        except SeedingCancelled:
            return False
        for message in (begun, prepare(self.root, self.directory, self._workers)):
            if message:
                self._on_message(message)
        settings = WorkerSettings(
            self.root, self.directory, 0, self.settings.vectors, self.settings.url, self.settings.embedder,
            self._open_index,
        )  # fmt: skip
        if ChunkStore.state_of(self.directory / "search.db", self.root) is IndexState.PARTIAL:
            self._show_progress(0, 0)  # the workers load first, and meanwhile searches lack much
        self.pool = WorkerPool(settings, worker_count(self.directory), self._on_message)
        self._compare_all = True
        return True

    def _show_progress(self, done: int, total: int) -> None:
        self._is_progress_shown = True
        self._on_progress(Progress(_TITLE, done, total))

    def _end_progress(self, files: int) -> None:
        if self._is_progress_shown:
            self._is_progress_shown = False
            self._on_progress(Progress(_TITLE, files, files, "", finished=True))

    def _stop_pool(self) -> None:
        if self.pool is not None:
            self.pool.close()
            self.pool = None

    def _sync_once(self) -> None:
        """Wait for work and do it."""
        with self._thread.next_work(lambda: bool(self._compare_all or self._changed or self._rebuild)):
            paths, self._changed = self._changed, set()
            compare_all, self._compare_all = self._compare_all, False
            rebuild, self._rebuild = self._rebuild, False
        if self._thread.stopping:
            return
        state = ChunkStore.state_of(self.directory / "search.db", self.root)
        if not rebuild and state not in (IndexState.READY, IndexState.PARTIAL):  # somebody removed it
            self._end_progress(0)
            self._stop_pool()
            self._lock.release()
            return
        if rebuild:
            self._on_message(f"{self.directory / 'search.db'}: damaged; building it anew")
            self._stop_pool()
            discard(self.directory / "search.db")
            return
        assert self.pool is not None
        while not self.pool.is_ready:  # a worker that starts may find that vectors are missing
            for worker in self.pool.workers:
                if not worker.alive:
                    self._restart(worker.settings.number)
                    compare_all = True
            self._thread.pause(_READY_POLL_SECONDS)
            if self._thread.stopping:
                return
        self._on_ready()
        with_vectors = self.settings.vectors and self.pool.has_vectors
        plan = make_sync_plan(
            self.root, self.directory, self._open_index, None if compare_all else paths, with_vectors
        )
        if self._carry_out(plan, compare_all):
            self._finish(compare_all, len(plan.todo))

    def _restart(self, number: int) -> None:
        """Restart a worker that died. Its second death discards its vectors, which may be the reason."""
        assert self.pool is not None
        deaths = self._deaths[number] = self._deaths.get(number, 0) + 1
        if deaths > _MAX_DEATHS:
            raise _GiveUpError(f"a process died {deaths} times; search compares words alone until the next start")
        if deaths > 1 and not self.settings.url:
            self._on_message("search: a process died at its vectors twice; they are made anew")
            self.pool.workers[number].close()
            discard_vectors(vectors_folder(self.directory, number))
            with contextlib.closing(ChunkStore(self.directory / "search.db")) as store:
                store.mark_missing([shard.number for shard in store.shards(number)])
        self.pool.restart(number)

    def _carry_out(self, plan: SyncPlan, compare_all: bool) -> bool:
        """Give the workers their files, a batch at a time, those near open files first. False if not all was done."""
        assert self.pool is not None
        count, total = len(self.pool.workers), len(plan.todo)
        left = [deque(_batches(files)) for files in _divided(by_priority(plan.todo, self._open_paths), count)]
        gone = [[path for path in plan.gone if worker_of(path, count) == number] for number in range(count)]
        running: dict[Future[list[str]], tuple[int, list[TreeFile]]] = {}
        done = 0
        failed = self._cancelled = False
        shows_progress = compare_all and (total > _MIN_PROGRESS_FILES or self._is_progress_shown)
        while not self._thread.stopping:
            if self._cancelled:
                left = [deque() for _ in range(count)]
            for number in range(count):
                under_way = sum(1 for worker, _ in running.values() if worker == number)
                while (left[number] or gone[number]) and under_way < _MAX_BATCHES_UNDER_WAY:
                    batch = left[number].popleft() if left[number] else []
                    running[self.pool.workers[number].submit("index", batch, gone[number])] = number, batch
                    gone[number] = []
                    under_way += 1
            if not running:
                break
            finished, _ = wait(running, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
            for future in finished:
                number, batch = running.pop(future)
                try:
                    for note in future.result()[:_MAX_NOTES_PER_BATCH]:
                        self._on_message(note)
                    done += len(batch)
                except SearchDatabaseDamaged:
                    self.report_damage()
                    return False
                except WorkerFailed as error:
                    self._on_message(f"search: {error}")
                    if not self.pool.workers[number].alive:
                        self._restart(number)
                    failed = self._compare_all = True
            if shows_progress and finished:
                self._show_progress(done, total)
            if compare_all and self._changed:
                self._submit_saved()
        if self._cancelled and not self._thread.stopping:
            self._on_message(f"indexing for search stopped on request, {total - done} files left")
            self._end_progress(done)
            return False
        if failed:
            self._thread.pause(_RETRY_SECONDS)
        return not (failed or self._thread.stopping)

    def _finish(self, compare_all: bool, files: int) -> None:
        """After a sync: mark the database as complete, make posting lists if they are stale, end the progress."""
        assert self.pool is not None
        with contextlib.closing(ChunkStore(self.directory / "search.db")) as store:
            if compare_all and not self._compare_all and not store.complete:
                store.finish()
        if are_posting_lists_stale(self.directory):
            self._await(self.pool.workers[0].submit("posting_lists"))
        if compare_all:
            self._end_progress(files)

    def _await(self, future: Future[Any]) -> None:
        """Wait for a worker; meanwhile give it the files that are saved."""
        while not self._thread.stopping:
            if wait([future], timeout=_POLL_SECONDS).done:
                with contextlib.suppress(WorkerFailed):
                    future.result()
                return
            if self._changed:
                self._submit_saved()

    def _submit_saved(self) -> None:
        """Give the workers the files that were saved meanwhile, before the rest of the tree."""
        assert self.pool is not None
        with self._thread.lock():
            paths, self._changed = self._changed, set()
        count = len(self.pool.workers)
        plan = make_sync_plan(self.root, self.directory, self._open_index, paths, False)
        for number, todo in enumerate(_divided(plan.todo, count)):
            gone = [path for path in plan.gone if worker_of(path, count) == number]
            if todo or gone:
                self.pool.workers[number].submit("index", todo, gone)


def _divided(files: Iterable[TreeFile], workers: int) -> list[list[TreeFile]]:
    """The files of each worker, in their order."""
    parts: list[list[TreeFile]] = [[] for _ in range(workers)]
    for file in files:
        parts[worker_of(file.path, workers)].append(file)
    return parts


def _batches(files: Iterable[TreeFile]) -> Iterable[list[TreeFile]]:
    return batches(files, lambda file: file.size, lambda before, number: _BATCH_BYTES)
