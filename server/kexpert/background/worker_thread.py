"""The thread behind an index: it waits for work, tells when it is idle, retries after errors, stops in bounded time.

The owner keeps what is to be done in fields of its own, which coalesces requests: ten saves are one update.
It changes them inside ``with thread.new_work():`` and takes them inside ``with thread.next_work(has_work):``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class WorkerThread:
    """A daemon thread that calls ``step`` again and again until it is closed."""

    def __init__(
        self,
        name: str,
        step: Callable[[], None],
        *,
        errors: tuple[type[Exception], ...],
        on_error: Callable[[Exception], None],
        retry_seconds: Callable[[], float],
    ) -> None:
        """``errors`` that ``step`` raises are passed to ``on_error``; the next step begins ``retry_seconds`` later."""
        self._step = step
        self._errors = errors
        self._on_error = on_error
        self._retry_seconds = retry_seconds
        self._condition = threading.Condition()
        self._idle = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def stopping(self) -> bool:
        """True if the thread was asked to end; long work looks here now and then."""
        return self._stopping

    def start(self) -> None:
        """Start the thread unless it runs already or was stopped."""
        with self._condition:
            if not self._stopping and self._thread.ident is None:
                self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end, from any thread. Whoever waits until it is idle is released when it ends."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()

    def close(self, timeout_seconds: float) -> None:
        """Stop, and wait for the end of the running step for a bounded time."""
        self.stop()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout_seconds)

    def set_idle(self) -> None:
        """Release whoever waits until there is nothing to do."""
        self._idle.set()

    def wait_idle(self, timeout_seconds: float) -> bool:
        """Wait until nothing is left to do; False when the time is over first."""
        return self._idle.wait(timeout_seconds)

    @contextmanager
    def new_work(self) -> Iterator[None]:
        """Hold the lock while the block notes what is to be done; then wake the thread. Never blocks for long."""
        with self._condition:
            yield
            if not self._stopping:
                self._idle.clear()
            self._condition.notify_all()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock over the owner's fields without waking the thread."""
        with self._condition:
            yield

    @contextmanager
    def next_work(self, has_work: Callable[[], bool]) -> Iterator[None]:
        """Wait until there is work (idle meanwhile) or the thread is to stop; the block takes the work, under the
        lock."""
        with self._condition:
            if not (has_work() or self._stopping):
                self._idle.set()
                self._condition.wait_for(lambda: has_work() or self._stopping)
            if not self._stopping:
                self._idle.clear()
            yield

    def wait(self, seconds: float) -> None:
        """Inside ``next_work``: wait for the next ``new_work``, at most so long."""
        self._condition.wait(seconds)

    def pause(self, seconds: float) -> None:
        """Wait so long, or until the thread is to stop."""
        with self._condition:
            self._condition.wait_for(lambda: self._stopping, seconds)

    def _run(self) -> None:
        try:
            while not self._stopping:
                try:
                    self._step()
                except self._errors as error:
                    self._on_error(error)
                    self.pause(self._retry_seconds())
        finally:
            self._idle.set()
