"""Search for a command that runs once: reading the vectors as they are, or bringing all up to date."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kexpert.background.database import IndexState, cache_directory
from kexpert.background.indexed_files import OpenIndexedFiles
from kexpert.background.lock import WriterLock
from kexpert.background.progress import OnProgress, ignore_progress
from kexpert.search.chunk_store import ChunkStore
from kexpert.search.indexer import SearchIndexer, SearchSettings, worker_count
from kexpert.search.sync_plan import are_posting_lists_stale, make_sync_plan
from kexpert.search.vectors import DIMENSIONS
from kexpert.search.worker import WorkerSettings, vectors_identity
from kexpert.search.worker_pool import WorkerPool

if TYPE_CHECKING:
    from kexpert.core.retrieval.chunk import Chunk

_POLL_SECONDS = 0.5
_READY_POLL_SECONDS = 0.1
#: Time for the answer of workers that are ready; a command can wait longer than an editor.
_ANSWER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class SearchReport:
    """Results and costs of a run: all chunks, those that have a vector, time, sizes."""

    chunks: int
    vectors: int
    seconds: float
    db_mb: float = 0.0
    peak_rss_mb: float = 0.0
    failure: str = ""


class VectorReader:
    """The vectors of a tree as they are, for a process that does not write them."""

    def __init__(
        self, root: Path, settings: SearchSettings, on_message: Callable[[str], None], waits: bool = True
    ) -> None:
        """``waits``: a search waits for vectors that are being loaded, as a command can that runs once.

        Begin to load them. If there are none, or a server has them open (only one process may open a folder
        of ChromaDB), a message says so and ``nearest`` finds nothing."""
        directory = cache_directory(root)
        self._waits = waits
        self._pool: WorkerPool | None = None
        self._lock = WriterLock(directory / "vectors.lock")
        database = directory / "search.db"
        if ChunkStore.state_of(database, root) not in (IndexState.READY, IndexState.PARTIAL):
            on_message(f"{root}: nothing is there to search by meaning; run: kexpert index --tree {root}")
        elif not settings.vectors:
            on_message("vectors.enabled is off: words alone are compared")
        elif not settings.url and not self._lock.acquire():
            on_message(f"process {self._lock.holder()} has the vectors of this tree open: words alone are compared")
        else:
            worker = WorkerSettings(root, directory, 0, True, settings.url, settings.embedder)
            self._pool = WorkerPool(worker, worker_count(directory), on_message)

    def nearest(
        self, query: str | Chunk, limit: int, within: Sequence[int] = (), timeout: float = 5.0
    ) -> list[tuple[int, float]]:
        """(chunk, cosine) of the nearest chunks; with ``waits`` the first call waits until the vectors are loaded."""
        if self._pool is None:
            return []
        if not self._waits:
            return self._pool.nearest(query, limit, within, timeout)
        for worker in self._pool.workers:
            worker.wait_ready(_READY_POLL_SECONDS)
        return self._pool.nearest(query, limit, within, _ANSWER_SECONDS)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()
        self._lock.release()


def build_search(
    root: Path,
    settings: SearchSettings,
    open_index: OpenIndexedFiles,
    on_progress: OnProgress = ignore_progress,
    on_message: Callable[[str], None] = lambda _: None,
) -> SearchReport:
    """Bring a tree's search up to date with its symbol index and wait for it."""
    began = time.monotonic()
    directory = cache_directory(root)
    if _is_up_to_date(root, directory, settings, open_index):
        return _report(directory, began, 0.0)
    indexer = SearchIndexer(root, directory, settings, open_index, on_progress=on_progress, on_message=on_message)
    try:
        indexer.index_updated(None)
        while not indexer.wait_idle(_POLL_SECONDS):
            pass
        if indexer.pool is None:
            return SearchReport(0, 0, time.monotonic() - began, failure=indexer.failure)
        return _report(directory, began, indexer.pool.peak_rss_mb())
    finally:
        indexer.close()


def _is_up_to_date(root: Path, directory: Path, settings: SearchSettings, open_index: OpenIndexedFiles) -> bool:
    """True if there is nothing to do, decided without loading any vectors."""
    from kexpert.search.embedder import EmbedderError, load_embedder

    if ChunkStore.state_of(directory / "search.db", root) is not IndexState.READY:
        return False
    plan = make_sync_plan(root, directory, open_index, None, settings.vectors)
    if plan.todo or plan.gone or are_posting_lists_stale(directory):
        return False
    if not settings.vectors:
        return True
    try:
        identity = vectors_identity(load_embedder(settings.embedder, DIMENSIONS))
    except EmbedderError:
        return False
    with contextlib.closing(ChunkStore(directory / "search.db", readonly=True)) as store:
        return all(store.meta(f"embedder-{number}") == identity for number in range(int(store.meta("workers") or 1)))


def _report(directory: Path, began: float, peak_rss_mb: float) -> SearchReport:
    with contextlib.closing(ChunkStore(directory / "search.db", readonly=True)) as store:
        chunks, pending = store.counts()
    files = [path for path in directory.rglob("*") if path.is_file() and not path.name.startswith("index.db")]
    size_mb = sum(path.stat().st_size for path in files) / 1e6
    return SearchReport(chunks, chunks - pending, time.monotonic() - began, size_mb, peak_rss_mb)
