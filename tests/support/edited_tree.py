"""A tree that a property test edits."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path


@contextlib.contextmanager
def edited_tree(names: Iterable[str], start: Mapping[str, bytes]) -> Iterator[tuple[Path, Path]]:
    """(the root, where its database goes) of a tree with the folders of all ``names`` and the files of ``start``."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "linux"
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
        for path, data in start.items():
            (root / path).write_bytes(data)
        yield root, Path(folder) / "index.db"
