"""The branches of a tree under git, read from git's files: no program of the tree's owner's choosing runs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from kexpert.background.tree import read

_MAX_FILE_BYTES = 16 << 20
_MAX_BRANCHES = 5000
_HEADS = "refs/heads/"


@dataclass(frozen=True, slots=True)
class Branches:
    """``current``: the branch that is checked out, or the commit if none is."""

    names: tuple[str, ...]
    current: str


def branches(root: Path) -> Branches | None:
    """The local branches, by name; None where the tree is not the top of a git repository."""
    folder = _git_folder(root)
    head = _text(folder / "HEAD").strip() if folder is not None else ""
    if folder is None or not head:
        return None
    common = folder / (_text(folder / "commondir").strip() or ".")
    names = {
        line.partition(" ")[2].removeprefix(_HEADS)
        for line in _text(common / "packed-refs").splitlines()
        if line.partition(" ")[2].startswith(_HEADS)
    }
    heads = common / "refs" / "heads"
    for path, folders, files in os.walk(heads):
        folders.sort()
        names.update(os.path.relpath(os.path.join(path, name), heads) for name in files if not name.endswith(".lock"))
        if len(names) > _MAX_BRANCHES:
            break
    reference = head.removeprefix("ref: ")
    current = reference.removeprefix(_HEADS) if reference != head else f"commit {head[:12]}"
    return Branches(tuple(sorted(names)[:_MAX_BRANCHES]), current)


def _git_folder(root: Path) -> Path | None:
    """``.git``, or the folder to which the file ``.git`` of a worktree points."""
    entry = root / ".git"
    if entry.is_dir():
        return entry
    target = _text(entry).strip()
    return root / target.removeprefix("gitdir: ") if target.startswith("gitdir: ") else None


def _text(file: Path) -> str:
    return (read(file.parent, file.name, _MAX_FILE_BYTES) or b"").decode("utf-8", "replace")
