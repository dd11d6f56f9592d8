"""Names of files inside the server.

A file of the tree is named by its path relative to the root, with ``/`` between parts. A file
outside it keeps its absolute path, and a document that is no file keeps its URI.
"""

from __future__ import annotations


def is_tree_path(path: str) -> bool:
    """Whether a path lies in the tree: neither absolute nor a URI."""
    return not path.startswith("/") and ":" not in path.partition("/")[0]
