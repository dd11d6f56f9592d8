"""``SavedTree``: a tree as its index has it, for a command that runs once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kexpert.background.database import cache_directory
from kexpert.core.c.source import Source
from kexpert.workspace.configuration import ConfigurationInView
from kexpert.workspace.documents import Documents
from kexpert.workspace.find_tree import NotFound
from kexpert.workspace.listener import MessageListener
from kexpert.workspace.settings import settings_of
from kexpert.workspace.snapshot import Snapshot

if TYPE_CHECKING:
    from kexpert.view import View
    from kexpert.workspace.chat import ChatSession
    from kexpert.workspace.tree_index import VectorReader
    from kexpert.workspace.voice import Voice

#: Maximum seconds that a command waits for what Kconfig makes of the configuration; later ones find it in the cache.
_KCONFIG_SECONDS = 60.0

OnMessage = Callable[[str], None]


class SavedTree:
    """The index of one tree as it is on disk. The vectors of search are loaded by ``load_vectors`` alone."""

    def __init__(self, root: Path, on_message: OnMessage) -> None:
        """Raises NotFound where there is no index."""
        self.root = root
        self.settings = settings_of(root)
        self._on_message = on_message
        self._vectors: VectorReader | None = None
        self._voice: Voice | None = None
        self._chat: ChatSession | None = None
        self._configuration = ConfigurationInView(
            root, cache_directory(root), self.settings.configuration,
            patience_seconds=_KCONFIG_SECONDS, on_message=on_message,
        )  # fmt: skip
        self._view = self._open()
        if not self._view.complete:
            on_message(
                f"{root}: not all of the tree is indexed, answers may lack something; run: kexpert index --tree {root}"
            )

    def _open(self) -> View:
        from kexpert.workspace.tree_index import IndexUnavailable, open_view

        try:
            return open_view(self.root, self._vectors)
        except IndexUnavailable as error:
            raise NotFound(str(error)) from error

    def view(self, overlay: Mapping[str, Source], unchanged: Mapping[str, Source]) -> View:
        """As the snapshot asks for it; a command has no open buffers."""
        return self._view

    def snapshot(self) -> Snapshot:
        """Positions count in code points, as the shell's columns do."""
        return Snapshot(
            self.root, Documents(self.root), "utf-32", self.settings, self, voice=self._voice,
            configuration=self._configuration,
        )  # fmt: skip

    def load_vectors(self) -> None:
        """Let search compare vectors too; loading begins now, the first search waits for it."""
        from kexpert.workspace.tree_index import VectorReader, search_settings

        if self._vectors is None:
            self._vectors = VectorReader(self.root, search_settings(self.settings), self._on_message)
            self._view = self._open()

    def load_voice(self) -> None:
        """Let the chat model add to explanations of later snapshots. It is loaded when it is asked."""
        from kexpert.workspace.chat import ChatSession
        from kexpert.workspace.text_cache import TextCache
        from kexpert.workspace.voice import Voice

        if self._voice is None:
            listener = MessageListener(self._on_message)
            self._chat = ChatSession(listener)
            self._chat.configure(self.settings)
            self._voice = Voice(self._chat, TextCache(cache_directory(self.root)), listener)

    def close(self) -> None:
        self._configuration.close()
        if self._vectors is not None:
            self._vectors.close()
        if self._chat is not None and self._voice is not None:
            self._chat.close()
            self._voice.texts.close()
