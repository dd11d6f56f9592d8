"""The index and the search of one tree, wired together: the only module that knows both."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from kexpert.background.database import cache_directory
from kexpert.background.progress import OnProgress, ignore_progress
from kexpert.core.c.source import Source
from kexpert.core.retrieval.chunk import Chunk
from kexpert.index import service
from kexpert.index.disk_view import DiskView
from kexpert.index.indexed_files import SymbolIndexFiles
from kexpert.index.schema import IndexWriteError
from kexpert.index.service import IndexService, IndexUnavailable, build
from kexpert.search import one_shot
from kexpert.search.indexer import SearchIndexer, SearchSettings
from kexpert.search.one_shot import SearchReport, VectorReader
from kexpert.search.query import Searcher
from kexpert.workspace.settings import Settings

__all__ = [
    "IndexUnavailable", "IndexWriteError", "ReadTreeIndex", "SearchSettings", "TreeIndex", "VectorReader", "build",
    "build_search", "open_view",
    "search_settings",
]

OnMessage = Callable[[str], None]


class TreeIndex:
    """A tree's index and search in a running server. ``start`` returns at once; ``view`` answers from what is there.

    Search follows the symbol index: it is told after each update which files were read again.
    """

    def __init__(
        self,
        root: Path,
        *,
        jobs: int | None = None,
        watch: bool = True,
        exclude: Iterable[str] = (),
        search: SearchSettings | None = None,
        on_progress: OnProgress = ignore_progress,
        on_message: OnMessage = lambda _: None,
        on_updated: Callable[[set[str] | None], None] = lambda _: None,
    ) -> None:
        """``jobs``: worker processes, None for one a processor. ``search``: None for no search by meaning.
        ``on_updated`` gets the paths of changed files after each update; None for any file."""
        self.root = root
        self.search_indexer: SearchIndexer | None = None
        self._searcher: Searcher | None = None
        self._on_updated = on_updated
        directory = cache_directory(root)
        if search is not None:
            self.search_indexer = indexer = SearchIndexer(
                root, directory, search, SymbolIndexFiles,
                on_ready=Searcher.warm, on_progress=on_progress, on_message=on_message,
            )  # fmt: skip
            self._searcher = Searcher(directory / "search.db", indexer, indexer.report_damage)
        self.index = IndexService(
            root,
            jobs=jobs,
            watch=watch,
            exclude=exclude,
            searcher=self._searcher,
            on_updated=self._index_updated,
            on_progress=on_progress,
            on_message=on_message,
        )

    def _index_updated(self, paths: Iterable[str] | None, open_paths: Iterable[str]) -> None:
        self._on_updated(None if paths is None else set(paths))
        if self.search_indexer is not None:
            self.search_indexer.index_updated(paths, open_paths)

    @property
    def directory(self) -> Path:
        """The folder of the tree's databases."""
        return self.index.directory

    @property
    def writer(self) -> bool:
        """True if this process writes the index; of several on one tree one does."""
        return self.index.writer

    def start(self) -> None:
        """Begin to index and to watch the tree, in the background."""
        self.index.start()

    def view(
        self, overlay: Mapping[str, Source] | None = None, unchanged: Mapping[str, Source] | None = None
    ) -> DiskView:
        """The index as it is now under the given open buffers (path -> text). ``unchanged``: buffers that equal
        their file; their parsed text is used and their rows stay."""
        return self.index.view(overlay, unchanged)

    def files_changed(self, paths: Iterable[str]) -> None:
        """Read these files again at once. Never blocks."""
        self.index.files_changed(paths)

    def prioritise(self, paths: Iterable[str]) -> None:
        """Index these open files and their folders first."""
        self.index.prioritise(paths)

    def rescan(self) -> None:
        """Compare the whole tree with the index, in the background."""
        self.index.rescan()

    def cancel(self) -> None:
        """Stop the running update; what is committed stays, the next start goes on."""
        self.index.cancel()
        if self.search_indexer is not None:
            self.search_indexer.cancel()

    def wait_idle(self, timeout_seconds: float) -> bool:
        """Wait until index and search have nothing left to do; False when the time is over first."""
        end = time.monotonic() + timeout_seconds
        if not self.index.wait_idle(timeout_seconds):
            return False
        return self.search_indexer is None or self.search_indexer.wait_idle(max(0.0, end - time.monotonic()))

    def close(self) -> None:
        """Stop; unfinished work is dropped and done again by the next run."""
        self.index.close()
        if self.search_indexer is not None:
            self.search_indexer.close()
        if self._searcher is not None:
            self._searcher.close()


class ReadTreeIndex:
    """The index and the search of a tree as other processes write them, for a server that writes nothing."""

    writer = False

    def __init__(self, root: Path, search: SearchSettings, on_message: OnMessage) -> None:
        self._root, self._settings, self._on_message = root, search, on_message
        self._vectors: VectorReader | None = None
        self._searcher = Searcher(cache_directory(root) / "search.db", self)
        self._index = IndexService(root, watch=False, searcher=self._searcher)

    def start(self) -> None:
        """Begin to load the vectors; until then words alone are compared."""
        try:
            self._vectors = VectorReader(self._root, self._settings, self._on_message, waits=False)
        except OSError as error:  # a folder that cannot be written: no lock, so no vectors but those of a server
            why = error.strerror or str(error)
            self._on_message(f"{self._root}: no vectors ({why}): words alone are compared; vectors.url names a server")

    def nearest(
        self, query: str | Chunk, limit: int, within: Sequence[int] = (), timeout: float = 5.0
    ) -> list[tuple[int, float]]:
        """(chunk, cosine) of the nearest chunks, as search asks for them; none before ``start``."""
        return self._vectors.nearest(query, limit, within, timeout) if self._vectors is not None else []

    def view(self) -> DiskView:
        """The index as it is now."""
        return self._index.view()

    def close(self) -> None:
        self._index.close()
        self._searcher.close()
        if self._vectors is not None:
            self._vectors.close()


def open_view(root: Path, vectors: VectorReader | None = None) -> DiskView:
    """The index of a tree as it is, for a command that runs once. Search compares words alone without ``vectors``.

    Raises IndexUnavailable.
    """
    return service.open_view(root, Searcher(cache_directory(root) / "search.db", vectors))


def search_settings(settings: Settings) -> SearchSettings:
    """What the user's settings say of search."""
    return SearchSettings(settings.vectors_enabled, settings.vectors_url, settings.vectors_embedder)


def build_search(
    root: Path,
    settings: SearchSettings,
    on_progress: OnProgress = ignore_progress,
    on_message: OnMessage = lambda _: None,
) -> SearchReport:
    """Bring a tree's search up to date with its index and wait for it."""
    return one_shot.build_search(root, settings, SymbolIndexFiles, on_progress, on_message)
