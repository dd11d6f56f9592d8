"""``ServedTree``: one tree for a server that many people ask and nobody edits through."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kexpert.core.c.source import Source
from kexpert.workspace.configuration import ConfigurationInView
from kexpert.workspace.documents import Documents
from kexpert.workspace.kernel_version import kernel_version
from kexpert.workspace.listener import MessageListener
from kexpert.workspace.settings import settings_of
from kexpert.workspace.snapshot import Snapshot

if TYPE_CHECKING:
    from kexpert.index.catalogue import IndexedFile
    from kexpert.view import View
    from kexpert.workspace.chat import ChatSession
    from kexpert.workspace.tree_index import ReadTreeIndex, TreeIndex
    from kexpert.workspace.voice import Voice

OnMessage = Callable[[str], None]
#: Folders whose files are shown to nobody.
_PRIVATE_FOLDERS = frozenset({".git", ".svn", ".hg"})
_MAX_PATH_CHARS = 4096


@dataclass(frozen=True, slots=True)
class TreeStatus:
    """What a served tree can answer from."""

    root: str
    #: "ready", "indexing" while the first indexing runs, "missing".
    index: str
    index_version: int
    files: int | None  # None: not counted yet
    symbols: int | None
    is_writer: bool  # this process keeps the index up to date
    vectors: bool  # the settings want them
    chat_model: str  # its name; "" for none
    why_no_chat: str
    configuration: str  # the one in view, in one line


class ServedTree:
    """Any thread may ask. With ``writes`` this process keeps the index up to date unless another one does.

    Without it nothing is written, so the folder of the index may be on a read-only volume.
    """

    def __init__(self, root: Path, on_message: OnMessage, *, writes: bool, use_model: bool = True) -> None:
        from kexpert.background.database import cache_directory
        from kexpert.index.catalogue import Catalogue
        from kexpert.workspace.tree_index import ReadTreeIndex, TreeIndex, search_settings

        self.root = root
        self.settings = settings_of(root)
        version = kernel_version(root)
        self.title = f"Linux {version}" if "." in version else root.name
        self._real_root = os.path.realpath(root)
        self._directory = cache_directory(root)
        self._catalogue = Catalogue(self._directory / "index.db")
        self._configuration = ConfigurationInView(
            root, self._directory, self.settings.configuration, writes=writes, on_message=on_message
        )
        self._index: TreeIndex | ReadTreeIndex
        if writes:
            self._index = TreeIndex(
                root, jobs=self.settings.index_jobs or None, watch=self.settings.index_watch,
                exclude=self.settings.index_exclude, search=search_settings(self.settings), on_message=on_message,
                on_updated=self._configuration.files_changed,
            )  # fmt: skip
        else:
            self._index = ReadTreeIndex(root, search_settings(self.settings), on_message)
        self._kept: dict[str, Any] = {}
        self._chat: ChatSession | None = None
        self._voice: Voice | None = None
        if use_model:
            self._load_voice(on_message)

    def _load_voice(self, on_message: OnMessage) -> None:
        from kexpert.workspace.chat import ChatSession
        from kexpert.workspace.text_cache import TextCache
        from kexpert.workspace.voice import Voice

        listener = MessageListener(on_message)
        self._chat = ChatSession(listener)
        self._chat.configure(self.settings)
        self._voice = Voice(self._chat, TextCache(self._directory), listener)

    def start(self) -> None:
        """Begin to index, if this process may, and load in the background what the first questions need."""
        self._index.start()
        threading.Thread(target=self._warm, name="kexpert-warm", daemon=True).start()

    def _warm(self) -> None:
        from kexpert.features.hover.hover import warm
        from kexpert.features.semantics.compiled_text import common_file
        from kexpert.search.query import Searcher

        warm(self.snapshot().view, common_file(""))
        Searcher.warm()
        self._catalogue.paths()
        self._catalogue.counts()

    def view(self, overlay: Mapping[str, Source], unchanged: Mapping[str, Source]) -> View:
        """As the snapshot asks for it; there are no open buffers."""
        return self._index.view()

    def snapshot(self) -> Snapshot:
        """The tree as it is now. Positions count in code points."""
        return Snapshot(
            self.root, Documents(self.root), "utf-32", self.settings, self, voice=self._voice,
            configuration=self._configuration, kept=self._kept,
        )  # fmt: skip

    def shown_path(self, path: str) -> str | None:
        """The path, tidied, of a file or folder of the tree that may be shown; None for any other.

        A symbolic link that leads out of the tree is none.
        """
        if len(path) > _MAX_PATH_CHARS or "\0" in path or path.startswith("/"):
            return None
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if ".." in parts or not _PRIVATE_FOLDERS.isdisjoint(parts):
            return None
        try:
            real = os.path.realpath(os.path.join(self.root, *parts))
        except (OSError, ValueError):
            return None
        if real != self._real_root and not real.startswith(self._real_root + os.sep):
            return None
        inside = real[len(self._real_root) :].split(os.sep)
        return "/".join(parts) if _PRIVATE_FOLDERS.isdisjoint(inside) else None

    def files(self, after: str, limit: int, under: str) -> list[IndexedFile]:
        """A page of what is indexed, by path."""
        return self._catalogue.files(after, limit, under)

    def paths_like(self, words: str, limit: int) -> list[str]:
        """Indexed paths that hold each word, those that hold them in their last part first, then the shortest."""
        wanted = words.lower().split()
        if not wanted:
            return []
        found = [path for path in self._catalogue.paths() if all(word in path.lower() for word in wanted)]

        def key(path: str) -> tuple[bool, bool, int, str]:
            name = path.rpartition("/")[2].lower()
            return wanted[-1] != name, wanted[-1] not in name, len(path), path

        return sorted(found, key=key)[:limit]

    def state(self) -> tuple[bool, bool]:
        """(whether there is an index, whether the whole tree is in it). Cheap."""
        return (self._directory / "index.db").exists(), self._index.view().complete

    def status(self) -> TreeStatus:
        exists, complete = self.state()
        counts = self._catalogue.counts()
        model = self._voice.model() if self._voice else None
        return TreeStatus(
            root=str(self.root),
            index="ready" if complete else "indexing" if exists else "missing",
            index_version=counts.version,
            files=counts.files,
            symbols=counts.symbols,
            is_writer=self._index.writer,
            vectors=self.settings.vectors_enabled,
            chat_model=model.name if model else "",
            why_no_chat="" if model else self._voice.why_silent if self._voice else "turned off for this server",
            configuration=self._configuration.describe(),
        )

    def close(self) -> None:
        self._configuration.close()
        self._index.close()
        if self._chat is not None and self._voice is not None:
            self._chat.close()
            self._voice.texts.close()
