"""Documented functions to evaluate a chat model on: those that a later tree has and the tree of training has not.

Only files for evaluation are read (``new_functions.is_for_evaluation``); the neighbours of a function come from them
too. Rows are those of ``data.mine``, so a prompt is what the server would ask.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from kexpert.core.retrieval.words import split_words
from kexpert.prompt.chat import Task
from kexpert_trainer.data.mine import mine_folder
from kexpert_trainer.data.rows import Row, read_rows, write_rows
from kexpert_trainer.data.subsystems import is_held_out_subsystem
from kexpert_trainer.data.tree import c_files, name_of, require_tree
from kexpert_trainer.errors import UserError
from kexpert_trainer.evaluation.new_functions import is_for_evaluation, names_in_tree
from kexpert_trainer.progress import progress

_MIN_WORDS = 2  # of a brief


@dataclass(frozen=True, slots=True)
class Documented:
    """A documented function: the row that asks for its summary, and the one for its kernel-doc, if it has all texts."""

    summary: Row
    kernel_doc: Row | None

    @property
    def key(self) -> tuple[str, str]:
        return self.summary.path, self.summary.name


@dataclass(slots=True)
class FunctionSet:
    """Functions to write about, and the functions whose comments may be copied."""

    name: str
    functions: list[Documented]
    pool: list[Documented]
    #: For each function: its vector, the row of ``pool`` that is most like it and their cosine, and the row of another
    #: file that is most like it.
    vectors: Any = None
    nearest: list[int] = field(default_factory=list)
    cosines: list[float] = field(default_factory=list)
    elsewhere: list[int] = field(default_factory=list)

    @property
    def rows(self) -> list[Row]:
        return [each.summary for each in self.functions]


def documented(tree: Path, wanted: Callable[[str], bool], store: Path | None = None) -> list[Documented]:
    """All documented functions of the files that are ``wanted``. ``store``: keep the rows in this file, for later.

    Raises OSError, UserError.
    """
    if store is not None and store.is_file():
        try:
            return _paired(read_rows(store))
        except (ValueError, TypeError) as error:
            raise UserError(f"{store}: {error}; delete it, and it is made again") from error
    require_tree(tree)
    rows = list(_mined(tree, wanted))
    if store is not None:
        store.parent.mkdir(parents=True, exist_ok=True)
        write_rows(store, rows)
    return _paired(rows)


def _mined(tree: Path, wanted: Callable[[str], bool]) -> Iterator[Row]:
    def folder_of(path: str) -> str:
        return path.rpartition("/")[0]

    paths = sorted((path for path in c_files(tree) if wanted(path)), key=lambda path: (folder_of(path), path))
    folders = [list(group) for _, group in groupby(paths, key=folder_of)]
    name = name_of(tree)
    with progress(f"Reading {tree.name}", len(paths)) as advance:
        for folder in folders:
            for row in mine_folder(tree, folder, name):
                if row.kind == "function" and row.task in (Task.SUMMARY, Task.KERNEL_DOC):
                    yield row
            advance(len(folder))


def _paired(rows: Iterable[Row]) -> list[Documented]:
    found: dict[tuple[str, str, int], dict[Task, Row]] = defaultdict(dict)
    for row in rows:
        if row.kind == "function":
            found[row.path, row.name, row.line][row.task] = row
    return [
        Documented(by_task[Task.SUMMARY], by_task.get(Task.KERNEL_DOC))
        for by_task in found.values() if Task.SUMMARY in by_task
    ]  # fmt: skip


def is_worth_asking(function: Documented) -> bool:
    """False for a brief that is one word, or that only names the function."""
    words = split_words(function.summary.output)
    return len(words) >= _MIN_WORDS and function.summary.output.strip(" .()") != function.summary.name


def new_in(newer: Iterable[Documented], older: Path, store: Path | None = None) -> list[Documented]:
    """Those whose name is no word of ``older``. ``store``: keep the names in this file, for later."""
    functions = [each for each in newer if is_worth_asking(each)]
    if store is not None and store.is_file():
        new = set(store.read_text().split())
    else:
        names = {each.summary.name.encode() for each in functions}
        new = {name.decode() for name in names - names_in_tree(older, names)}
        if store is not None:
            store.write_text("".join(f"{name}\n" for name in sorted(new)))
    return [each for each in functions if each.summary.name in new]


def chosen(functions: Iterable[Documented], count: int, seed: int = 0) -> list[Documented]:
    """``count`` of them (0: all), in an order that depends on their paths and names alone.

    First one of each file, then a second one of each: the functions of one file are alike, and a few large new drivers
    would fill the sample.
    """
    taken: Counter[str] = Counter()
    ordered = []
    for function in sorted(functions, key=partial(_digest, seed)):
        taken[function.summary.path] += 1
        ordered.append((taken[function.summary.path], function))
    ordered.sort(key=lambda each: each[0])
    return [function for _, function in ordered][: count or None]


def _digest(seed: int, function: Documented) -> str:
    return hashlib.sha256(f"{seed}/{function.summary.path}/{function.summary.name}".encode()).hexdigest()


def function_sets(
    newer: Path, older: Path, work: Path, held_out: Path | None, count: int, held_out_count: int
) -> tuple[list[FunctionSet], FunctionSet]:
    """The sets to evaluate, and the one of them to fit a gate on.

    ``held_out``: rows of the older tree that no model was trained on (default: its held-out subsystems); ``work``: a
    folder that keeps what is read from the trees. Raises OSError, UserError.
    """
    pool = documented(newer, is_for_evaluation, work / "documented-newer.jsonl")
    new = new_in(pool, older, work / "new-names.txt")
    if not new:
        raise UserError(f"{newer}: no documented function that {older} has not; give two different versions")
    others = documented(older, is_held_out_subsystem, held_out or work / "documented-held-out.jsonl")
    functions = chosen(filter(is_worth_asking, others), held_out_count)
    fitting = FunctionSet(f"held out of {older.name}", functions, others)
    return [FunctionSet(f"new in {newer.name}", chosen(new, count), pool), fitting], fitting
