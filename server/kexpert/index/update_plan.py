"""The files that differ between a tree and its index."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kexpert.background.tree import MAX_FILE_BYTES, TreeFile, examine, scan
from kexpert.core.paths import PathPatterns
from kexpert.index.schema import StoredFile, SymbolStore


@dataclass(slots=True)
class UpdatePlan:
    """The work of an update: files to read, paths to drop, notes for the user."""

    todo: list[TreeFile]
    gone: list[str]
    notes: list[str]


def plan_update(root: Path, store: SymbolStore, exclude: Iterable[str] = ()) -> UpdatePlan:
    """Compare every file's identity with the stored one."""
    notes: list[str] = []
    known = store.files()
    todo = []
    for file in scan(root, PathPatterns(exclude), notes.append):
        if file.size > MAX_FILE_BYTES:
            notes.append(f"{file.path}: {file.size >> 20} MB, larger than {MAX_FILE_BYTES >> 20} MB, not indexed")
            continue
        if _differs(file, known.pop(file.path, None)):
            todo.append(file)
    return UpdatePlan(todo, list(known), notes)


def plan_update_of(root: Path, store: SymbolStore, paths: Iterable[str], exclude: Iterable[str] = ()) -> UpdatePlan:
    """Compare some paths; one that ends in ``/`` is a folder with all below it."""
    patterns = PathPatterns(exclude)
    todo: dict[str, TreeFile] = {}
    gone: set[str] = set()
    for path in set(paths):
        if path.endswith("/"):
            known = store.files(under=path)
            there = list(scan(root, patterns, under=path[:-1]))
        else:
            stored, file = store.file(path), examine(root, path, patterns)
            known = {path: stored} if stored else {}
            there = [file] if file else []
        gone |= known.keys() - {file.path for file in there}
        todo |= {file.path: file for file in there if _differs(file, known.get(file.path))}
    return UpdatePlan(list(todo.values()), sorted(gone), [])


def _differs(file: TreeFile, stored: StoredFile | None) -> bool:
    return file.size <= MAX_FILE_BYTES and (stored is None or stored.identity != file.identity)
