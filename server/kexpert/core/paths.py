"""Paths inside the server.

A file of the tree has a path relative to the root, with ``/`` between parts. A file outside the tree has its absolute
path, and a document that is not a file has its URI.
"""

from __future__ import annotations


def is_tree_path(path: str) -> bool:
    """Return True for a path in the tree: neither absolute nor a URI."""
    return not path.startswith("/") and ":" not in path.partition("/")[0]
