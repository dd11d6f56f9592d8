"""``Workspace``: the mutable half of the façade: which tree, which documents are open, which settings hold.

A front end changes a workspace from one thread, in the order in which its client speaks, and asks its
questions of a ``Snapshot``, which nothing changes afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kexpert.core.paths import is_tree_path
from kexpert.core.positions import Encoding
from kexpert.workspace.chat import ChatSession
from kexpert.workspace.documents import Documents, Edit
from kexpert.workspace.inline_session import InlineSession, RunInBackground
from kexpert.workspace.settings import Layer, Settings, client_layer, file_layers, resolve_settings
from kexpert.workspace.snapshot import Snapshot

if TYPE_CHECKING:
    from kexpert.workspace.checkpatch import Checkpatch
    from kexpert.workspace.configuration import ConfigurationInView
    from kexpert.workspace.listener import Listener
    from kexpert.workspace.summaries import Summaries
    from kexpert.workspace.tree_index import TreeIndex

#: More warnings about settings than this at a time go to the log only.
_MAX_SHOWN_WARNINGS = 5
#: Settings that only a new index takes up.
_INDEX_SETTINGS = (
    "index_jobs", "index_watch", "index_exclude", "vectors_enabled", "vectors_url", "vectors_embedder",
)  # fmt: skip
_SETTINGS_FILES = ("kexpert.toml", ".kexpert.toml")


class Workspace:
    """One client's tree, documents and settings. Not thread-safe: see the module."""

    def __init__(
        self,
        listener: Listener,
        encoding: Encoding,
        run_in_background: RunInBackground,
        client_settings: Iterable[tuple[str, Any]] = (),
    ) -> None:
        """``client_settings``: (where they come from, settings as JSON), the later ones win."""
        self.root: Path | None = None
        self.settings = Settings()
        self.documents = Documents()
        self.inline = InlineSession(listener, run_in_background)
        self.chat = ChatSession(listener)
        self.checkpatch: Checkpatch | None = None
        self._listener = listener
        self._encoding = encoding
        self._index: TreeIndex | None = None
        self._configuration: ConfigurationInView | None = None
        self._summaries: Summaries | None = None
        self._kept: dict[str, Any] = {}
        self._client_settings = dict(client_settings)
        self.reconfigure()

    def snapshot(self) -> Snapshot:
        """This moment; also a sign that somebody asks something."""
        if self._summaries is None:
            self._summaries = self._new_summaries()
        summaries = self._summaries
        summaries.idle.note_question()
        return Snapshot(
            self.root, self.documents, self._encoding, self.settings, self._index, self.inline, self.checkpatch,
            self.chat, voice=summaries.voice, summaries=summaries, configuration=self._configuration,
            kept=self._kept,
        )  # fmt: skip

    def _new_summaries(self) -> Summaries:
        """What the model writes is kept in the cache of the tree; without a tree, in memory."""
        from kexpert.background.database import cache_directory
        from kexpert.workspace.summaries import Summaries
        from kexpert.workspace.text_cache import TextCache
        from kexpert.workspace.voice import Voice

        texts = TextCache(cache_directory(self.root) if self.root else None)
        return Summaries(Voice(self.chat, texts, self._listener))

    def _end_summaries(self) -> None:
        if self._summaries is not None:
            self._summaries.close()
            self._summaries = None

    def _summarise_ahead(self, path: str) -> None:
        """Have the functions of an open file summarised when the machine is idle."""
        if self.settings.summaries_ahead and self.settings.hover_summary and path.endswith((".c", ".h")):
            snapshot = self.snapshot()
            if snapshot.summaries is not None:
                snapshot.summaries.look_through(path, snapshot)

    # -- the tree -------------------------------------------------------------------------------

    def open_tree(self, around: Path, rename: Callable[[str, Path], str] = lambda path, root: path) -> bool:
        """Take the kernel tree around a path, if there is one. ``rename`` says what an open document, by its path
        so far, is called in the tree."""
        from kexpert.background.tree import find_root

        root = find_root(around)
        if root is None:
            return False
        self.root = root
        self._end_summaries()
        self.reconfigure()
        self.documents = self.documents.under(root, {path: rename(path, root) for path in self.documents})
        self._start_index(root)
        for path in self.documents:
            self._summarise_ahead(path)
        return True

    def _start_index(self, root: Path) -> None:
        from kexpert.background.database import cache_directory
        from kexpert.workspace.configuration import ConfigurationInView
        from kexpert.workspace.tree_index import TreeIndex, search_settings

        configuration = self._configuration = ConfigurationInView(
            root,
            cache_directory(root),
            self.settings.configuration,
            on_message=lambda text: self._listener.show_once("warning", text),
            on_change=lambda words: self._listener.log("info", f"{root}: the configuration in view is {words}"),
        )
        try:
            self._index = TreeIndex(
                root,
                jobs=self.settings.index_jobs or None,
                watch=self.settings.index_watch,
                exclude=self.settings.index_exclude,
                search=search_settings(self.settings),
                on_progress=self._listener.progress,
                on_message=lambda text: self._listener.show_once("info", text),
                on_updated=lambda paths: configuration.files_changed(paths),
            )
            self._index.start()
            self._prioritise(self.documents)
        except Exception as problem:
            self._index = None
            self._listener.failure("index", problem)
            self._listener.show_once("error", f"{root} cannot be indexed: {problem}; only open files are known")

    def reindex(self) -> None:
        """Compare the whole tree with the index, in the background: for changes that no event told of."""
        if self._index:
            self._index.rescan()

    def cancel_indexing(self) -> None:
        """Stop the running update; the next start goes on with it."""
        if self._index:
            self._index.cancel()

    def close(self) -> None:
        """End the models' processes, then the index; all within seconds."""
        if self._summaries is not None:
            self._summaries.stop()
        self.inline.close()
        self.chat.close()
        self._end_summaries()
        self._end_index()

    def _end_index(self) -> None:
        if self._configuration is not None:
            self._configuration.close()
            self._configuration = None
        if self._index:
            self._index.close()
            self._index = None

    # -- settings -------------------------------------------------------------------------------

    def configure(self, origin: str, settings: Any) -> None:
        """The client's settings from one origin have changed."""
        self._client_settings[origin] = settings
        self.reconfigure()

    def reconfigure(self) -> None:
        """Read all settings again and let them take effect."""
        layers, warnings = file_layers(self.root)
        layers, warnings = self._with_client(layers, warnings)
        before = self.settings
        self.settings, problems = resolve_settings(layers)
        self.inline.configure(self.settings)
        self.chat.configure(self.settings)
        for count, warning in enumerate(warnings + problems):
            if count < _MAX_SHOWN_WARNINGS:
                self._listener.show_once("warning", warning)
            else:
                self._listener.log("warning", warning)
        self._configure_checkpatch()
        if self._configuration is not None:
            self._configuration.configure(self.settings.configuration)
        changed = any(getattr(before, name) != getattr(self.settings, name) for name in _INDEX_SETTINGS)
        if self.root and self._index and changed:
            self._end_index()
            self._start_index(self.root)

    def _with_client(self, layers: list[Layer], warnings: list[str]) -> tuple[list[Layer], list[str]]:
        for origin, value in self._client_settings.items():
            more, problems = client_layer(origin, value)
            layers, warnings = layers + more, warnings + problems
        return layers, warnings

    def _configure_checkpatch(self) -> None:
        from kexpert.workspace.checkpatch import Checkpatch

        self.checkpatch = None
        if self.root and self.settings.diagnostics_checkpatch:
            checkpatch = Checkpatch(self.root, self.settings.diagnostics_timeout_seconds)
            if missing := checkpatch.missing():
                self._listener.log("info", f"no diagnostics from checkpatch: {missing}")
            else:
                self.checkpatch = checkpatch

    # -- documents ------------------------------------------------------------------------------

    def open(self, path: str, text: str) -> None:
        self.documents = self.documents.opened(path, text)
        self._prioritise([path])
        self._summarise_ahead(path)

    def edit(self, path: str, edits: Iterable[Edit]) -> None:
        edits = list(edits)
        self.documents = self.documents.edited(path, edits, self._encoding)
        if self._summaries is not None:
            self._summaries.idle.note_question()
        for edit in edits:
            if edit.start is not None:
                self.inline.edited(path, edit.start[0])

    def save(self, path: str) -> None:
        self.documents = self.documents.saved(path)
        self.files_changed([path])
        self._summarise_ahead(path)
        if path in _SETTINGS_FILES:
            self.reconfigure()

    def close_document(self, path: str) -> None:
        self.documents = self.documents.closed(path)
        if self._summaries is not None:
            self._summaries.forget(path)
        if self.checkpatch:
            self.checkpatch.forget(path)

    def files_changed(self, paths: Iterable[str]) -> None:
        """Files changed on disk; paths outside the tree are ignored."""
        paths = list(paths)
        if self._configuration is not None:
            self._configuration.files_changed(set(paths))
        if self._index and (inside := [path for path in paths if is_tree_path(path)]):
            self._index.files_changed(inside)

    def _prioritise(self, paths: Iterable[str] | Mapping[str, Any]) -> None:
        if self._index and (inside := [path for path in paths if is_tree_path(path)]):
            self._index.prioritise(inside)
