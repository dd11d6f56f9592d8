"""The lanes of a tree as their owner sees them: processes to give work to and to ask."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kexpert.search import worker as lane_module
from kexpert.search.worker import LaneSettings

if TYPE_CHECKING:
    from kexpert.core.retrieval.chunk import Chunk

_STOP_SECONDS = 10.0


class LaneFailed(Exception):
    """A lane could not do what it was asked, or died at it; the message says what happened."""


class LaneDamaged(LaneFailed):
    """The search database is damaged."""


class LaneProcess:
    """One lane: a process, and the requests that wait for its answers."""

    def __init__(self, settings: LaneSettings, on_note: Callable[[str], None]) -> None:
        self.settings = settings
        self.ready = threading.Event()
        self.alive = True
        self.with_vectors = False
        self._on_note = on_note
        self._ids = itertools.count()
        self._waiting: dict[int, Future[Any]] = {}
        self._lock = threading.Lock()
        # spawn: the server has threads, and a fork of it could inherit a held lock
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=lane_module.run, args=(settings, theirs), name=f"kexpert-lane-{settings.number}", daemon=True
        )
        self._process.start()
        theirs.close()
        threading.Thread(target=self._receive, name=self._process.name, daemon=True).start()

    def submit(self, verb: str, *arguments: Any) -> Future[Any]:
        """Send a request; its future raises LaneFailed where it cannot be answered."""
        future: Future[Any] = Future()
        number = next(self._ids)
        with self._lock:
            if not self.alive:
                future.set_exception(LaneFailed("the process has ended"))
                return future
            self._waiting[number] = future
            try:
                self._connection.send((number, verb, arguments))
            except (OSError, ValueError) as error:
                del self._waiting[number]
                future.set_exception(LaneFailed(str(error)))
        return future

    def close(self) -> None:
        """Have it stop between two steps. One that does not is killed, and one that is only starting too."""
        if self.ready.is_set():
            self.submit("stop")
            self._process.join(_STOP_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._connection.close()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def _receive(self) -> None:
        while True:
            try:
                number, state, value = self._connection.recv()
            except (EOFError, OSError):
                break
            if state == "ready":
                self.with_vectors, notes = value
                for note in notes:
                    self._on_note(note)
                self.ready.set()
                continue
            with self._lock:
                future = self._waiting.pop(number, None)
            if future is not None and future.set_running_or_notify_cancel():
                if state == "done":
                    future.set_result(value)
                else:
                    future.set_exception(LaneDamaged(value) if state == "damaged" else LaneFailed(value))
        with self._lock:
            self.alive = False
            left, self._waiting = self._waiting, {}
        for future in left.values():
            if future.set_running_or_notify_cancel():
                future.set_exception(LaneFailed("the process died"))


class Lanes:
    """All lanes of a tree."""

    def __init__(self, settings: LaneSettings, count: int, on_note: Callable[[str], None]) -> None:
        self._settings = settings
        self._on_note = on_note
        self.processes = [self._start(number) for number in range(count)]

    def _start(self, number: int) -> LaneProcess:
        return LaneProcess(replace(self._settings, number=number), self._on_note)

    def restart(self, number: int) -> None:
        """Start a lane that died once more."""
        self.processes[number].close()
        self.processes[number] = self._start(number)

    @property
    def ready(self) -> bool:
        """Whether every lane has its vectors at hand."""
        return all(lane.ready.is_set() and lane.alive for lane in self.processes)

    @property
    def with_vectors(self) -> bool:
        """Whether every lane could open its vectors."""
        return all(lane.with_vectors for lane in self.processes)

    def near(
        self, what: str | Chunk, limit: int, within: Sequence[int] = (), timeout: float = 5.0
    ) -> list[tuple[int, float]]:
        """(chunk, cosine) of what is nearest in meaning, nearest first, by the lanes that answer in time."""
        asked = [
            lane.submit("near", what, limit, within) for lane in self.processes if lane.ready.is_set() and lane.alive
        ]
        found: list[tuple[int, float]] = []
        end = time.monotonic() + timeout
        for future in asked:
            try:
                found += future.result(max(0.0, end - time.monotonic()))
            except (LaneFailed, TimeoutError):
                future.cancel()
        return sorted(found, key=lambda one: -one[1])[:limit]

    def peak_rss_mb(self) -> float:
        """The most memory that this process and the lanes have had, in MB; 0 where the system does not tell."""
        return sum(_peak_mb(pid) for pid in ["self", *(lane.pid for lane in self.processes)])

    def close(self) -> None:
        for lane in self.processes:
            lane.submit("stop")
        for lane in self.processes:
            lane.close()


def _peak_mb(pid: int | str | None) -> float:
    with contextlib.suppress(OSError, ValueError), open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0
