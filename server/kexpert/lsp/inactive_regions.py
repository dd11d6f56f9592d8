"""``textDocument/inactiveRegions``: the branches of ``#if`` that the configuration leaves out, as clangd sends them.

A notification of our own to clients that announce ``textDocument.inactiveRegionsCapabilities.inactiveRegions``: sent
when a document is opened or was changed, and for all documents when ``.config`` or a setting changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from kexpert.core.c.source import Source
from kexpert.lsp.locations import Json
from kexpert.lsp.scheduler import Cancelled, Scheduler, ThreadIntent
from kexpert.workspace import decorations
from kexpert.workspace.snapshot import Snapshot

if TYPE_CHECKING:
    from kexpert.lsp.dispatcher import Dispatcher
    from kexpert.lsp.handshake import Client

METHOD = "textDocument/inactiveRegions"


class InactiveRegions:
    """Sends them in the background, the newest text of each document only."""

    def __init__(self, client: Client, scheduler: Scheduler, dispatcher: Dispatcher) -> None:
        self._is_wanted = client.shows_inactive_regions
        self._scheduler = scheduler
        self._dispatcher = dispatcher

    def update(self, documents: Iterable[tuple[str, str]], snapshot: Callable[[], Snapshot]) -> None:
        """Send those of some documents, given as (path, URI)."""
        if self._is_wanted:
            for path, uri in documents:
                self._start(path, uri, snapshot())

    def forget(self, uri: str) -> None:
        self._scheduler.cancel(("inactive", uri))

    def _start(self, path: str, uri: str, snapshot: Snapshot) -> None:
        def work(cancelled: Cancelled) -> None:
            found, source = decorations.inactive_regions(snapshot, path), snapshot.source(path)
            if source is not None and not cancelled():
                regions = [_region(source, snapshot, *lines) for lines in found or ()]
                self._dispatcher.notify(METHOD, {"textDocument": {"uri": uri}, "regions": regions})

        self.forget(uri)
        self._scheduler.start(("inactive", uri), ThreadIntent.BACKGROUND, work)


def _region(source: Source, snapshot: Snapshot, first: int, last: int) -> Json:
    """Whole lines as a range."""
    end = source.lines.starts[last] + len(source.lines.line_bytes(last))
    line, character = source.lines.to_position(end, snapshot.encoding)
    return {"start": {"line": first, "character": 0}, "end": {"line": line, "character": character}}
