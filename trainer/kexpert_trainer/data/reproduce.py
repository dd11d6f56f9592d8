"""Makes a sample of a corpus again, in another process: the same tree must give the same bytes."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from kexpert_trainer.data.corpus_folder import CorpusFolder
from kexpert_trainer.data.curate import judge
from kexpert_trainer.data.mine import folder_of, mine_folder
from kexpert_trainer.data.mine_texts import is_text, mine_text
from kexpert_trainer.data.mine_tree import is_own_file
from kexpert_trainer.data.row_parts import Parts, lines_of
from kexpert_trainer.data.rows import Row, dump_row, parse_row
from kexpert_trainer.data.tree import name_of

_SAMPLE_PERCENT = 3  # of the folders
_FOLDERS_PER_BATCH = 8
_MIN_FOLDERS = 4


def differing_rows(
    tree: Path, folder: CorpusFolder, parts: Parts, jobs: int
) -> tuple[int, dict[str, str]]:
    """(rows compared, row id -> how it differs when it is made again). Raises OSError."""
    mined = _mined_lines(folder.mined)
    chosen = _sample(mined)
    batches = [tuple(chosen[at : at + _FOLDERS_PER_BATCH]) for at in range(0, len(chosen), _FOLDERS_PER_BATCH)]
    made = parts.make(partial(mine_again, tree, name_of(tree)), batches, jobs, "made again")
    again = {}
    scores = {}
    for line in lines_of(made):
        entry = json.loads(line)
        row = parse_row(entry["row"])
        again[row.id], scores[row.id] = entry["row"], entry["quality"]
    differing = {}
    compared = 0
    wanted = set(chosen)
    for where, lines in mined.items():
        for identity, line in lines.items() if where in wanted else ():
            compared += 1
            if identity not in again:
                differing[identity] = "is not found again"
            elif again.pop(identity) != line:
                differing[identity] = "has other bytes"
    differing |= dict.fromkeys(again, "was not there before")
    for row in _curated(folder.curated, wanted):
        if scores.get(row.id) != row.quality:
            differing.setdefault(row.id, "is judged differently")
    return compared + len(again), differing


def mine_again(tree: Path, tree_name: str, folders: Sequence[str]) -> Iterator[str]:
    """Mine and judge the files of some folders. A line: {row, quality (None if a gate drops it)}."""
    for folder in folders:
        names = sorted(file.name for file in (tree / folder).iterdir())
        paths = [path for name in names if is_own_file(tree, path := f"{folder}/{name}" if folder else name)]
        rows = mine_folder(tree, [path for path in paths if path.endswith((".c", ".h"))], tree_name)
        for path in filter(is_text, paths):
            rows += mine_text(tree, path, tree_name)
        for row, gate, judged in judge(rows):
            yield json.dumps({"row": dump_row(row), "quality": None if gate else judged}, ensure_ascii=False)


def _mined_lines(path: Path) -> Mapping[str, dict[str, str]]:
    """Folder -> row id -> line. Rows from the history are left out."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for line in lines_of([path]):
        entry = json.loads(line)
        if entry.get("kind") != "commit":
            found[folder_of(entry["path"])][entry["id"]] = line
    return found


def _sample(folders: Iterable[str]) -> list[str]:
    def digest(folder: str) -> str:
        return hashlib.sha256(f"sample {folder}".encode("utf-8", "replace")).hexdigest()

    order = sorted(folders, key=digest)
    return sorted(order[: max(_MIN_FOLDERS, len(order) * _SAMPLE_PERCENT // 100)])


def _curated(path: Path, folders: set[str]) -> Iterator[Row]:
    for line in lines_of([path]):
        row = parse_row(line)
        if row.kind != "commit" and folder_of(row.path) in folders:
            yield row
