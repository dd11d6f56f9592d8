"""``experimental/serverStatus``: whether the server is at work and well, in the form that rust-analyzer sends.

A notification to clients that announce ``experimental.serverStatusNotification``: ``health`` ("ok", "warning"),
``quiescent`` (nothing is being read) and ``message``, a line for people.
"""

from __future__ import annotations

import threading
import time
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
        self._rate = Rate()
        self._sent = 0.0

    def ready(self) -> None:
        """Nothing is under way."""
        self._send("ok", True, "")

    def no_tree(self) -> None:
        """The client's folders hold no kernel tree."""
        self._send("warning", True, "in no kernel tree: only open files are known")

    def progress(self, progress: Progress) -> None:
        with self._lock:
            now = time.monotonic()
            left = self._rate.seconds_left(progress, now)
            if not progress.finished and now - self._sent < _INTERVAL_SECONDS:
                return
            self._sent = now
        if progress.finished:
            self.ready()
        else:
            percent = f"{100 * progress.done // progress.total} %, " if progress.total else ""
            self._send("ok", False, f"{progress.title}: {percent}{described(progress, left)}")

    def _send(self, health: str, quiescent: bool, message: str) -> None:
        if self._is_wanted:
            status = {"health": health, "quiescent": quiescent, "message": message}
            self._dispatcher.notify(METHOD, status)
