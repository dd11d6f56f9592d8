"""URIs of the protocol <-> names of files inside the server (see ``kexpert.core.paths``)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from kexpert.core.paths import is_tree_path


def path_of(uri: str, root: Path | None) -> str:
    """The path in the tree, else the absolute path, else (no file) the URI itself. Never raises."""
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


def path_of_document(uri: str, root: Path | None, spellings: Mapping[str, str]) -> str:
    """As ``path_of``, but a symbolic link inside the tree is the file to which it leads. An open document keeps the
    path under which it was opened: ``spellings`` are the client's own URIs, by path."""
    path = path_of(uri, root)
    if root is None or not is_tree_path(path) or spellings.get(path) == uri:
        return path
    real, top = os.path.realpath(root / path), os.path.realpath(root).rstrip("/") + "/"
    return real[len(top) :] if real.startswith(top) else path


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


def uri_of(path: str, root: Path | None, spellings: Mapping[str, str]) -> str:
    """The URI of a path; ``spellings`` are the client's own URIs of open documents, by path."""
    if path in spellings:
        return spellings[path]
    if not path.startswith("/"):
        return f"{_root_uri(root)}/{quote(path, errors='surrogateescape')}" if root and is_tree_path(path) else path
    return "file://" + quote(os.fsencode(path))


@lru_cache(maxsize=4)
def _root_uri(root: Path) -> str:
    return "file://" + quote(os.fsencode(root)).rstrip("/")
