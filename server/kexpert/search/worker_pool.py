"""The search workers of a tree as their owner sees them: processes that index and answer queries."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kexpert.background.worker_process import STOP, WorkerFailed, WorkerProcess
from kexpert.search import worker
from kexpert.search.worker import WorkerSettings

if TYPE_CHECKING:
    from kexpert.core.retrieval.chunk import Chunk


class SearchDatabaseDamaged(WorkerFailed):
    """A worker met a damaged page of the search database."""


class SearchWorkerProcess:
    """One worker: its process, and whether it has its vectors open."""

    def __init__(self, settings: WorkerSettings, on_note: Callable[[str], None]) -> None:
        self.settings = settings
        self.has_vectors = False
        self._on_note = on_note
        self._process = WorkerProcess(
            worker.run, settings, f"kexpert-search-{settings.number}",
            on_ready=self._set_ready, failures={worker.DAMAGED: SearchDatabaseDamaged},
        )  # fmt: skip

    def _set_ready(self, value: tuple[bool, list[str]]) -> None:
        self.has_vectors, notes = value
        for note in notes:
            self._on_note(note)

    @property
    def is_ready(self) -> bool:
        return self._process.ready.is_set() and self._process.alive

    @property
    def alive(self) -> bool:
        return self._process.alive

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def wait_ready(self, poll_seconds: float) -> None:
        """Wait until the process is ready or dead."""
        while self.alive and not self._process.ready.wait(poll_seconds):
            pass

    def submit(self, verb: str, *arguments: Any) -> Future[Any]:
        """Send a request; its future raises WorkerFailed."""
        return self._process.submit(verb, *arguments)

    def close(self) -> None:
        self._process.close()


class WorkerPool:
    """All search workers of a tree. Each has its share of the files, by their paths."""

    def __init__(self, settings: WorkerSettings, count: int, on_note: Callable[[str], None]) -> None:
        """``settings`` are for all workers, whatever their ``number``."""
        self._settings = settings
        self._on_note = on_note
        self.workers = [self._start(number) for number in range(count)]

    def _start(self, number: int) -> SearchWorkerProcess:
        return SearchWorkerProcess(replace(self._settings, number=number), self._on_note)

    def restart(self, number: int) -> None:
        """Replace a dead worker by a new one."""
        self.workers[number].close()
        self.workers[number] = self._start(number)

    @property
    def is_ready(self) -> bool:
        """True if every worker has opened its databases."""
        return all(each.is_ready for each in self.workers)

    @property
    def has_vectors(self) -> bool:
        """True if every worker could open its vectors."""
        return all(each.has_vectors for each in self.workers)

    def nearest(
        self, query: str | Chunk, limit: int, within: Sequence[int] = (), timeout: float = 5.0
    ) -> list[tuple[int, float]]:
        """(chunk, cosine) of the nearest chunks, nearest first, by the workers that answer in time (seconds)."""
        answers = [each.submit("nearest", query, limit, within) for each in self.workers if each.is_ready]
        found: list[tuple[int, float]] = []
        end = time.monotonic() + timeout
        for answer in answers:
            try:
                found += answer.result(max(0.0, end - time.monotonic()))
            except (WorkerFailed, TimeoutError):
                answer.cancel()
        return sorted(found, key=lambda scored: -scored[1])[:limit]

    def peak_rss_mb(self) -> float:
        """Peak memory of this process and the workers together, in MB; 0 where the system does not tell."""
        return sum(_peak_mb(pid) for pid in ["self", *(each.pid for each in self.workers)])

    def close(self) -> None:
        for each in self.workers:
            each.submit(STOP)
        for each in self.workers:
            each.close()


def _peak_mb(pid: int | str | None) -> float:
    with contextlib.suppress(OSError, ValueError), open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0
