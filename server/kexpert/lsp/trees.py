"""``Trees``: the kernel trees of one client, a workspace for each, and which of them a message is about.

A file is answered from its own tree: the nearest top folder around it. A tree is open while a folder of the client or
an open document lies in it. What is in no tree belongs to the tree that was last asked about.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kexpert.core.text import decode
from kexpert.lsp.uris import file_path, path_of, path_of_document
from kexpert.workspace.find_tree import tree_around

if TYPE_CHECKING:
    from kexpert.lsp.client_log import ClientLog
    from kexpert.workspace.workspace import Workspace

#: Each has an index, a watcher and threads of its own.
_MAX_TREES = 8


class OpenTree:
    """A workspace with the client's own URIs of its open documents, by path."""

    def __init__(self, workspace: Workspace, log: ClientLog) -> None:
        self.workspace = workspace
        self.log = log
        self.spellings: Mapping[str, str] = {}

    @property
    def root(self) -> Path | None:
        return self.workspace.root

    def path_of(self, uri: str) -> str:
        return path_of_document(uri, self.root, self.spellings)

    def open(self, uri: str, text: str) -> str:
        """Open a document; its path. One that was opened through a link gives way to the file itself."""
        path = self.path_of(uri)
        other = self.spellings.get(path, uri)
        if other != uri and path_of(other, self.root) != path:
            linked = self.workspace.snapshot().source(path)
            self.workspace.close_document(path)
            self.forget(path)
            self._open(path_of(other, self.root), other, "" if linked is None else decode(linked.data))
        elif other != uri:
            path = path_of(uri, self.root)
        self._open(path, uri, text)
        return path

    def _open(self, path: str, uri: str, text: str) -> None:
        self.spell(path, uri)
        self.workspace.open(path, text)

    def spell(self, path: str, uri: str) -> None:
        self.spellings = {**self.spellings, path: uri}

    def forget(self, path: str) -> None:
        self.spellings = {known: uri for known, uri in self.spellings.items() if known != path}

    def holds(self, absolute: str) -> bool:
        """Whether a path lies in the tree, however it is spelled."""
        return self.root is not None and not path_of(Path(absolute).as_uri(), self.root).startswith("/")

    def take(self, around: Path) -> bool:
        """Take the kernel tree around a path, if there is one; the documents are then named as in it."""
        uris = self.spellings
        taken = self.workspace.open_tree(around, lambda known, root: path_of(uris[known], root))
        if taken:
            self.spellings = {path_of(uri, self.root): uri for uri in uris.values()}
        return taken


class Trees:
    """Changed by the thread that reads messages alone."""

    def __init__(self, new_tree: Callable[[], OpenTree]) -> None:
        self._new_tree = new_tree
        self._open = [new_tree()]
        self._folders: dict[str, OpenTree] = {}
        self.current = self._open[0]

    def __iter__(self) -> Iterator[OpenTree]:
        return iter(list(self._open))

    def add_folder(self, folder: str) -> bool:
        """Open the tree around a folder of the client, if there is one."""
        tree = self._tree_around(folder)
        if tree is not None:
            self._folders[folder] = tree
        return tree is not None

    def remove_folder(self, folder: str) -> None:
        self._close_unless_used(self._folders.pop(folder, None))

    def document_opened(self, uri: str) -> OpenTree:
        """The tree of a document that is being opened; it is opened too if need be."""
        path = file_path(uri)
        self.current = (self._tree_around(os.path.dirname(path)) if path else None) or self.current
        return self.current

    def document_closed(self, tree: OpenTree) -> None:
        self._close_unless_used(tree)

    def of(self, uri: str) -> OpenTree:
        """The tree of a document or file."""
        if len(self._open) == 1:
            return self._open[0]
        for tree in self._open:
            if tree.spellings.get(tree.path_of(uri)) == uri:
                return tree
        path = file_path(uri)
        holding = [tree for tree in self._open if path is not None and tree.holds(path)]
        return max(holding, key=lambda tree: len(str(tree.root)), default=self.current)

    def about(self, params: Any) -> OpenTree:
        """The tree that a request is about."""
        uri = uri_in(params)
        if uri is not None:
            self.current = self.of(uri)
        return self.current

    def close(self) -> None:
        for tree in self._open:
            tree.workspace.close()

    def _tree_around(self, folder: str) -> OpenTree | None:
        root = tree_around(Path(folder))
        if root is None:
            return None
        for known in self._open:
            if known.root is not None and os.path.realpath(known.root) == os.path.realpath(root):
                return known
        tree = next((each for each in self._open if each.root is None), None)
        if tree is None and len(self._open) >= _MAX_TREES:
            self.current.log.show_once("warning", f"{root} is not read: {_MAX_TREES} kernel trees are open; close one")
            return None
        if tree is None:
            tree = self._new_tree()
            self._open.append(tree)
        tree.take(Path(folder))
        return tree

    def _close_unless_used(self, tree: OpenTree | None) -> None:
        if tree is None or len(self._open) == 1 or tree.spellings or tree in self._folders.values():
            return
        self._open.remove(tree)
        if self.current is tree:
            self.current = self._open[0]
        tree.workspace.close()


def uri_in(params: Any) -> str | None:
    """The URI that the parameters of a request name: of its document, of its item, or among its arguments."""
    for holder in (getattr(params, "text_document", None), getattr(params, "item", None)):
        if holder is not None:
            uri: str = holder.uri
            return uri
    arguments = getattr(params, "arguments", None) or getattr(params, "data", None)
    for argument in reversed(arguments) if isinstance(arguments, list) else ():
        if isinstance(argument, str) and argument.startswith("file:"):
            return argument
    return None
