"""All Kconfig files of a tree for one architecture, read as one: which options there are, and what each needs.

Pure: files come through ``read`` and ``list_dir``.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from kexpert.core.kernel.kconfig import KconfigEntry, SourceLine, parse_kconfig
from kexpert.core.kernel.tristate import expand

_MAX_FILES = 20_000
_MAX_GLOB = 200
#: Folders that the top Kconfig of a kernel reads; for a tree whose top Kconfig reads none.
_TOP_FOLDERS = ("init", "kernel", "mm", "net", "drivers", "fs", "security", "crypto", "lib")

Read = Callable[[str], bytes | None]
ListDir = Callable[[str], Mapping[str, bool]]


@dataclass(slots=True)
class Entry:
    """One menu entry with the conditions of the files and blocks around it. Macros are expanded."""

    name: str
    type: str
    depends: tuple[str, ...]
    prompt_if: str | None  # None without a prompt, "" for an unconditional one
    visible_if: tuple[str, ...]
    defaults: list[tuple[str, str]]
    selects: list[tuple[str, str]]
    implies: list[tuple[str, str]]
    choice: int = -1  # index of the enclosing choice


@dataclass(slots=True)
class Choice:
    """A choice: one of its members is set."""

    entry: Entry
    members: list[str] = field(default_factory=list)


@dataclass(slots=True)
class KconfigTree:
    """The options of an architecture. ``files``: what was read, and what was looked for and is not there."""

    arch: str
    options: dict[str, list[Entry]] = field(default_factory=dict)
    choices: list[Choice] = field(default_factory=list)
    files: dict[str, bytes | None] = field(default_factory=dict)
    #: True if the architecture's own Kconfig was read: an option that is nowhere is then off.
    complete: bool = False


def kconfig_variables(arch: str, long_name: str = "") -> dict[str, str]:
    """The variables of make that Kconfig files read. ``long_name``: what make calls ``ARCH``; by default the 64-bit
    kernel where an architecture has both."""
    if long_name in ("", arch):
        long_name = {"x86": "x86_64", "sparc": "sparc64", "parisc": "parisc64"}.get(arch, arch)
    if arch == "um":
        return {"ARCH": "um", "SRCARCH": "um", "HEADER_ARCH": "x86", "SUBARCH": "x86_64"}
    return {"ARCH": long_name, "SRCARCH": arch, "HEADER_ARCH": arch, "SUBARCH": long_name, "srctree": "."}


def read_kconfig_tree(
    arch: str, read: Read, list_dir: ListDir, stop: Callable[[], bool] = lambda: False, *, long_name: str = ""
) -> KconfigTree:
    """Read the files that the top ``Kconfig`` leads to, in its order. Ends early, with less, if ``stop()``."""
    tree = KconfigTree(arch)
    reader = _Reader(tree, read, list_dir, kconfig_variables(arch, long_name), stop)
    reader.file("Kconfig", ())
    if len(tree.files) == 1:
        for path in (f"arch/{arch}/Kconfig", *(f"{folder}/Kconfig" for folder in _TOP_FOLDERS)):
            reader.file(path, ())
    tree.complete = bool(tree.files.get(f"arch/{arch}/Kconfig"))
    return tree


class _Reader:
    def __init__(
        self, tree: KconfigTree, read: Read, list_dir: ListDir, variables: dict[str, str], stop: Callable[[], bool]
    ) -> None:
        self.tree = tree
        self.read = read
        self.list_dir = list_dir
        self.variables = variables
        self.stop = stop

    def file(self, path: str, depends: tuple[str, ...]) -> None:
        """Read a file and, in place of its ``source`` lines, the files that they name."""
        stack: list[Iterator[tuple[str, tuple[str, ...]]]] = [iter([(path, depends)])]
        while stack and len(self.tree.files) < _MAX_FILES and not self.stop():
            following = next(stack[-1], None)
            if following is None:
                stack.pop()
            elif following[0] not in self.tree.files:
                data = self.tree.files[following[0]] = self.read(following[0])
                if data is not None:
                    stack.append(self._sourced(data, *following))

    def _sourced(self, data: bytes, path: str, depends: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Add the entries of a file; yield each file that it sources, with its conditions, where it does so."""
        choices: dict[int, int] = {}
        parsed = parse_kconfig(data, path)
        lines: list[KconfigEntry | SourceLine] = [*parsed.entries, *parsed.sources]
        for each in sorted(lines, key=lambda line: line.start):
            if isinstance(each, SourceLine):
                inner = (*depends, *(expand(condition, self.variables) for condition in each.depends))
                for found in self._named(each.keyword, each.pattern, path):
                    yield found, inner
            else:
                self._add(each, depends, choices)

    def _named(self, keyword: str, pattern: str, path: str) -> list[str]:
        wanted = expand(pattern, self.variables).replace("$SRCARCH", self.tree.arch)
        if "r" in keyword.removesuffix("source"):
            wanted = posixpath.join(posixpath.dirname(path), wanted)
        wanted = posixpath.normpath(wanted)
        if wanted.startswith(("/", "..")):
            return []
        if "*" not in wanted and "?" not in wanted:
            return [wanted]
        folder, _, name = wanted.rpartition("/")
        if "*" not in folder:
            return sorted(f"{folder}/{each}" for each in self.list_dir(folder) if fnmatchcase(each, name))[:_MAX_GLOB]
        above, _, part = folder.rpartition("/")
        inner = [each for each, is_dir in self.list_dir(above).items() if is_dir and fnmatchcase(each, part)]
        return sorted(f"{above}/{each}/{name}" for each in inner)[:_MAX_GLOB]

    def _add(self, raw: KconfigEntry, outer: tuple[str, ...], choices: dict[int, int]) -> None:
        """``choices``: where the choices of this file start -> their numbers."""
        if raw.kind in ("menu", "comment") or (raw.kind != "choice" and not raw.name):
            return
        entry = self._entry(raw, outer)
        if raw.kind == "choice":
            choices[raw.start] = len(self.tree.choices)
            self.tree.choices.append(Choice(entry))
            return
        entry.choice = choices.get(raw.choice_start, -1)
        if entry.choice >= 0:
            self.tree.choices[entry.choice].members.append(entry.name)
        self.tree.options.setdefault(entry.name, []).append(entry)

    def _entry(self, raw: KconfigEntry, outer: tuple[str, ...]) -> Entry:
        return Entry(
            raw.name, raw.type,
            (*outer, *self._each(raw.depends)),
            expand(raw.prompt_if, self.variables) if raw.prompt else None,
            tuple(self._each(raw.visible_if)),
            self._pairs(raw.defaults), self._pairs(raw.selects), self._pairs(raw.implies),
        )  # fmt: skip

    def _each(self, texts: Iterable[str]) -> list[str]:
        return [expand(text, self.variables) for text in texts]

    def _pairs(self, pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        return [(expand(value, self.variables), expand(condition, self.variables)) for value, condition in pairs]
