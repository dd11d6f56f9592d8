"""The kernel tree on disk: its root, the files to index, their identity and bytes."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from stat import S_ISREG

from kexpert.background.file_identity import FileIdentity
from kexpert.background.foreground import GivesWay
from kexpert.core.paths import PathPatterns

#: A larger file is not indexed (the largest of 6.1 has 21 MB); a note names it.
MAX_FILE_BYTES = 32 << 20

_SKIPPED_FOLDERS = frozenset({".git", ".svn", ".hg", ".tmp_versions", "node_modules", ".cache", ".kexpert"})
_MAKEFILE = re.compile(r"(?:Makefile|Kbuild)(?:[.-].*)?$")
_EVERYTHING = PathPatterns()


class FileKind(IntEnum):
    """The language of a file. The numbers are stored."""

    C = 1
    HEADER = 2
    ASSEMBLY = 3
    KCONFIG = 4
    MAKEFILE = 5


@dataclass(frozen=True, slots=True)
class TreeFile:
    """A file to index; ``path`` is relative to the root."""

    path: str
    identity: FileIdentity
    kind: FileKind

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self.identity.size


def find_root(path: str | os.PathLike[str]) -> Path | None:
    """The kernel tree around ``path``: the nearest folder that is the top of one."""
    start = Path(path).absolute()
    for folder in (start, *start.parents):
        if is_tree(folder):
            return folder
    return None


def is_tree(folder: Path) -> bool:
    """True if a folder is the top of a kernel tree: it has Kconfig, Makefile, and MAINTAINERS or include/linux."""
    try:
        return (
            (folder / "Kconfig").is_file()
            and (folder / "Makefile").is_file()
            and ((folder / "MAINTAINERS").is_file() or (folder / "include" / "linux").is_dir())
        )
    except OSError:
        return False


def kind_of(path: str) -> FileKind | None:
    """The kind of a file by its name; None if it is not indexed."""
    name = path.rpartition("/")[2]
    if name.endswith(".c"):
        return FileKind.C
    if name.endswith(".h"):
        return FileKind.HEADER
    if name.endswith(".S"):
        return FileKind.ASSEMBLY
    if name.startswith("Kconfig"):
        return FileKind.KCONFIG
    if _MAKEFILE.match(name):
        return FileKind.MAKEFILE
    return None


def scan(
    root: Path,
    exclude: PathPatterns = _EVERYTHING,
    on_error: Callable[[str], None] = lambda _: None,
    under: str = "",
) -> Iterator[TreeFile]:
    """Every file to index below the folder ``under``. Symbolic links are not followed, so their loops do no harm.

    A folder that cannot be read is named to ``on_error`` and passed over.
    """
    stack = [under]
    top = str(root)
    give_way = GivesWay()
    while stack:
        give_way()
        folder = stack.pop()
        try:
            with os.scandir(f"{top}/{folder}" if folder else top) as entries:
                for entry in entries:
                    name = entry.name
                    path = f"{folder}/{name}" if folder else name
                    try:
                        if entry.is_dir(follow_symlinks=False):
                            if name not in _SKIPPED_FOLDERS and not exclude.matches(path, is_folder=True):
                                stack.append(path)
                            continue
                        kind = kind_of(name)
                        if kind is None or not entry.is_file(follow_symlinks=False):
                            continue
                        if _is_utf8(path) and not exclude.matches(path):
                            yield TreeFile(path, FileIdentity.from_stat(entry.stat(follow_symlinks=False)), kind)
                    except OSError as error:
                        on_error(f"{path}: {error.strerror}")
        except OSError as error:
            on_error(f"{folder or top}: {error.strerror}")


def examine(root: Path, path: str, exclude: PathPatterns = _EVERYTHING) -> TreeFile | None:
    """One file as ``scan`` would give it; None if it is gone or not to be indexed."""
    kind = kind_of(path)
    if kind is None or not _is_utf8(path) or not _SKIPPED_FOLDERS.isdisjoint(path.split("/")[:-1]):
        return None
    if exclude.matches(path):
        return None
    try:
        stat = os.lstat(f"{root}/{path}")
    except OSError:
        return None
    return TreeFile(path, FileIdentity.from_stat(stat), kind) if S_ISREG(stat.st_mode) else None


def read(root: Path | str, path: str, limit: int = MAX_FILE_BYTES) -> bytes | None:
    """The bytes of a regular file; None if it is gone, unreadable, or larger than ``limit``."""
    try:
        fd = os.open(f"{root}/{path}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except (OSError, ValueError):
        return None
    try:
        stat = os.fstat(fd)
        if not S_ISREG(stat.st_mode) or stat.st_size > limit:
            return None
        data = os.read(fd, stat.st_size + 1)
        size = len(data)
        if size == stat.st_size:
            return data
        pieces = [data]
        while pieces[-1] and stat.st_size < size <= limit:  # it grew since
            pieces.append(os.read(fd, 1 << 16))
            size += len(pieces[-1])
        return b"".join(pieces) if size <= limit else None
    except OSError:
        return None
    finally:
        os.close(fd)


def relative_path(root: Path, file: str | os.PathLike[str]) -> str | None:
    """The path of a file relative to the root, with ``/`` between parts; None if it lies outside."""
    try:
        relative = os.path.relpath(os.path.abspath(file), root)
    except ValueError:
        return None
    if relative == ".." or relative.startswith("../"):
        relative = os.path.relpath(os.path.realpath(file), os.path.realpath(root))
        if relative == ".." or relative.startswith("../"):
            return None
    return relative


def _is_utf8(path: str) -> bool:
    """Other names cannot be put in a URI or a row."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
