"""The state of one connection: which tree, which documents are open, which settings hold.

Everything that changes a session runs on one thread, in the order in which the client sent it. What
answers questions works on a ``Snapshot``, which nothing changes afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, unquote, urlsplit

from kexpert.background.file_identity import FileIdentity
from kexpert.background.tree import read
from kexpert.core.c.source import Source
from kexpert.core.paths import is_tree_path
from kexpert.core.text import EditedText, Encoding, LineIndex, encode
from kexpert.view import View
from kexpert.workspace.buffer_view import BufferView

if TYPE_CHECKING:
    from kexpert.workspace.settings import Options


class Index(Protocol):
    """What a session needs of the index of a tree; ``workspace.tree_index.TreeIndex`` is the one."""

    def start(self) -> None: ...
    def view(self, overlay: Mapping[str, Source], unchanged: Mapping[str, Source]) -> View: ...
    def files_changed(self, paths: Iterable[str]) -> None: ...
    def prioritise(self, paths: Iterable[str]) -> None: ...
    def cancel(self) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Document:
    """An open buffer. ``uri`` is the client's own spelling, in which it gets its places back;
    ``saved`` is the identity of the file on disk that held the very same text."""

    uri: str
    source: Source
    saved: FileIdentity | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One moment of a session. ``view`` is made when first asked for, on the thread that asks."""

    root: Path | None
    documents: Mapping[str, Document]  # by path
    encoding: Encoding
    options: Options
    _index: Index | None

    def view(self) -> View:
        """The tree with the open buffers over it; the open buffers alone where there is no tree.

        A buffer that says what its file says hides no rows: the index knows them already.
        """
        overlay, unchanged = {}, {}
        for path, document in self.documents.items():
            same = document.saved is not None and document.saved == _identity(self.root, path)
            (unchanged if same else overlay)[path] = document.source
        if self._index is None:
            return BufferView(str(self.root or "/"), {**overlay, **unchanged})
        return self._index.view(overlay, unchanged)

    def path(self, uri: str) -> str:
        return path_of(uri, self.root)

    def uri(self, path: str) -> str:
        document = self.documents.get(path)
        return document.uri if document else uri_of(path, self.root)


class Session:
    """Open documents over a tree. Not thread-safe by itself, and need not be: see the module."""

    def __init__(self, encoding: Encoding, options: Options) -> None:
        self.encoding: Encoding = encoding
        self.options = options
        self.root: Path | None = None
        self.index: Index | None = None
        self._documents: dict[str, Document] = {}

    def adopt(self, root: Path, make_index: Callable[[Path], Index]) -> None:
        """Take ``root`` as the tree. Documents that are open already get their paths in it."""
        self.root = root
        self._documents = {
            path_of(d.uri, root): self._compared(d.uri, Source(path_of(d.uri, root), d.source.data))
            for d in self._documents.values()
        }
        self.index = make_index(root)
        self.index.start()
        if opened := [path for path in self._documents if is_tree_path(path)]:
            self.index.prioritise(opened)

    def snapshot(self) -> Snapshot:
        # Every change makes a new dictionary, so the present one can be given away.
        return Snapshot(self.root, self._documents, self.encoding, self.options, self.index)

    def open(self, uri: str, text: str) -> str:
        """A client opened a document; the path under which it is known."""
        path = path_of(uri, self.root)
        self._documents = {**self._documents, path: self._compared(uri, Source(path, encode(text)))}
        if self.index and is_tree_path(path):
            self.index.prioritise([path])
        return path

    def change(self, uri: str, changes: Iterable[Any]) -> str:
        """Apply a client's edits in order; each is a whole new text or has a ``range``. The document's path."""
        path = path_of(uri, self.root)
        document = self._documents.get(path) or Document(uri, Source(path, b""))
        text = EditedText(document.source.lines)
        for change in changes:
            new, place = encode(change.text), getattr(change, "range", None)
            if place is None:
                text = EditedText(LineIndex(new))
            else:
                start, end = place.start, place.end
                text.replace((start.line, start.character), (end.line, end.character), new, self.encoding)
        self._documents = {**self._documents, path: Document(document.uri, document.source.edited(text.data))}
        return path

    def close(self, uri: str) -> str:
        path = path_of(uri, self.root)
        self._documents = {p: d for p, d in self._documents.items() if p != path}
        return path

    def saved(self, uri: str) -> str:
        """A client saved a document; its path."""
        path = path_of(uri, self.root)
        if document := self._documents.get(path):
            self._documents = {**self._documents, path: self._compared(document.uri, document.source)}
        self.files_changed([path])
        return path

    def _compared(self, uri: str, source: Source) -> Document:
        """A document, with its file's identity if that holds the same text."""
        identity = _identity(self.root, source.path) if is_tree_path(source.path) else None
        if identity is None or self.root is None or identity[0] != len(source.data):
            return Document(uri, source)
        same = read(self.root, source.path) == source.data
        return Document(uri, source, identity if same else None)

    def files_changed(self, paths: Iterable[str]) -> None:
        """Files changed on disk, by path."""
        if self.index and (inside := [path for path in paths if is_tree_path(path)]):
            self.index.files_changed(inside)

    def end(self) -> None:
        if self.index:
            self.index.close()
            self.index = None


def _identity(root: Path | None, path: str) -> FileIdentity | None:
    """The identity of a file of the tree."""
    return FileIdentity.of(root / path) if root else None


def path_of(uri: str, root: Path | None) -> str:
    """The name of a document inside the server: relative to the tree, or absolute outside it, or the
    URI itself when it is no file's. Never raises."""
    absolute = file_path(uri)
    if absolute is None:
        return uri
    if root is None:
        return absolute
    prefix = f"{str(root).rstrip('/')}/"
    if absolute.startswith(prefix):
        return absolute[len(prefix) :]
    # The editor may have come by another way, through a symbolic link.
    real_prefix = f"{os.path.realpath(root).rstrip('/')}/"
    real = os.path.realpath(absolute)
    return real[len(real_prefix) :] if real.startswith(real_prefix) else absolute


def file_path(uri: str) -> str | None:
    """The absolute path that a ``file:`` URI names, else None."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    path = unquote(parts.path, errors="surrogateescape")
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not path.startswith("/") or "\0" in path:
        return None
    return os.path.normpath(path)


def uri_of(path: str, root: Path | None) -> str:
    """The URI of a path as the session names it."""
    if not path.startswith("/"):
        return f"{_root_uri(root)}/{quote(path, errors='surrogateescape')}" if root and is_tree_path(path) else path
    return "file://" + quote(os.fsencode(path))


@lru_cache(maxsize=4)
def _root_uri(root: Path) -> str:
    return "file://" + quote(os.fsencode(root)).rstrip("/")
