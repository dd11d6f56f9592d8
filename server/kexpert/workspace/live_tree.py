"""``LiveTree``: one tree for those who only ask: its index is opened at once and kept up to date in the background.

Beside an editor's server it reads what that one writes; alone it is the one that writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kexpert.background.database import cache_directory
from kexpert.core.c.source import Source
from kexpert.workspace.configuration import ConfigurationInView
from kexpert.workspace.documents import Documents
from kexpert.workspace.settings import file_layers, resolve_settings
from kexpert.workspace.snapshot import Snapshot
from kexpert.workspace.tree_index import TreeIndex, search_settings

if TYPE_CHECKING:
    from kexpert.background.progress import Progress
    from kexpert.view import View


class LiveTree:
    """Any thread may ask; there are no open documents and no model."""

    def __init__(self, root: Path, on_message: Callable[[str], None]) -> None:
        self.root = root
        layers, warnings = file_layers(root)
        self.settings, problems = resolve_settings(layers)
        for warning in warnings + problems:
            on_message(warning)
        self._running: dict[str, Progress] = {}  # by title
        self._kept: dict[str, Any] = {}
        self._configuration = ConfigurationInView(
            root, cache_directory(root), self.settings.configuration, on_message=on_message
        )
        self._index = TreeIndex(
            root,
            jobs=self.settings.index_jobs or None,
            watch=self.settings.index_watch,
            exclude=self.settings.index_exclude,
            search=search_settings(self.settings),
            on_progress=self._progressed,
            on_message=on_message,
            on_updated=self._configuration.files_changed,
        )

    def start(self) -> None:
        """Begin to index and to watch the tree. Returns at once."""
        self._index.start()

    def warm_up(self) -> bool:
        """Load what the first answer about a name needs. True if the index is complete, so that it can answer."""
        import kexpert.features.named.details  # noqa: F401

        return self.snapshot().view.complete

    def view(self, overlay: Mapping[str, Source], unchanged: Mapping[str, Source]) -> View:
        """As the snapshot asks for it; there are no open buffers."""
        return self._index.view()

    def snapshot(self) -> Snapshot:
        """The tree as it is now. Positions count in code points."""
        documents = Documents(self.root)
        return Snapshot(
            self.root, documents, "utf-32", self.settings, self, configuration=self._configuration,
            kept=self._kept,
        )  # fmt: skip

    def activity(self) -> str:
        """What is being indexed, in one line; "" for nothing."""
        return "; ".join(
            f"{title}, {progress.done:,} of {progress.total:,} {progress.unit}" if progress.total else title
            for title, progress in list(self._running.items())
        )

    def wait_idle(self, timeout_seconds: float) -> bool:
        """Wait until nothing is left to index; False when the time is over first."""
        return self._index.wait_idle(timeout_seconds)

    def close(self) -> None:
        """Stop; unfinished work is done by the next run."""
        self._configuration.close()
        self._index.close()

    def _progressed(self, progress: Progress) -> None:
        if progress.finished:
            self._running.pop(progress.title, None)
        else:
            self._running[progress.title] = progress
