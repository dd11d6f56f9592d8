"""``Summaries``: lines by the chat model for hovers, worked out by one thread that nobody waits for.

What a hover asked for comes first, the newest first. When the machine is idle, the functions of open files follow.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kexpert.abilities import Cancelled as WasCancelled
from kexpert.background.worker_thread import WorkerThread
from kexpert.core.c.source import Source
from kexpert.core.symbols import Symbol
from kexpert.workspace.idle import Idle
from kexpert.workspace.voice import Unavailable, Voice

if TYPE_CHECKING:
    from kexpert.features.explain.explanation import Written
    from kexpert.features.hover.card import HoverCard
    from kexpert.view import View
    from kexpert.workspace.snapshot import Snapshot

#: A hover waits at most so long, counted from its beginning, and only for a model whose last answers were that fast.
MAX_HOVER_SECONDS = 0.15
_FAST_ANSWERS = 3
_MAX_ASKED = 4  # by hovers; an older one is dropped
_MAX_FILES = 16
_MAX_FUNCTIONS = 400  # of one file
_POLL_SECONDS = 1.0  # whether the machine is idle
_PAUSE_SECONDS = 30.0  # after a failure
_CLOSE_SECONDS = 3.0


@dataclass(eq=False)
class _Job:
    """One definition to summarise; ``done`` is set when nothing more comes of it."""

    view: View
    source: Source
    symbol: Symbol
    done: threading.Event = field(default_factory=threading.Event)

    def is_same(self, other: _Job) -> bool:
        mine, others = self.symbol, other.symbol
        return (mine.path, mine.start, self.source.data) == (others.path, others.start, other.source.data)


class Summaries:
    """Made once for a workspace. Any thread may use it."""

    def __init__(self, voice: Voice, idle: Idle | None = None) -> None:
        self.idle = idle or Idle()
        self.voice = voice
        self._asked: deque[_Job] = deque(maxlen=_MAX_ASKED)
        self._files: dict[str, Snapshot] = {}  # open files to be looked through, the newest last
        self._ahead: deque[_Job] = deque()
        self._running: _Job | None = None
        self._seconds: deque[float] = deque(maxlen=_FAST_ANSWERS)
        self._refused = ""  # identity of the model that cannot be used
        self._thread = WorkerThread(
            "kexpert-summaries", self._step, errors=(Unavailable,), on_error=lambda problem: None,
            retry_seconds=lambda: _PAUSE_SECONDS,
        )  # fmt: skip

    def of_card(self, view: View, card: HoverCard, began: float) -> Written | None:
        """The line for a card without documentation, if it is known or the model is fast; else it is worked out
        meanwhile. ``began``: ``time.monotonic()`` when the hover was asked for."""
        is_known, written = self.voice.known_line(view, card)
        source = view.source(card.symbol.path) if card.symbol else None
        if is_known or card.symbol is None or source is None:
            return written
        job = self._ask(_Job(view, source, card.symbol))
        if job is None or not self._is_fast():
            return None
        job.done.wait(max(0.0, began + MAX_HOVER_SECONDS - time.monotonic()))
        return self.voice.known_line(view, card)[1]

    def look_through(self, path: str, snapshot: Snapshot) -> None:
        """Summarise the functions of an open file when the machine is idle."""
        with self._thread.new_work():
            self._files.pop(path, None)
            self._files[path] = snapshot
            if len(self._files) > _MAX_FILES:
                del self._files[next(iter(self._files))]
        self._thread.start()

    def forget(self, path: str) -> None:
        """A file was closed."""
        with self._thread.lock():
            self._files.pop(path, None)
            self._ahead = deque(job for job in self._ahead if job.source.path != path)

    def stop(self) -> None:
        """Take up nothing more; what runs is cancelled."""
        self._thread.stop()

    def close(self) -> None:
        self._thread.close(_CLOSE_SECONDS)
        self.voice.texts.close()

    def wait_idle(self, seconds: float) -> bool:
        """Wait until nothing is left to do; for tests."""
        return self._thread.wait_idle(seconds)

    def _ask(self, job: _Job) -> _Job | None:
        """Put a job first; the one that is there already for the same definition. None if no model can be asked."""
        if self._refused and self._refused == self.voice.identity():
            return None
        with self._thread.new_work():
            for other in (*self._asked, *([self._running] if self._running else [])):
                if other.is_same(job):
                    return other
            self._asked.append(job)
        self._thread.start()
        return job

    def _is_fast(self) -> bool:
        return len(self._seconds) == _FAST_ANSWERS and max(self._seconds) < MAX_HOVER_SECONDS

    # -- on the thread ---------------------------------------------------------------------------

    def _has_work(self) -> bool:
        return bool(self._asked or self._ahead or self._files)

    def _step(self) -> None:
        may_work_ahead = not self._asked and self._has_work() and self.idle.is_idle()
        job: _Job | None = None
        opened: Snapshot | None = None
        is_ahead = False
        with self._thread.next_work(self._has_work):
            if self._thread.stopping:
                return
            if self._asked:
                job = self._asked.pop()
            elif not may_work_ahead:
                self._thread.wait(_POLL_SECONDS)
            elif self._ahead:
                job, is_ahead = self._ahead.popleft(), True
            elif self._files:
                path, opened = self._files.popitem()
            self._running = job
        if opened is not None:
            self._plan(path, opened)
        if job is not None:
            self._work(job, is_ahead)

    def _plan(self, path: str, opened: Snapshot) -> None:
        """Queue the functions of a file about which the model was not asked yet."""
        from kexpert.features.explain.voice import undocumented_functions

        source = opened.source(path)
        if source is None or not self.voice.identity():
            return
        view = opened.view
        jobs = [
            _Job(view, source, symbol)
            for symbol in undocumented_functions(view, source)[:_MAX_FUNCTIONS]
            if not self.voice.known_summary(source, symbol)[0]
        ]
        with self._thread.lock():
            self._ahead.extendleft(reversed(jobs))

    def _work(self, job: _Job, is_ahead: bool) -> None:
        """Raises Unavailable, after which the thread pauses."""

        def cancelled() -> bool:
            must_yield = is_ahead and (bool(self._asked) or not self.idle.is_quiet())
            return self._thread.stopping or must_yield

        began = time.monotonic()
        is_done = True
        try:
            if not self.voice.known_summary(job.source, job.symbol)[0]:
                self.voice.summary(job.view, job.source, job.symbol, cancelled, background=True)
                self._seconds.append(time.monotonic() - began)
        except WasCancelled:  # by a question that somebody waits for: later
            is_done = False
        except Unavailable as problem:
            with self._thread.lock():
                self._ahead.clear()
                self._files.clear()
                self._asked.clear()
            self._refused = self.voice.identity() if problem.for_good else ""
            if not problem.for_good:
                raise
        finally:
            self.idle.own_load.add(time.monotonic() - began, min(4, os.cpu_count() or 1))
            with self._thread.lock():
                self._running = None
                if not is_done and is_ahead:
                    self._ahead.appendleft(job)
                elif not is_done and len(self._asked) < _MAX_ASKED:
                    self._asked.appendleft(job)
            if is_done:
                job.done.set()
