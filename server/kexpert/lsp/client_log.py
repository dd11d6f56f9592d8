"""What the server tells on its own account: lines in the log, messages, the progress of indexing."""

from __future__ import annotations

import threading
import time
import traceback
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lsprotocol import types

if TYPE_CHECKING:
    from kexpert.background.progress import Progress
    from kexpert.lsp.dispatcher import Protocol

_LEVELS = {"error": 1, "warning": 2, "info": 3, "debug": 4}
#: Seconds between two reports of progress: more often nobody can read.
_PROGRESS_INTERVAL = 0.2


class Reporter:
    """Log lines and messages to the editor. Any thread may call it."""

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._said: set[str] = set()
        self.level = "warning"

    def log(self, level: str, text: str) -> None:
        """A line for the log of the editor, if ``log.level`` lets it through."""
        if _LEVELS[level] <= _LEVELS[self.level]:
            self._protocol.notify(types.WINDOW_LOG_MESSAGE, {"type": _LEVELS[level], "message": f"kexpert: {text}"})

    def show(self, level: str, text: str) -> None:
        """A message for the user."""
        self._protocol.notify(types.WINDOW_SHOW_MESSAGE, {"type": _LEVELS[level], "message": f"kexpert: {text}"})

    def show_once(self, level: str, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self.show(level, text)

    def failure(self, what: str, problem: Exception) -> None:
        """One line for something that should not have happened."""
        frames = traceback.extract_tb(problem.__traceback__)
        place = f" ({frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno})" if frames else ""
        summary = " ".join(str(problem).split())[:300]
        self.log("error", f"{what}: {type(problem).__name__}: {summary}{place}")


class ProgressBar:
    """Work done progress for indexing, where the client has it; one bar after another."""

    def __init__(self, protocol: Protocol, cancel: Callable[[], None]) -> None:
        self._protocol = protocol
        self._cancel = cancel
        self._lock = threading.Lock()
        self._token: str | None = None
        self._open = False  # the client agreed to the token
        self._latest: Progress | None = None
        self._sent = 0.0

    def update(self, progress: Progress) -> None:
        with self._lock:
            self._latest = progress
            if self._token is None:
                if not progress.finished:
                    self._ask()
            elif self._open:
                self._send(progress)

    def cancelled(self, token: Any) -> None:
        """The client pressed cancel on a bar."""
        if token is not None and token == self._token:
            self._cancel()

    def _ask(self) -> None:
        token = self._token = str(uuid.uuid4())
        self._protocol.send_request(
            types.WINDOW_WORK_DONE_PROGRESS_CREATE,
            types.WorkDoneProgressCreateParams(token),
            callback=lambda _: self._begin(token),
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
        elif time.monotonic() - self._sent >= _PROGRESS_INTERVAL:
            self._sent = time.monotonic()
            self._notify({"kind": "report", "message": progress.message, "percentage": _percent(progress)})

    def _notify(self, value: dict[str, Any]) -> None:
        self._protocol.notify(types.PROGRESS, {"token": self._token, "value": value})


def _percent(progress: Progress) -> int:
    return min(100, 100 * progress.done // progress.total) if progress.total > 0 else 0
