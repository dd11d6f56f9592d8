"""``TreeIndex``: what is kept of one tree: facts and search, wired together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kexpert.index.builder import IndexWriteError
from kexpert.index.service import IndexService, IndexUnavailable, build, open_view
from kexpert.search.indexer import SearchSettings
from kexpert.search.one_shot import VectorReader, build_search

if TYPE_CHECKING:
    from kexpert.workspace.listener import Listener
    from kexpert.workspace.settings import Settings


__all__ = ["IndexUnavailable", "IndexWriteError", "TreeIndex", "VectorReader", "build", "build_search", "open_view"]


class TreeIndex(IndexService):
    def __init__(self, root: Path, settings: Settings, listener: Listener) -> None:
        super().__init__(
            root,
            jobs=settings.index_jobs or None,
            watch=settings.index_watch,
            exclude=settings.index_exclude,
            search=search_settings(settings),
            on_progress=listener.progress,
            on_message=lambda text: listener.show_once("info", text),
        )


def search_settings(settings: Settings) -> SearchSettings:
    return SearchSettings(settings.vectors_enabled, settings.vectors_url, settings.vectors_embedder)
