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
from typing import TYPE_CHECKING, Literal

from kexpert import __version__

if TYPE_CHECKING:
    from kexpert.model.types import EngineChoice
    from kexpert.workspace.settings import Settings

#: Distributions that the server needs; those of the extras are left out.
DEPENDENCIES = (
    "pygls", "lsprotocol", "tree-sitter", "tree-sitter-c", "watchdog", "rich", "chromadb", "model2vec",
    "llama-cpp-python",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """``state``: "ok"; "note", kexpert works without it; "missing", it does not; "bad", the settings name it and
    it cannot be used."""

    what: str
    state: Literal["ok", "note", "missing", "bad"]
    detail: str
    mend: str = ""


def examine(root: Path | None) -> list[Finding]:
    """Examine this machine and, if there is one, a kernel tree."""
    from kexpert.workspace.settings import file_layers, resolve_settings

    layers, warnings = file_layers(root)
    settings, more = resolve_settings(layers)
    findings = [Finding("kexpert", "ok", f"{__version__}, {Path(__file__).parents[1]}"), python(), sqlite()]
    findings += map(dependency, DEPENDENCIES)
    findings += [Finding("settings", "bad", warning) for warning in warnings + more]
    findings += [model(settings), chat_model(settings)]
    if root is None:
        mend = "cd into a tree, or name one with --tree DIR"
        findings.append(Finding("tree", "note", "this directory is not inside a Linux kernel tree", mend))
    else:
        findings += [Finding("tree", "ok", str(root)), index(root), configuration(root, settings)]
        findings.append(search(root, settings))
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
    from kexpert.workspace.inline_settings import wanted_model
    from kexpert.workspace.model_trial import completion_problem

    if not settings.inline_enabled:
        return Finding("model", "note", "inline.enabled is off")
    wanted = wanted_model(settings)
    choice, problem = completion_problem(wanted)
    mend = "name one with model.path or model.url"
    if choice.kind == "none" and not wanted.path and not wanted.installed:
        return Finding("model", "note", f"no inline completion: {choice.reason}", mend)
    if problem:
        mend = "start the server, or mend model.url" if wanted.url else "name another one with model.path"
        return Finding("model", "bad", f"no inline completion: {problem}", mend)
    return Finding("model", "ok", _described(choice))


def chat_model(settings: Settings) -> Finding:
    """The chat model: which, on what, why, and whether it loads."""
    from kexpert.model.engine import NO_CHAT_MODEL
    from kexpert.workspace.chat import wanted_chat_model
    from kexpert.workspace.model_trial import chat_problem

    wanted = wanted_chat_model(settings)
    if wanted is None:
        return Finding("chat model", "note", "chat.enabled is off")
    choice, problem = chat_problem(wanted)
    is_named = bool(wanted.path or wanted.url)
    if choice.kind == "none" and choice.reason == NO_CHAT_MODEL:
        detail = "none: explanations are made of facts alone"
        return Finding("chat model", "note", detail, "kexpert models add smollm2-135m, or set chat.path or chat.url")
    if problem:
        mend = "start the server, or mend chat.url" if wanted.url else "name another one with chat.path"
        return Finding("chat model", "bad", problem, mend if is_named else "kexpert models verify; kexpert models list")
    tasks = f"; trained for {', '.join(choice.manifest.tasks)}" if choice.manifest and choice.manifest.tasks else ""
    return Finding("chat model", "ok", _described(choice) + tasks)


def _described(choice: EngineChoice) -> str:
    detail = choice.reason if choice.path is None else f"{choice.reason}; {choice.path}"
    if choice.manifest:
        detail += f" ({choice.manifest.name}, {choice.manifest.licence or 'no licence named'})"
    return detail


def index(root: Path) -> Finding:
    from kexpert.background.database import IndexState, cache_directory
    from kexpert.index.schema import SymbolStore

    database = cache_directory(root) / "index.db"
    state = SymbolStore.state_of(database, root)
    if state is IndexState.READY:
        return Finding("index", "ok", f"{database}, {database.stat().st_size / 1e6:,.0f} MB")
    mend = f"kexpert index --tree {root} (kexpert serve does it too)"
    return Finding("index", "note", f"{database}: {state.value}", mend)


def configuration(root: Path, settings: Settings) -> Finding:
    """The configuration in view, by which variants are ranked."""
    from kexpert.workspace.configuration import ConfigurationError, choose

    try:
        choice = choose(root, settings.configuration, root / ".config")
    except ConfigurationError as problem:
        return Finding("configuration", "bad", str(problem), "change the setting configuration")
    if choice.question is None:
        return Finding("configuration", "ok", "all variants: the setting prefers none")
    return Finding("configuration", "ok", f"{choice.origin} ({choice.question.arch})")


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
