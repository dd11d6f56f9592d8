"""``kexpert doctor``: what is there, what is missing, and how to get it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sqlite3
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from kexpert import __version__

if TYPE_CHECKING:
    from kexpert.model.types import EngineChoice, ModelSettings
    from kexpert.workspace.settings import Settings

#: Distributions that the server needs; those of the extras are left out.
DEPENDENCIES = (
    "pygls", "lsprotocol", "tree-sitter", "tree-sitter-c", "watchdog", "rich", "chromadb", "model2vec",
    "llama-cpp-python",
)  # fmt: skip

_LOAD_SECONDS = 60.0  # for a model
_ANSWER_SECONDS = 2.0  # for a model's server


@dataclass(frozen=True, slots=True)
class Finding:
    """``state``: "ok"; "note", kexpert works without it; "missing", it does not; "bad", the settings name it and
    it cannot be used."""

    what: str
    state: Literal["ok", "note", "missing", "bad"]
    detail: str
    mend: str = ""


def tree_around(directory: Path) -> Path | None:
    """The root of the kernel tree around a directory."""
    from kexpert.background.tree import find_root

    return find_root(directory)


def examine(root: Path | None) -> list[Finding]:
    """Examine this machine and, if there is one, a kernel tree."""
    from kexpert.workspace.settings import file_layers, resolve_settings

    layers, warnings = file_layers(root)
    settings, more = resolve_settings(layers)
    findings = [Finding("kexpert", "ok", f"{__version__}, {Path(__file__).parents[1]}"), python(), sqlite()]
    findings += map(dependency, DEPENDENCIES)
    findings += [Finding("settings", "bad", warning) for warning in warnings + more]
    findings.append(model(settings))
    if root is None:
        mend = "cd into a tree, or name one with --tree DIR"
        findings.append(Finding("tree", "note", "this directory is not inside a Linux kernel tree", mend))
    else:
        findings += [Finding("tree", "ok", str(root)), index(root), search(root, settings)]
        findings += [checkpatch(root), watches(root)]
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


def model(settings: Settings) -> Finding:
    """The model of inline completion: which, on what, why, and whether it loads."""
    from kexpert.model.engine import choose_engine
    from kexpert.workspace.inline_settings import wanted_model

    if not settings.inline_enabled:
        return Finding("model", "note", "inline.enabled is off")
    wanted = wanted_model(settings)
    choice = choose_engine(wanted)
    mend = "name one with model.path or model.url"
    if choice.kind == "none" and not wanted.path:
        return Finding("model", "note", f"no inline completion: {choice.reason}", mend)
    if problem := trial(choice, wanted):
        mend = "start the server, or mend model.url" if wanted.url else "name another one with model.path"
        return Finding("model", "bad", f"no inline completion: {problem}", mend)
    detail = choice.reason if choice.path is None else f"{choice.reason}; {choice.path}"
    if choice.manifest:
        detail += f" ({choice.manifest.name}, {choice.manifest.licence or 'no licence named'})"
    return Finding("model", "ok", detail)


def trial(choice: EngineChoice, wanted: ModelSettings) -> str:
    """Load the model or reach its server; why that failed, "" if it did not."""
    from kexpert.abilities import Cancelled, Failed, Refused
    from kexpert.model.engine import open_engine

    timeout = _ANSWER_SECONDS if choice.kind == "remote" else _LOAD_SECONDS
    until = time.monotonic() + timeout
    try:
        with closing(open_engine(choice, wanted)) as engine:
            engine.ready(lambda: time.monotonic() > until)
    except (Refused, Failed) as problem:
        return str(problem)
    except Cancelled:
        return f"{wanted.url or choice.path} is not ready after {timeout:g} s"
    return ""


def index(root: Path) -> Finding:
    from kexpert.background.database import IndexState, cache_directory
    from kexpert.index.schema import SymbolStore

    database = cache_directory(root) / "index.db"
    state = SymbolStore.state_of(database, root)
    if state is IndexState.READY:
        return Finding("index", "ok", f"{database}, {database.stat().st_size / 1e6:,.0f} MB")
    mend = f"kexpert index --tree {root} (kexpert serve does it too)"
    return Finding("index", "note", f"{database}: {state.value}", mend)


def search(root: Path, settings: Settings) -> Finding:
    """How many chunks of a tree have vectors, and by which embedder."""
    from kexpert.background.database import IndexState, cache_directory
    from kexpert.search.chunk_store import ChunkStore
    from kexpert.search.embedder import EmbedderError, load_embedder
    from kexpert.search.vectors import DIMENSIONS
    from kexpert.search.worker import vectors_identity

    database = cache_directory(root) / "search.db"
    state = ChunkStore.state_of(database, root)
    mend = f"kexpert index --tree {root} (kexpert serve does it too)"
    if state not in (IndexState.READY, IndexState.PARTIAL):
        return Finding("search", "note", f"{database}: {state.value}", mend)
    store = ChunkStore(database, readonly=True)
    try:
        chunks, pending = store.counts()
        made_by = store.meta("embedder-0")
    except sqlite3.Error as error:
        return Finding("search", "note", f"{database}: {error}", mend)
    finally:
        store.close()
    if not settings.vectors_enabled:
        return Finding("search", "note", f"{chunks:,} chunks by their words; vectors.enabled is off")
    where = settings.vectors_url or str(database.with_name("vectors"))
    detail = f"{chunks:,} chunks, {chunks - pending:,} vectors in {where} by {made_by}"
    try:
        wanted = vectors_identity(load_embedder(settings.vectors_embedder, DIMENSIONS))
    except EmbedderError as error:
        return Finding("search", "note", f"{detail}; {error}", "set vectors.embedder, or install kexpert again")
    if made_by != wanted:
        return Finding("search", "note", f"{detail}; the embedder is {wanted} now", mend)
    state_word: Literal["ok", "note"] = "note" if pending or state is IndexState.PARTIAL else "ok"
    return Finding("search", state_word, detail, mend if state_word == "note" else "")


def checkpatch(root: Path) -> Finding:
    if shutil.which("perl") is None:
        return Finding("checkpatch", "note", "no perl: no diagnostics from checkpatch.pl", "install perl")
    script = root / "scripts" / "checkpatch.pl"
    if not script.is_file():
        return Finding("checkpatch", "note", f"{script} is not there: no diagnostics from it")
    return Finding("checkpatch", "ok", f"{script}, {shutil.which('perl')}")


def watches(root: Path) -> Finding:
    """Whether inotify may watch every directory of the tree."""
    from kexpert.index.watcher import watch_limit

    limit = watch_limit()
    if limit is None:
        return Finding("inotify", "note", "not available: changed files are found by polling")
    wanted = sum(1 for _ in os.walk(root))
    detail = f"{limit:,} watches allowed, the tree has {wanted:,} directories"
    if limit >= 2 * wanted:
        return Finding("inotify", "ok", detail)
    mend = f"sudo sysctl fs.inotify.max_user_watches={max(524288, 4 * wanted)}"
    return Finding("inotify", "note", f"{detail}: changes may be found by polling", mend)
