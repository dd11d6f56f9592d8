"""Paths inside the server, and patterns of paths in settings.

A file of the tree has a path relative to the root, with ``/`` between parts. A file outside the tree has its absolute
path, and a document that is not a file has its URI.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_WILDCARD = re.compile(r"[*?\[]")


def is_tree_path(path: str) -> bool:
    """Return True for a path in the tree: neither absolute nor a URI."""
    return not path.startswith("/") and ":" not in path.partition("/")[0]


class PathPatterns:
    """Patterns of paths in a tree, in the language of gitignore; a folder that matches covers all below it.

    Two additions, because a setting is not a file in a folder: ``./net`` and ``net``, without a wildcard, are paths
    from the root of the tree, and ``*/`` at the beginning stands for any folder, as ``**/`` does.
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self._patterns = tuple(patterns)
        self._spec = _compiled(self._patterns) if self._patterns else None
        self._folders: dict[str, int | None] = {"": None}

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def matches(self, path: str, is_folder: bool = False) -> bool:
        """True if a pattern covers a file of the tree or a folder around it."""
        return self._match(path, is_folder) is not None

    def matching(self, path: str) -> str:
        """The pattern, as it was written, that covers a file; "" if none does."""
        found = self._match(path, False)
        return "" if found is None else self._patterns[found]

    def _match(self, path: str, is_folder: bool) -> int | None:
        """Index of the pattern that decides; None if the path is not covered."""
        if self._spec is None:
            return None
        path = path.lstrip("/")
        if is_folder:
            return self._match_folder(path.rstrip("/"))
        around = self._match_folder(path.rpartition("/")[0])
        return self._check(path) if around is None else around

    def _match_folder(self, folder: str) -> int | None:
        if folder not in self._folders:
            around = self._match_folder(folder.rpartition("/")[0])
            self._folders[folder] = self._check(folder + "/") if around is None else around
        return self._folders[folder]

    def _check(self, path: str) -> int | None:
        assert self._spec is not None
        result = self._spec.check_file(path)
        return result.index if result.include else None


def _compiled(patterns: Iterable[str]) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec  # when a setting needs it: it takes some milliseconds to load
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

    return GitIgnoreSpec([GitIgnoreSpecPattern(_as_gitignore(each) if is_pattern(each) else None) for each in patterns])


def is_pattern(text: str) -> bool:
    """False for what is no pattern, such as ``[z-a]``; like git, ``PathPatterns`` passes over it.

    pathspec makes regular expressions of patterns, for RE2 where it is installed. Each raises errors of its own.
    """
    from pathspec import GitIgnoreSpec
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

    try:
        GitIgnoreSpec([GitIgnoreSpecPattern(_as_gitignore(text))])
    except Exception:
        return False
    return True


def _as_gitignore(pattern: str) -> str:
    if pattern.startswith("./") or pattern == ".":
        pattern = "/" + pattern[2:].lstrip("/")
    if pattern == "/":
        return "**"
    if pattern.startswith("*/"):
        return "*" + pattern
    return pattern if pattern.startswith(("!", "#", "/")) or _WILDCARD.search(pattern) else "/" + pattern


def is_kconfig(path: str) -> bool:
    """True for a Kconfig file by its name: Kconfig, Kconfig.debug."""
    return path.rpartition("/")[2].startswith("Kconfig")


def is_makefile(path: str) -> bool:
    """True for a Makefile of the kernel's build by its name: Makefile, Kbuild, Makefile.build."""
    name = path.rpartition("/")[2]
    return name in ("Kbuild", "Makefile") or name.startswith("Makefile.")


def is_configuration(path: str) -> bool:
    """True for values of options by the file's name: .config, x86_64_defconfig, kernel/configs/debug.config."""
    name = path.rpartition("/")[2]
    return name in (".config", "defconfig") or name.endswith(("_defconfig", ".config"))


def is_build_file(path: str) -> bool:
    """True for the files of the tree that say how it is built or who looks after it, and hold no C."""
    return path == "MAINTAINERS" or is_kconfig(path) or is_makefile(path) or is_configuration(path)
