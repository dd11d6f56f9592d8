"""Open documents: the texts that a front end holds, by path, over the files of a tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kexpert.background.file_identity import FileIdentity
from kexpert.background.tree import read
from kexpert.core.c.source import Source
from kexpert.core.paths import is_tree_path
from kexpert.core.positions import EditedText, Encoding, LineIndex
from kexpert.core.text import encode


@dataclass(frozen=True, slots=True)
class Document:
    """An open buffer. ``saved`` is the identity of the file on disk that holds exactly this
    text; None where the buffer differs from its file or has none."""

    source: Source
    saved: FileIdentity | None = None


@dataclass(frozen=True, slots=True)
class Edit:
    """``text`` replaces what lies between two positions, each (line, character); the whole text if None."""

    text: str
    start: tuple[int, int] | None = None
    end: tuple[int, int] | None = None


class Documents(Mapping[str, Document]):
    """Immutable: each change gives a new mapping, so a snapshot may keep the one it has."""

    def __init__(self, root: Path | None = None, documents: Mapping[str, Document] | None = None) -> None:
        self._root = root
        self._documents = dict(documents or {})

    def __getitem__(self, path: str) -> Document:
        return self._documents[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._documents)

    def __len__(self) -> int:
        return len(self._documents)

    def opened(self, path: str, text: str) -> Documents:
        return self._with(path, self._compared(Source(path, encode(text))))

    def edited(self, path: str, edits: Iterable[Edit], encoding: Encoding) -> Documents:
        """Apply edits in order; positions count characters in ``encoding``. An unknown document starts empty."""
        document = self._documents.get(path) or Document(Source(path, b""))
        text = EditedText(document.source.lines)
        for edit in edits:
            new = encode(edit.text)
            if edit.start is None or edit.end is None:
                text = EditedText(LineIndex(new))
            else:
                text.replace(edit.start, edit.end, new, encoding)
        return self._with(path, Document(document.source.edited(text.data)))

    def saved(self, path: str) -> Documents:
        document = self._documents.get(path)
        return self._with(path, self._compared(document.source)) if document else self

    def closed(self, path: str) -> Documents:
        return Documents(self._root, {p: d for p, d in self._documents.items() if p != path})

    def under(self, root: Path, renamed: Mapping[str, str]) -> Documents:
        """The same texts in a tree; ``renamed`` gives their paths there."""
        moved = Documents(root)
        for path, document in self._documents.items():
            new = renamed.get(path, path)
            moved = moved._with(new, moved._compared(Source(new, document.source.data)))
        return moved

    def overlay(self) -> tuple[dict[str, Source], dict[str, Source]]:
        """(buffers that differ from their files, buffers that do not), by path.

        A buffer that equals its file hides no rows of the index.
        """
        differing: dict[str, Source] = {}
        unchanged: dict[str, Source] = {}
        for path, document in self._documents.items():
            same = document.saved is not None and document.saved == self._identity(path)
            (unchanged if same else differing)[path] = document.source
        return differing, unchanged

    def _with(self, path: str, document: Document) -> Documents:
        return Documents(self._root, {**self._documents, path: document})

    def _compared(self, source: Source) -> Document:
        """A document, with its file's identity if the file holds the same text."""
        identity = self._identity(source.path)
        if identity is None or self._root is None or identity.size != len(source.data):
            return Document(source)
        return Document(source, identity if read(self._root, source.path) == source.data else None)

    def _identity(self, path: str) -> FileIdentity | None:
        """The identity of a file of the tree."""
        return FileIdentity.of(self._root / path) if self._root is not None and is_tree_path(path) else None
