"""The kernel tree on disk: where it begins, which files are indexed, what their identity is."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from fnmatch import fnmatchcase
from pathlib import Path
from stat import S_ISREG

#: A larger file is not indexed (the largest of 6.1 is 21 MB); it is named in the report.
MAX_FILE_BYTES = 32 << 20

_SKIPPED_DIRECTORIES = frozenset({".git", ".svn", ".hg", ".tmp_versions", "node_modules", ".cache", ".kexpert"})
_MAKEFILE = re.compile(r"(?:Makefile|Kbuild)(?:[.-].*)?$")


class FileKind(IntEnum):
    """How a file is read. The numbers are stored."""

    C = 1
    HEADER = 2
    ASSEMBLY = 3
    KCONFIG = 4
    MAKEFILE = 5


@dataclass(frozen=True, slots=True)
class TreeFile:
    """A file to index: ``path`` relative to the root; size in bytes and mtime in ns are its identity."""

    path: str
    size: int
    mtime_ns: int
    kind: FileKind


def find_root(path: str | os.PathLike[str]) -> Path | None:
    """The kernel tree that ``path`` lies in: the outermost marks of one, looked for upwards."""
    start = Path(path).absolute()
    for folder in (start, *start.parents):
        if is_tree(folder):
            return folder
    return None


def is_tree(folder: Path) -> bool:
    """Whether a folder is the top of a kernel tree (whole, or as little of one as has its marks)."""
    try:
        return (
            (folder / "Kconfig").is_file()
            and (folder / "Makefile").is_file()
            and ((folder / "MAINTAINERS").is_file() or (folder / "include" / "linux").is_dir())
        )
    except OSError:
        return False


def kind_of(path: str) -> FileKind | None:
    """How the index reads a file of this name; None when it does not."""
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
    exclude: Iterable[str] = (),
    on_error: Callable[[str], None] = lambda _: None,
    under: str = "",
) -> Iterator[TreeFile]:
    """Every file to index below the folder ``under``. Symbolic links are not followed, so a loop of them is harmless.

    A folder that cannot be read is named through ``on_error`` and passed over.
    """
    patterns = tuple(exclude)
    stack = [under]
    top = str(root)
    while stack:
        folder = stack.pop()
        try:
            with os.scandir(f"{top}/{folder}" if folder else top) as entries:
                for entry in entries:
                    name = entry.name
                    path = f"{folder}/{name}" if folder else name
                    try:
                        if entry.is_dir(follow_symlinks=False):
                            if name not in _SKIPPED_DIRECTORIES and not _excluded(path, patterns):
                                stack.append(path)
                            continue
                        kind = kind_of(name)
                        if kind is None or not entry.is_file(follow_symlinks=False):
                            continue
                        if not _excluded(path, patterns) and _storable(path):
                            stat = entry.stat(follow_symlinks=False)
                            yield TreeFile(path, stat.st_size, stat.st_mtime_ns, kind)
                    except OSError as error:
                        on_error(f"{path}: {error.strerror}")
        except OSError as error:
            on_error(f"{folder or top}: {error.strerror}")


def look(root: Path, path: str, exclude: tuple[str, ...] = ()) -> TreeFile | None:
    """One file as ``scan`` would give it; None when it is gone or not for the index."""
    kind = kind_of(path)
    folders = path.split("/")[:-1]
    if kind is None or not _storable(path) or any(part in _SKIPPED_DIRECTORIES for part in folders):
        return None
    if exclude and any(_excluded("/".join(folders[: n + 1]), exclude) for n in range(len(folders))):
        return None
    if _excluded(path, exclude):
        return None
    try:
        stat = os.lstat(f"{root}/{path}")
    except OSError:
        return None
    if not S_ISREG(stat.st_mode):
        return None
    return TreeFile(path, stat.st_size, stat.st_mtime_ns, kind)


def read(root: Path | str, path: str, limit: int = MAX_FILE_BYTES) -> bytes | None:
    """A file's bytes; None when it is gone, not readable, no file, or larger than ``limit``."""
    try:
        fd = os.open(f"{root}/{path}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except (OSError, ValueError):
        return None
    try:
        stat = os.fstat(fd)
        if not S_ISREG(stat.st_mode) or stat.st_size > limit:
            return None
        pieces = [os.read(fd, stat.st_size + 1)]
        size = len(pieces[0])
        while pieces[-1] and stat.st_size <= size <= limit:  # it grew since, or the read was short
            pieces.append(os.read(fd, 1 << 16))
            size += len(pieces[-1])
        return b"".join(pieces) if size <= limit else None
    except OSError:
        return None
    finally:
        os.close(fd)


def inside(root: Path, file: str | os.PathLike[str]) -> str | None:
    """A path relative to the root with ``/`` between parts; None when it lies outside."""
    try:
        relative = os.path.relpath(os.path.abspath(file), root)
    except ValueError:
        return None
    if relative == ".." or relative.startswith("../"):
        relative = os.path.relpath(os.path.realpath(file), os.path.realpath(root))
        if relative == ".." or relative.startswith("../"):
            return None
    return relative


def _excluded(path: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)


def _storable(path: str) -> bool:
    """Names that are no UTF-8 cannot be put in a URI or a row."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
