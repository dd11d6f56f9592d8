"""Writes ``mined.jsonl``, every row that a tree gives, in parts: ``kexpert-train mine``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from kexpert_trainer.data.corpus_folder import CorpusFolder, digest
from kexpert_trainer.data.mine import by_folder, folder_of, mine_folder
from kexpert_trainer.data.mine_history import head_of, mine_history
from kexpert_trainer.data.mine_texts import is_text, mine_text
from kexpert_trainer.data.pairs_file import tree_identity
from kexpert_trainer.data.row_parts import Parts, lines_of, write_lines
from kexpert_trainer.data.rows import Row, dump_row, parse_row
from kexpert_trainer.data.tree import c_files, files, name_of, require_tree

#: Raise it when another row comes from the same tree.
MINE_VERSION = 1
_FILES_PER_BATCH = 400
_COMMITS_PER_BATCH = 500


@dataclass(frozen=True, slots=True)
class MineBatch:
    """What one part is made from: the files of whole folders, texts, or a range of commits."""

    kind: Literal["code", "texts", "history"]
    paths: tuple[str, ...] = ()
    head: str = ""
    skip: int = 0
    count: int = 0


def mine_tree(tree: Path, folder: CorpusFolder, jobs: int, commits: int) -> dict[str, Any]:
    """Write ``mined.jsonl``, or what is missing of it; ``commits`` is the maximum of the history. Returns the record.

    Raises UserError, OSError.
    """
    require_tree(tree)
    head = head_of(tree) if commits else ""
    name = name_of(tree)
    key: dict[str, Any] = {"version": MINE_VERSION, "tree": name, "identity": tree_identity(tree), "head": head}
    key["commits"] = commits if head else 0
    record = folder.record("mined")
    if record.get("key") == key and folder.mined.is_file() and record["sha256"] == digest(folder.mined):
        return record
    folder.folder.mkdir(parents=True, exist_ok=True)
    batches = list(_batches(tree, head, commits))
    parts = Parts(folder.parts("mine"), key)
    made = parts.make(partial(mine_batch, tree, name), batches, jobs, "mining")
    counts: Counter[str] = Counter()
    write_lines(folder.mined, _counted(lines_of(made), counts))
    record = {"key": key, "root": str(tree.resolve()), "rows": dict(sorted(counts.items())), "head": head}
    record["sha256"] = digest(folder.mined)
    folder.write_record("mined", record)
    parts.remove()
    return record


def mine_batch(tree: Path, tree_name: str, batch: MineBatch) -> Iterator[str]:
    """The lines of one part."""
    return map(dump_row, _rows(tree, tree_name, batch))


def _rows(tree: Path, tree_name: str, batch: MineBatch) -> Iterator[Row]:
    if batch.kind == "history":
        yield from mine_history(tree, batch.head, batch.skip, batch.count, tree_name)
    elif batch.kind == "texts":
        for path in batch.paths:
            yield from mine_text(tree, path, tree_name)
    else:
        for _, paths in groupby(batch.paths, key=folder_of):
            yield from mine_folder(tree, list(paths), tree_name)


def _batches(tree: Path, head: str, commits: int) -> Iterator[MineBatch]:
    batch: list[str] = []
    code = (path for path in c_files(tree) if is_own_file(tree, path))
    for _, paths in groupby(sorted(code, key=by_folder), key=folder_of):
        batch += paths
        if len(batch) >= _FILES_PER_BATCH:
            yield MineBatch("code", tuple(batch))
            batch = []
    if batch:
        yield MineBatch("code", tuple(batch))
    texts = sorted(path for path in files(tree) if is_text(path) and is_own_file(tree, path))
    for at in range(0, len(texts), _FILES_PER_BATCH):
        yield MineBatch("texts", tuple(texts[at : at + _FILES_PER_BATCH]))
    if head:
        for skip in range(0, commits, _COMMITS_PER_BATCH):
            yield MineBatch("history", head=head, skip=skip, count=min(_COMMITS_PER_BATCH, commits - skip))


def is_own_file(tree: Path, path: str) -> bool:
    """True for a regular file of the tree. A link may dangle, or lead to a file of the user that is not the tree's."""
    file = tree / path
    return file.is_file() and (not file.is_symlink() or file.resolve().is_relative_to(tree.resolve()))


def _counted(lines: Iterable[str], counts: Counter[str]) -> Iterator[str]:
    for line in lines:
        row = parse_row(line)
        counts[f"{row.task} {row.kind}"] += 1
        yield line
