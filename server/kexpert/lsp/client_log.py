"""``ClientLog``: what the workspace says, as log lines, messages and progress bars of the editor."""

from __future__ import annotations

import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from lsprotocol import types

if TYPE_CHECKING:
    from kexpert.background.progress import Progress
    from kexpert.lsp.dispatcher import Dispatcher
    from kexpert.workspace.listener import Level

_LEVELS: dict[Level, types.MessageType] = {
    "error": types.MessageType.Error, "warning": types.MessageType.Warning,
    "info": types.MessageType.Info, "debug": types.MessageType.Log,
}  # fmt: skip
_PROGRESS_INTERVAL_SECONDS = 0.2
_MAX_FAILURE_TEXT = 300
_SHOWN_IN_MINUTES = 90.0
#: Before the time left is estimated.
_MIN_MEASURED_SECONDS = 3.0


class ClientLog:
    """A ``workspace.listener.Listener`` for one client and tree. Any thread may call it."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        show_progress: bool,
        cancel_indexing: Callable[[], None],
        on_progress: Callable[[Progress], None],
        shown: set[str],
    ) -> None:
        """``show_progress``: the client has work done progress. ``on_progress`` is told of all progress too. ``shown``:
        messages that need not be shown once more."""
        self._dispatcher = dispatcher
        self._shown = shown
        self._cancel_indexing = cancel_indexing
        self._bars: dict[str, ProgressBar] = {}  # by title: index and search work at the same time
        self._work: dict[Any, RequestProgress] = {}  # under way, by token
        self._can_create_progress = show_progress
        self._on_progress = on_progress
        self.level: Level = "warning"

    def log(self, level: Level, text: str) -> None:
        """A line for the log of the editor, if ``log.level`` lets it through."""
        if _LEVELS[level] <= _LEVELS[self.level]:
            message = {"type": int(_LEVELS[level]), "message": f"kexpert: {text}"}
            self._dispatcher.notify(types.WINDOW_LOG_MESSAGE, message)

    def show(self, level: Level, text: str) -> None:
        """A message for the user."""
        self._dispatcher.notify(types.WINDOW_SHOW_MESSAGE, {"type": int(_LEVELS[level]), "message": f"kexpert: {text}"})

    def show_once(self, level: Level, text: str) -> None:
        if text not in self._shown:
            self._shown.add(text)
            self.show(level, text)

    def failure(self, what: str, problem: Exception) -> None:
        """A log line for a defect."""
        frames = traceback.extract_tb(problem.__traceback__)
        place = f" ({frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno})" if frames else ""
        summary = " ".join(str(problem).split())[:_MAX_FAILURE_TEXT]
        self.log("error", f"{what}: {type(problem).__name__}: {summary}{place}")

    @contextmanager
    def work(self, title: str, token: str | int | None, cancelled: Callable[[], bool]) -> Iterator[RequestProgress]:
        """Show that one request is being worked on, if that takes longer than a moment.

        ``token``: of the client for this request; without one the client is asked to take ours, if it can.
        """
        is_shown = token is not None or self._can_create_progress
        progress = RequestProgress(self._dispatcher if is_shown else None, title, token, cancelled)
        self._work[progress.token] = progress
        try:
            yield progress
        finally:
            del self._work[progress.token]
            progress.end()

    def progress(self, progress: Progress) -> None:
        if self._can_create_progress:
            bar = self._bars.get(progress.title)
            if bar is None:
                bar = self._bars.setdefault(progress.title, ProgressBar(self._dispatcher, self._cancel_indexing))
            bar.update(progress)
        self._on_progress(progress)

    def progress_cancelled(self, token: Any) -> None:
        """The client pressed cancel on a progress bar."""
        for bar in list(self._bars.values()):
            bar.cancelled(token)
        if (work := self._work.get(token)) is not None:
            work.cancel()


class RequestProgress:
    """Work done progress of one request."""

    def __init__(
        self, dispatcher: Dispatcher | None, title: str, token: str | int | None, cancelled: Callable[[], bool]
    ) -> None:
        """``dispatcher``: None to show nothing."""
        self.token = str(uuid.uuid4()) if token is None else token
        self._dispatcher = dispatcher
        self._title = title
        self._is_ours = token is None
        self._cancelled = cancelled
        self._lock = threading.Lock()
        self._state: Literal["new", "asked", "begun", "ended"] = "new"
        self._is_cancelled = False
        self._last_report = 0.0  # monotonic seconds

    def begin(self) -> None:
        """Show it from now on. May be called again."""
        with self._lock:
            if self._dispatcher is None or self._state != "new":
                return
            self._state = "asked"
        if self._is_ours:
            params = types.WorkDoneProgressCreateParams(self.token)
            self._dispatcher.request(types.WINDOW_WORK_DONE_PROGRESS_CREATE, params, lambda _: self._begin())
        else:
            self._begin()

    def report(self, message: str, percentage: int) -> None:
        """Show how far it is, a few times a second at most, once it is shown at all."""
        now = time.monotonic()
        with self._lock:
            if self._state == "begun" and now - self._last_report >= _PROGRESS_INTERVAL_SECONDS:
                self._last_report = now
                self._notify({"kind": "report", "message": message, "percentage": percentage})

    def cancelled(self) -> bool:
        """The request, or its progress, was cancelled."""
        return self._is_cancelled or self._cancelled()

    def cancel(self) -> None:
        self._is_cancelled = True

    def end(self) -> None:
        with self._lock:
            if self._state == "begun":
                self._notify({"kind": "end"})
            self._state = "ended"

    def _begin(self) -> None:
        with self._lock:
            if self._state == "asked":
                self._state = "begun"
                self._notify({"kind": "begin", "title": self._title, "cancellable": True})

    def _notify(self, value: dict[str, Any]) -> None:
        if self._dispatcher is not None:
            self._dispatcher.notify(types.PROGRESS, {"token": self.token, "value": value})


class ProgressBar:
    """Work done progress of one kind of indexing, each time that it is done."""

    def __init__(self, dispatcher: Dispatcher, cancel: Callable[[], None]) -> None:
        self._dispatcher = dispatcher
        self._cancel = cancel
        self._lock = threading.Lock()
        self._token: str | None = None
        self._open = False  # the client agreed to the token
        self._latest: Progress | None = None
        self._sent = 0.0
        self._rate = Rate()

    def update(self, progress: Progress) -> None:
        with self._lock:
            self._latest = progress
            if self._token is None:
                if not progress.finished:
                    self._ask()
            elif self._open:
                self._send(progress)

    def cancelled(self, token: Any) -> None:
        if token is not None and token == self._token:
            self._cancel()

    def _ask(self) -> None:
        token = self._token = str(uuid.uuid4())
        self._dispatcher.request(
            types.WINDOW_WORK_DONE_PROGRESS_CREATE,
            types.WorkDoneProgressCreateParams(token),
            lambda _: self._begin(token),
        )

    def _begin(self, token: str) -> None:
        with self._lock:
            latest = self._latest
            if latest is None or token != self._token:
                return
            self._open = True
            self._notify({"kind": "begin", "title": latest.title, "cancellable": True, "percentage": _percent(latest)})
            self._send(latest)

    def _send(self, progress: Progress) -> None:
        if progress.finished:
            self._notify({"kind": "end", "message": progress.message})
            self._token, self._open = None, False
        elif time.monotonic() - self._sent >= _PROGRESS_INTERVAL_SECONDS:
            self._sent = time.monotonic()
            message = described(progress, self._rate.seconds_left(progress, self._sent))
            self._notify({"kind": "report", "message": message, "percentage": _percent(progress)})

    def _notify(self, value: dict[str, Any]) -> None:
        self._dispatcher.notify(types.PROGRESS, {"token": self._token, "value": value})


class Rate:
    """How fast work goes, by what was done since its first report."""

    def __init__(self) -> None:
        self._title = ""
        self._began, self._done = 0.0, 0  # at the first report of this title

    def seconds_left(self, progress: Progress, now: float) -> float | None:
        """An estimate; None for the first seconds of a piece of work. ``now`` in monotonic seconds."""
        if progress.title != self._title:
            self._title, self._began, self._done = progress.title, now, progress.done
        elapsed, done = now - self._began, progress.done - self._done
        if elapsed < _MIN_MEASURED_SECONDS or done <= 0 or progress.total <= progress.done:
            return None
        return elapsed / done * (progress.total - progress.done)


def described(progress: Progress, seconds_left: float | None) -> str:
    """Progress in words and numbers: "12,000 of 61,000 files, 2 min left"."""
    parts = [f"{progress.done:,} of {progress.total:,} {progress.unit}"] if progress.total else []
    if seconds_left is not None:
        is_long = seconds_left >= _SHOWN_IN_MINUTES
        parts.append(f"{seconds_left / 60:.0f} min left" if is_long else f"{max(seconds_left, 1):.0f} s left")
    return ", ".join([*parts, *([progress.message] if progress.message else [])])


def _percent(progress: Progress) -> int:
    return min(100, 100 * progress.done // progress.total) if progress.total > 0 else 0
