"""What Kconfig makes of one configuration, worked out once and kept in the tree's cache as JSON.

Reading the 1,500 Kconfig files of an architecture and computing 16,000 options takes seconds: a child process does it.
The result holds as long as none of these files changes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kexpert.background.atomic_file import write_whole
from kexpert.background.file_identity import FileIdentity
from kexpert.core.kernel.configuration import Relations
from kexpert.core.kernel.kconfig_tree import KconfigTree, read_kconfig_tree
from kexpert.core.kernel.kconfig_values import kconfig_values

#: Rises when the values that are computed, or the form of the file, change.
_VERSION = 1
#: One for each architecture, since questions about the whole tree need them all, and some more.
_MAX_TABLES = 32
_MAX_FILE_BYTES = 4 << 20
#: A tree with no more Kconfig files is read in this process: starting another would take longer.
_FEW_FILES = 60


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of Kconfig. ``long_name``: what make calls ``ARCH``; ``user``: the values of a defconfig."""

    arch: str
    long_name: str
    user: tuple[tuple[str, str], ...] = ()
    all_no: bool = False

    @property
    def digest(self) -> str:
        text = json.dumps([_VERSION, *asdict(self).values()])
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Table:
    """The values of all options, and what they say of each other. ``complete``: the architecture's Kconfig is there."""

    values: Mapping[str, str]
    relations: Relations
    complete: bool


def load(root: Path, directory: Path, question: Question) -> Table | None:
    """The table from the cache; None if there is none or a Kconfig file changed since."""
    path = _path(directory, question)
    try:
        if path.stat().st_size > 64 << 20:
            return None
        stored = json.loads(path.read_bytes())
        if stored["version"] != _VERSION or stored["root"] != str(root):
            return None
        for name, identity in stored["files"].items():
            now = FileIdentity.of(root / name)
            if (list(now) if now else None) != identity:
                return None
        return Table(
            stored["values"],
            Relations(stored["depends"], stored["selects"], stored["choices"]),
            stored["complete"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def compute(
    root: Path,
    directory: Path | None,
    question: Question,
    *,
    few: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> Table | None:
    """Read Kconfig, compute the table and keep it in ``directory``. ``few``: give up on a tree with many Kconfig files.

    None if it is stopped or gives up.
    """
    count = 0
    top = root.resolve()
    files: dict[str, Any] = {}

    def read(name: str) -> bytes | None:
        nonlocal count
        count += 1
        path = root / name
        identity = FileIdentity.of(path)
        files[name] = identity
        if identity is None or identity.size > _MAX_FILE_BYTES or not path.resolve().is_relative_to(top):
            return None
        try:
            return path.read_bytes()
        except OSError:
            return None

    def list_dir(name: str) -> dict[str, bool]:
        try:
            with os.scandir(root / name) as entries:
                return {entry.name: entry.is_dir() for entry in entries}
        except OSError:
            return {}

    def enough() -> bool:
        return stop() or (few and count > _FEW_FILES)

    tree = read_kconfig_tree(question.arch, read, list_dir, enough, long_name=question.long_name)
    values = {} if enough() else kconfig_values(tree, dict(question.user), question.all_no, stop)
    if enough():
        return None
    table = Table(values, relations_of(tree), tree.complete)
    if directory is not None:
        _keep(root, directory, question, table, files)
    return table


def relations_of(tree: KconfigTree) -> Relations:
    """What the options of a tree say of each other."""
    depends = {name: [list(entry.depends) for entry in entries] for name, entries in tree.options.items()}
    selects = {
        name: found
        for name, entries in tree.options.items()
        if (found := [list(pair) for entry in entries for pair in entry.selects])
    }
    return Relations(depends, selects, [choice.members for choice in tree.choices])


def _path(directory: Path, question: Question) -> Path:
    return directory / f"kconfig-{question.arch}-{question.digest}.json"


def _keep(root: Path, directory: Path, question: Question, table: Table, files: Mapping[str, Any]) -> None:
    """Write the table; without the disk space for it, it is computed again by the next process."""
    stored = {
        "version": _VERSION, "root": str(root), "complete": table.complete, "files": files, "values": table.values,
        "depends": table.relations.depends, "selects": table.relations.selects, "choices": table.relations.choices,
    }  # fmt: skip
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(_path(directory, question), json.dumps(stored).encode())
        old = sorted(directory.glob("kconfig-*.json"), key=lambda each: each.stat().st_mtime_ns)
        for each in old[:-_MAX_TABLES]:
            each.unlink(missing_ok=True)
    except OSError:
        return


def _prepare_process() -> None:
    from kexpert.background.process_pool import end_with_parent

    end_with_parent()
    os.nice(5)


def _compute_apart(task: tuple[Path, Path, Question]) -> bool:
    return compute(*task) is not None


def compute_apart(root: Path, directory: Path, question: Question, stop: Callable[[], bool]) -> Table | None:
    """Compute in this process where that is quick, else in a child process, and read what it kept."""
    from kexpert.background.process_pool import ProcessPool

    found = compute(root, directory, question, few=True, stop=stop)
    if found is not None or stop():
        return found
    pool = ProcessPool(_compute_apart, 1, _prepare_process, abandon=True)
    for _ in pool.run([(root, directory, question)], stop):
        return load(root, directory, question)
    return None
