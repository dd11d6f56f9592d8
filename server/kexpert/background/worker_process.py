"""A worker process reached by a pipe: it takes requests while it works and answers each with a future."""

from __future__ import annotations

import itertools
import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing.connection import Connection
from typing import Any

_STOP_SECONDS = 10.0

#: Message kinds that a process sends: (None, READY, value) once, then (request id, DONE or any other kind, value).
READY = "ready"
DONE = "done"
#: The request that ends the process between two steps of its work.
STOP = "stop"


class WorkerFailed(Exception):
    """A process could not answer a request, or died at it; the message says what happened."""


class WorkerProcess:
    """A process and the requests that wait for its answers. Safe from any thread."""

    def __init__(
        self,
        target: Callable[[Any, Connection], None],
        settings: Any,
        name: str,
        *,
        on_ready: Callable[[Any], None],
        failures: dict[str, type[WorkerFailed]],
    ) -> None:
        """Start ``target(settings, connection)``. ``on_ready`` gets the value that it sends when it is ready;
        ``failures`` are the exceptions for message kinds other than DONE (default: WorkerFailed)."""
        self.ready = threading.Event()
        self.alive = True
        self._on_ready = on_ready
        self._failures = failures
        self._ids = itertools.count()
        self._waiting: dict[int, Future[Any]] = {}
        self._lock = threading.Lock()
        # spawn: the server has threads, and a fork of it could inherit a held lock
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=target, args=(settings, theirs), name=name, daemon=True)
        self._process.start()
        theirs.close()
        threading.Thread(target=self._receive, name=name, daemon=True).start()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def submit(self, verb: str, *arguments: Any) -> Future[Any]:
        """Send a request (id, verb, arguments); its future raises WorkerFailed if it cannot be answered."""
        future: Future[Any] = Future()
        number = next(self._ids)
        with self._lock:
            if not self.alive:
                future.set_exception(WorkerFailed("the process has ended"))
                return future
            self._waiting[number] = future
            try:
                self._connection.send((number, verb, arguments))
            except (OSError, ValueError) as error:
                del self._waiting[number]
                future.set_exception(WorkerFailed(str(error)))
        return future

    def close(self) -> None:
        """Stop the process between two steps; kill it if it does not stop in time or is only starting."""
        if self.ready.is_set():
            self.submit(STOP)
            self._process.join(_STOP_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._connection.close()

    def _receive(self) -> None:
        while True:
            try:
                number, kind, value = self._connection.recv()
            except (EOFError, OSError):
                break
            if kind == READY:
                self._on_ready(value)
                self.ready.set()
                continue
            with self._lock:
                future = self._waiting.pop(number, None)
            if future is not None and future.set_running_or_notify_cancel():
                if kind == DONE:
                    future.set_result(value)
                else:
                    future.set_exception(self._failures.get(kind, WorkerFailed)(value))
        with self._lock:
            self.alive = False
            left, self._waiting = self._waiting, {}
        for future in left.values():
            if future.set_running_or_notify_cancel():
                future.set_exception(WorkerFailed("the process died"))
