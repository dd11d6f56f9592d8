"""Files as text, and what is indexed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kexpert.http.api.lookup import Cancelled, shown_path
from kexpert.http.contract import Arguments, Json
from kexpert.http.problems import Problem
from kexpert.render.code_html import shown_text
from kexpert.workspace.served_tree import ServedTree

if TYPE_CHECKING:
    from kexpert.core.c.source import Source

#: Lines of one answer.
MAX_LINES = 5000


def source(tree: ServedTree, arguments: Arguments, cancelled: Cancelled) -> Json:
    """A folder's entries, or lines of a file."""
    path = shown_path(tree, arguments["path"])
    if is_folder(tree, path):
        return {"path": path, "folder": True, "entries": entries(tree, path)}
    found = text_of(tree, path)
    count = line_count(found)
    first = min(arguments["start"], max(count, 1))
    last = min(first + MAX_LINES - 1, count, arguments["end"] or count)
    text = b"\n".join(found.lines.line_bytes(line) for line in range(first - 1, last))
    return {
        "path": path, "folder": False, "first": first, "last": last, "lines": count, "text": shown_text(text),
    }  # fmt: skip


def is_folder(tree: ServedTree, path: str) -> bool:
    return not path or os.path.isdir(tree.root / path)


def text_of(tree: ServedTree, path: str) -> Source:
    """A text file of the tree. Raises Problem."""
    found = tree.snapshot().source(path)
    if found is None:
        raise Problem(404, f"no such file in the tree: {path[:200]}")
    if b"\0" in found.data[:8192]:
        raise Problem(404, f"{path[:200]} is no text")
    return found


def line_count(found: Source) -> int:
    """Lines of a text; a line break at its end begins no other."""
    starts = found.lines.starts
    return len(starts) - (starts[-1] == len(found.data))


def entries(tree: ServedTree, path: str) -> list[Json]:
    """What is in a folder and may be shown, folders first."""
    listed = tree.snapshot().view.list_dir(path)
    shown = [
        {"name": name, "folder": is_dir} for name, is_dir in listed.items()
        if name.isprintable() and tree.shown_path(f"{path}/{name}".lstrip("/")) is not None
    ]  # fmt: skip
    return sorted(shown, key=lambda entry: (not entry["folder"], entry["name"]))


def documents(tree: ServedTree, arguments: Arguments, cancelled: Cancelled) -> Json:
    """A page of the indexed files; ``next`` begins the page after it."""
    limit = arguments["limit"]
    found = tree.files(arguments["after"], limit + 1, arguments["under"])
    page = found[:limit]
    return {
        "total": tree.status().files,
        "documents": [{"path": file.path, "kind": file.kind, "size": file.size} for file in page],
        "next": page[-1].path if len(found) > limit else None,
    }


def health(tree: ServedTree, arguments: Arguments, cancelled: Cancelled) -> Json:
    from kexpert import __version__

    status = tree.status()
    return {
        "status": status.index,
        "version": __version__,
        "tree": os.path.basename(status.root),
        "index": {
            "version": status.index_version, "files": status.files, "symbols": status.symbols,
            "complete": status.index == "ready", "writer": status.is_writer,
        },
        "configuration": status.configuration,
        "search": {"vectors": status.vectors},
        "model": {"chat": status.chat_model or None, "reason": status.why_no_chat},
    }  # fmt: skip
