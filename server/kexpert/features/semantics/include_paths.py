"""The folders where ``#include`` looks: the kernel's own search order, guessed from the path without a build."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from kexpert.core.c.source import Source
from kexpert.core.kernel.include_flags import include_folders
from kexpert.view import View

#: The architecture of files outside ``arch/`` where no configuration says another.
DEFAULT_ARCH = "x86"

_INCLUDE = re.compile(rb"#[ \t]*include[ \t]*(?:<([^>\n]*)>|\"([^\"\n]*)\")")
_ARCH = re.compile(r"(?:tools/)?arch/([^/]+)/")


class Include(NamedTuple):
    """An ``#include`` line; ``start``/``end`` span the name between the quotes."""

    name: str
    quoted: bool
    start: int
    end: int


def arch_of(path: str) -> str:
    """The architecture that a file belongs to; "" for a generic file."""
    match = _ARCH.match(path)
    return match[1] if match else ""


@lru_cache(maxsize=128)
def includes_of(source: Source) -> tuple[Include, ...]:
    """Every ``#include`` of a file, in order."""
    found = []
    for match in _INCLUDE.finditer(source.data):
        group = 1 if match[1] is not None else 2
        found.append(Include(match[group].decode("latin-1"), group == 2, match.start(group), match.end(group)))
    return tuple(found)


def arch_for(view: View, path: str) -> str:
    """The architecture for which a file is read: its own, or that of the configuration."""
    return arch_of(path) or view.configuration.arch


def include_directories(path: str, quoted: bool, arch: str) -> list[str]:
    """Directories to look in, in order, for an include in the file ``path`` that is read for ``arch``."""
    here = path.rpartition("/")[0]
    found = [here] if quoted else []
    if path.startswith("tools/"):
        found += ["tools/include", f"tools/arch/{arch}/include", "tools/include/uapi", "tools/lib",
                  "/".join(path.split("/")[:2])]  # fmt: skip
    found += [f"arch/{arch}/include", "include", f"arch/{arch}/include/uapi", "include/uapi"]
    folder = here
    while "/" in folder:  # drivers add their own folder and those above by ccflags-y
        found += [folder, f"{folder}/include"]
        folder = folder.rpartition("/")[0]
    return found


def include_candidates(path: str, name: str, quoted: bool, arch: str) -> Iterator[str]:
    """Paths in the tree that an include could mean, likeliest first; not all of them exist."""
    if name.startswith("generated/"):
        return
    for directory in include_directories(path, quoted, arch):
        yield _normal(f"{directory}/{name}")
    if name.startswith("asm/"):
        yield "include/asm-generic/" + name[4:]
        yield "include/uapi/asm-generic/" + name[4:]


def _normal(path: str) -> str:
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def resolve_include(view: View, source: Source, name: str, quoted: bool) -> str | None:
    """The path of an included file in the tree; None for a generated or missing file."""
    arch = arch_for(view, source.path)
    found = next((path for path in include_candidates(source.path, name, quoted, arch) if view.exists(path)), None)
    if found or name.startswith("generated/"):
        return found
    for folder in makefile_folders(view, source.path):
        if view.exists(path := _normal(f"{folder}/{name}")):
            return path
    if name.startswith("asm/") and not arch_of(source.path):
        # of some other architecture, if the default one has none
        for arch in sorted(view.list_dir("arch")):
            if view.exists(path := f"arch/{arch}/include/{name}"):
                return path
    return _only_header(view, source.path, name, quoted)


def _only_header(view: View, path: str, name: str, quoted: bool) -> str | None:
    """The one file of the tree with this name; programs beside the kernel include the headers of libraries."""
    is_library = not quoted and path.startswith(("tools/", "scripts/", "samples/", "usr/", "Documentation/"))
    if is_library or name.startswith("asm/") or not name or ".." in name:
        return None
    found = view.files_named(name)
    return found[0] if len(found) == 1 else None


def makefile_folders(view: View, path: str) -> list[str]:
    """The folders that the Makefiles of a file's own folder and of those above give with ``-I``."""
    found: dict[str, None] = {}
    folder = path.rpartition("/")[0]
    while folder:
        for makefile in (f"{folder}/Kbuild", f"{folder}/Makefile"):
            data = view.data(makefile)
            if data and b"-I" in data:
                found.update(dict.fromkeys(include_folders(data, folder)))
        folder = folder.rpartition("/")[0]
    return list(found)
