"""Explanations as files, for editors that can open a document but not show the answer of a command."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path

from kexpert.core.text import encode

_MAX_NAME_CHARACTERS = 80


def write_explanation(root: Path | None, path: str, name: str, markdown: str) -> Path:
    """Write the page about ``name`` in the source file ``path`` below the tree's cache directory; its absolute path.

    The next page about the same thing replaces it; functions of one name in two files do not share a page. Only the
    user may read the folder. Without a tree (``root`` is None) the cache directory is that of ``/``. Raises OSError.
    """
    from kexpert.background.database import cache_directory

    folder = (cache_directory(root or Path("/")) / "explain").absolute()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    page = folder / _file_name(path, name)
    descriptor, temporary = tempfile.mkstemp(prefix=".new-", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(encode(markdown))
        os.replace(temporary, page)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
    return page


def _file_name(path: str, name: str) -> str:
    """A name of letters, digits, ``_`` and ``-`` alone, before ``.md``."""
    readable = re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:_MAX_NAME_CHARACTERS]
    digest = hashlib.sha256(encode(path) + b"\0" + encode(name)).hexdigest()[:8]
    return f"{readable}-{digest}.md"
