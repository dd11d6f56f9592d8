"""Search for a command that runs once: its vectors as they are, or all of it brought up to date."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kexpert.background.database import IndexState, cache_directory
from kexpert.background.indexed_files import OpenIndexedFiles
from kexpert.background.lock import WriterLock
from kexpert.background.progress import OnProgress, ignore_progress
from kexpert.search.chunk_store import ChunkStore
from kexpert.search.indexer import SearchIndexer, SearchSettings, lane_count
from kexpert.search.sync_plan import compare, much_is_new
from kexpert.search.vectors import DIMENSIONS
from kexpert.search.worker import LaneSettings, vectors_identity
from kexpert.search.worker_pool import Lanes


@dataclass(frozen=True, slots=True)
class SearchReport:
    """What search has after a run: chunks, and how many have a vector."""

    chunks: int
    vectors: int
    seconds: float
    db_mb: float = 0.0
    peak_rss_mb: float = 0.0
    failure: str = ""


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
            lane = LaneSettings(root, directory, 0, True, settings.url, settings.embedder)
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
    open_index: OpenIndexedFiles,
    on_progress: OnProgress = ignore_progress,
    on_message: Callable[[str], None] = lambda _: None,
) -> SearchReport:
    """Bring a tree's search up to date with its symbol index and wait for it."""
    began = time.monotonic()
    directory = cache_directory(root)
    if _is_up_to_date(root, directory, settings, open_index):
        return _report(directory, began, 0.0)
    index = SearchIndexer(root, directory, settings, open_index, on_progress=on_progress, on_message=on_message)
    try:
        index.follow(None)
        while not index.wait_idle(0.5):
            pass
        if index.lanes is None:
            return SearchReport(0, 0, time.monotonic() - began, failure=index.failure)
        return _report(directory, began, index.lanes.peak_rss_mb())
    finally:
        index.close()


def _is_up_to_date(root: Path, directory: Path, settings: SearchSettings, open_index: OpenIndexedFiles) -> bool:
    """Whether there is nothing to do, told without loading any vectors."""
    from kexpert.search.embedder import EmbedderError, load_embedder

    if ChunkStore.state_of(directory / "search.db", root) is not IndexState.READY:
        return False
    difference = compare(root, directory, open_index, None, settings.vectors)
    if difference.todo or difference.gone or much_is_new(directory):
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
