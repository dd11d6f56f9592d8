"""``kexpert doctor``: what is there, what is missing, and how to get it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sqlite3
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kexpert import __version__

#: Distributions; those of the extras are not listed, since nothing here needs them.
DEPENDENCIES = (
    "pygls", "lsprotocol", "tree-sitter", "tree-sitter-c", "watchdog", "rich", "chromadb", "model2vec",
    "llama-cpp-python",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """``state``: "ok"; "note" for what kexpert can do without; "missing" for what it cannot."""

    what: str
    state: Literal["ok", "note", "missing"]
    detail: str
    mend: str = ""


def examine(root: Path | None) -> list[Finding]:
    """Look at this machine and, when there is one, at a kernel tree."""
    findings = [Finding("kexpert", "ok", f"{__version__}, {Path(__file__).parent}"), python(), sqlite()]
    findings += map(dependency, DEPENDENCIES)
    if root is None:
        mend = "cd into a tree, or name one with --tree DIR"
        findings.append(Finding("tree", "note", "this directory is not inside a Linux kernel tree", mend))
    else:
        findings += [Finding("tree", "ok", str(root)), index(root), checkpatch(root), watches(root)]
    return findings


def python() -> Finding:
    return Finding("Python", "ok", f"{platform.python_version()}, {sys.executable}")


def sqlite() -> Finding:
    with_fts5 = sqlite3.connect(":memory:")
    try:
        with_fts5.execute("CREATE VIRTUAL TABLE t USING fts5(x)")
    except sqlite3.OperationalError:
        mend = "use a Python whose sqlite3 module has FTS5 (python.org's, Debian's and pyenv's have)"
        return Finding("SQLite", "missing", f"{sqlite3.sqlite_version} without FTS5", mend)
    finally:
        with_fts5.close()
    return Finding("SQLite", "ok", sqlite3.sqlite_version)


def dependency(name: str) -> Finding:
    try:
        return Finding(name, "ok", importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "missing", "not installed", f"{sys.executable} -m pip install {name}")


def index(root: Path) -> Finding:
    from kexpert.index.store import IndexState, cache_directory, state_of

    database = cache_directory(root) / "index.db"
    state = state_of(database, root)
    if state is IndexState.READY:
        return Finding("index", "ok", f"{database}, {database.stat().st_size / 1e6:,.0f} MB")
    mend = f"kexpert index --tree {root} (kexpert serve does it too)"
    return Finding("index", "note", f"{database}: {state.value}", mend)


def checkpatch(root: Path) -> Finding:
    if shutil.which("perl") is None:
        return Finding("checkpatch", "note", "no perl: no diagnostics from checkpatch.pl", "install perl")
    script = root / "scripts" / "checkpatch.pl"
    if not script.is_file():
        return Finding("checkpatch", "note", f"{script} is not there: no diagnostics from it")
    return Finding("checkpatch", "ok", f"{script}, {shutil.which('perl')}")


def watches(root: Path) -> Finding:
    """Whether inotify may watch every directory of the tree."""
    from kexpert.index.watch import watch_limit

    limit = watch_limit()
    if limit is None:
        return Finding("inotify", "note", "not available: changed files are found by polling")
    wanted = sum(1 for _ in os.walk(root))
    detail = f"{limit:,} watches allowed, the tree has {wanted:,} directories"
    if limit >= 2 * wanted:
        return Finding("inotify", "ok", detail)
    mend = f"sudo sysctl fs.inotify.max_user_watches={max(524288, 4 * wanted)}"
    return Finding("inotify", "note", f"{detail}: changes may be found by polling", mend)
