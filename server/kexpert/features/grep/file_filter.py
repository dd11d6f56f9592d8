"""Which files and places pass the filters of a search: path patterns and CONFIG options."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kexpert.core.c.conditions import conditions_at
from kexpert.core.kernel.kbuild import built_by
from kexpert.core.paths import PathPatterns, is_pattern
from kexpert.features.grep.query import BadQuery
from kexpert.view import View

_OPTION = re.compile(r"(?:CONFIG_)?([A-Za-z0-9_]+)")
_MAKEFILES = ("Makefile", "Kbuild")


class FileFilter:
    """The filters of one search in one tree."""

    def __init__(self, view: View, paths: Sequence[str], configs: Sequence[str]) -> None:
        """Raises BadQuery for what is no pattern, and for an option that the tree does not have."""
        for path in paths:
            if not is_pattern(path):
                raise BadQuery(f"path {path[:40]!r} is no pattern; give a folder, or one such as drivers/net/*.c")
        self._patterns = PathPatterns(paths)
        self._options: list[re.Pattern[str]] = []
        self._built: set[str] = set()
        self._folders: tuple[str, ...] = ()
        self._mentioning: set[str] = set()
        for config in configs:
            self._add_option(view, config)

    def _add_option(self, view: View, config: str) -> None:
        match = _OPTION.fullmatch(config)
        name = f"CONFIG_{match[1].upper()}" if match else ""
        mentioning = view.files_mentioning(name) if name else []
        if not mentioning:
            raise BadQuery(f"config {config!r}: no file of the tree mentions such an option")
        self._options.append(re.compile(rf"\b{name}\b"))
        for path in mentioning:
            folder, _, base = path.rpartition("/")
            if base.startswith("Kconfig"):
                continue
            if base not in _MAKEFILES:
                self._mentioning.add(path)
                continue
            data = view.data(path)
            for built in built_by(name, data, folder) if data else ():
                if built.endswith("/"):
                    self._folders += (built,)
                else:
                    self._built.add(built)
        for symbol in view.lookup(name):
            self._mentioning.add(symbol.path)

    def takes(self, path: str) -> bool:
        """Whether results may come from a file."""
        if self._patterns and not self._patterns.matches(path):
            return False
        return not self._options or self._is_built(path) or path in self._mentioning

    def _is_built(self, path: str) -> bool:
        return path in self._built or path.startswith(self._folders)

    def takes_place(self, path: str, data: bytes, offset: int) -> bool:
        """True if a place passes: the option builds its file, or is named by an ``#if`` around it or by its line."""
        if not self._options or self._is_built(path):
            return True
        conditions = conditions_at(data, offset)
        if any(option.search(condition) for option in self._options for condition in conditions):
            return True
        line = data[data.rfind(b"\n", 0, offset) + 1 : data.find(b"\n", offset) % (len(data) + 1)]
        return any(option.search(line.decode("latin-1")) for option in self._options)
