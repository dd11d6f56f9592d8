"""``experimental/serverStatus``: whether the server is at work and well, in the form that rust-analyzer sends.

A notification to clients that announce ``experimental.serverStatusNotification``: ``health`` ("ok", "warning"),
``quiescent`` (nothing is being read) and ``message``, a line for people.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Hashable
from typing import TYPE_CHECKING

from kexpert.lsp.client_log import Rate, described

if TYPE_CHECKING:
    from kexpert.background.progress import Progress
    from kexpert.lsp.dispatcher import Dispatcher
    from kexpert.lsp.handshake import Client

METHOD = "experimental/serverStatus"
_INTERVAL_SECONDS = 0.5


class ServerStatus:
    """Tells the client of progress, and of its end at once. Any thread may call it."""

    def __init__(self, client: Client, dispatcher: Dispatcher) -> None:
        self._is_wanted = client.can("experimental", "serverStatusNotification") is True
        self._dispatcher = dispatcher
        self._lock = threading.Lock()
        self._running: dict[tuple[Hashable, str], tuple[Progress, Rate]] = {}  # oldest first
        self._sent = 0.0
        self._lacks_tree = False

    def ready(self) -> None:
        """Nothing is under way."""
        self._send("ok", True, "")

    def no_tree(self) -> None:
        """The client's folders hold no kernel tree."""
        self._lacks_tree = True
        self._send("warning", True, "in no kernel tree: only open files are known")

    def tree_opened(self) -> None:
        """A document that was opened lies in a kernel tree."""
        with self._lock:
            if self._lacks_tree and not self._running:
                self.ready()
            self._lacks_tree = False

    def progress(self, tree: Hashable, progress: Progress) -> None:
        """Report work on a tree. Other work is counted too: the client is ready when none is left."""
        work = tree, progress.title
        with self._lock:
            now = time.monotonic()
            if progress.finished:
                self._running.pop(work, None)
            else:
                rate = self._running[work][1] if work in self._running else Rate()
                rate.seconds_left(progress, now)
                self._running[work] = progress, rate
                if now - self._sent < _INTERVAL_SECONDS:
                    return
            self._sent = now
            oldest = next(iter(self._running.values()), None)
            if oldest is None:
                self.ready()
            else:
                self._work_goes_on(*oldest, now)

    def keep_only(self, trees: Collection[Hashable]) -> None:
        """Forget the work on other trees: they were closed."""
        with self._lock:
            gone = [work for work in self._running if work[0] not in trees]
            for work in gone:
                del self._running[work]
            if gone and not self._running:
                self.ready()

    def _work_goes_on(self, progress: Progress, rate: Rate, now: float) -> None:
        percent = f"{100 * progress.done // progress.total} %, " if progress.total else ""
        words = percent + described(progress, rate.seconds_left(progress, now))
        self._send("ok", False, f"{progress.title}: {words}" if words else progress.title)

    def _send(self, health: str, quiescent: bool, message: str) -> None:
        if self._is_wanted:
            status = {"health": health, "quiescent": quiescent, "message": message}
            self._dispatcher.notify(METHOD, status)
