"""The identity of a file's content: its size and the time of its last change."""

from __future__ import annotations

import os
from typing import NamedTuple


class FileIdentity(NamedTuple):
    """A file with the same identity is not read again. Equals a plain (size, mtime_ns) tuple."""

    size: int  # bytes
    mtime_ns: int

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> FileIdentity | None:
        """The identity of the file at ``path``, links followed; None if it cannot be examined."""
        try:
            return cls.from_stat(os.stat(path))
        except (OSError, ValueError):
            return None

    @classmethod
    def from_stat(cls, stat: os.stat_result) -> FileIdentity:
        return cls(stat.st_size, stat.st_mtime_ns)

    def __str__(self) -> str:
        return f"{self.size}:{self.mtime_ns}"
