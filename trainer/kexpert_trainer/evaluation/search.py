"""``kexpert-train evaluate search``: does a description of a function find it, asked of the served search?

Questions are the kernel-doc briefs of functions that 6.12 has and 6.1 has not, in files whose
path's SHA-256 begins with a hex digit from 8 to f. What is searched is a copy of those files, and of
as many others of that half as make a pool of given size, in which every comment is blank, so that
no brief can be found in its own words. In the questions the function's own name is blank too, if
it occurs; a second set leaves it in.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from kexpert.core.c.extract import extract
from kexpert.core.c.lex import blank_comments
from kexpert.core.docs.kerneldoc import comment_above, parse_kerneldoc
from kexpert.core.retrieval.chunk import ChunkKind, chunks
from kexpert.core.retrieval.words import split_words
from kexpert.core.symbols import Kind
from kexpert_trainer.data.new_functions import is_measured
from kexpert_trainer.data.tree import c_files
from kexpert_trainer.evaluation.metrics import Figures, figures
from kexpert_trainer.progress import progress

METHODS = ("bm25", "vectors", "fused", "reranked")
_LEAST_WORDS = 2  # of a brief that asks something
#: What makes a folder a kernel tree to ``kexpert``.
_MARKS = {"Kconfig": b"", "Makefile": b"", "MAINTAINERS": b""}


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What the choice of questions and pool needs to know of a file."""

    path: str
    functions: int  # as ``kexpert.core.retrieval.chunk`` counts them once comments are blank
    questions: tuple[Question, ...]  # every documented function


def measure(tree612: Path, tree61: Path, work: Path | None, functions: int, most: int, as_json: bool) -> None:
    """Build the pool, index it, ask, print the table. Raises OSError, ValueError."""
    for tree in (tree612, tree61):
        if not (tree / "Kconfig").is_file():
            raise ValueError(f"{tree}: not a kernel tree")
    files = survey(tree612, is_measured)
    known = function_names(tree61)
    questions, pool = choose(files, known, functions)
    if not questions:
        raise ValueError(f"{tree612}: no documented function that {tree61} has not")
    if most:
        questions = sorted(questions, key=lambda each: path_digest(each.path + each.name))[:most]
    with _folder(work) as folder:
        copy_blanked(tree612, folder / "tree", pool)
        _kexpert(folder, "index", "--tree", str(folder / "tree"))
        table = {
            (method, named): ask(folder, questions, method, named) for named in (False, True) for method in METHODS
        }  # fmt: skip
    in_pool = sum(file.functions for file in files if file.path in pool)
    _show(table, in_pool, as_json)


def path_digest(path: str) -> str:
    return hashlib.sha256(path.encode()).hexdigest()


# -- questions and pool ----------------------------------------------------------------------------


def survey(tree: Path, wanted: Callable[[str], bool]) -> list[Surveyed]:
    paths = [path for path in c_files(tree) if wanted(path)]
    return list(_each(partial(_survey_file, str(tree)), paths, f"Reading {tree.name}"))


def function_names(tree: Path) -> set[str]:
    paths = list(c_files(tree))
    return {name for names in _each(partial(_names_in, str(tree)), paths, f"Reading {tree.name}") for name in names}


def _each(task, paths: list[str], title: str) -> Iterator:  # type: ignore[no-untyped-def, type-arg]
    with progress(title, len(paths)) as advance, ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        for result in pool.map(task, paths, chunksize=64):
            advance()
            yield result


def _names_in(tree: str, path: str) -> list[str]:
    facts = extract(path, Path(tree, path).read_bytes())
    return [symbol.name for symbol in facts.symbols if symbol.kind in (Kind.FUNCTION, Kind.SYSCALL)]


def _survey_file(tree: str, path: str) -> Surveyed:
    data = Path(tree, path).read_bytes()
    found = [
        chunk
        for chunk in chunks(path, blank_comments(data, strings=False), extract(path, data))
        if chunk.kind is ChunkKind.FUNCTION
    ]
    questions = []
    for chunk in found:
        span = comment_above(data, chunk.start)
        doc = parse_kerneldoc(data[span[0] : span[1]]) if span else None
        if doc is not None and doc.summary:
            questions.append(Question(doc.summary, chunk.name, path))
    return Surveyed(path, len(found), tuple(questions))


def choose(files: Iterable[Surveyed], known: set[str], functions: int) -> tuple[list[Question], set[str]]:
    """Questions about functions that are not ``known``, and the files to search: theirs, then others in
    the order of their paths' digests until there are ``functions`` (0: all)."""
    by_path = {file.path: file for file in files}
    questions = [
        question
        for path in sorted(by_path)
        for question in by_path[path].questions
        if question.name not in known and len(split_words(without_name(question))) >= _LEAST_WORDS
    ]
    pool = {question.path for question in questions}
    count = sum(by_path[path].functions for path in pool)
    for path in sorted(by_path, key=path_digest):
        if functions and count >= functions:
            break
        if path not in pool:
            pool.add(path)
            count += by_path[path].functions
    return questions, pool


def without_name(question: Question) -> str:
    return re.sub(rf"(?<!\w){re.escape(question.name)}(?!\w)(?:\(\))?", " ", question.text)


def copy_blanked(tree: Path, target: Path, pool: Iterable[str]) -> None:
    """The pool's files without their comments, as a tree of their own."""
    for name, data in _MARKS.items():
        target.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(data)
    for path in sorted(pool):
        place = target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(blank_comments((tree / path).read_bytes(), strings=False))


# -- asking ----------------------------------------------------------------------------------------


@contextmanager
def _folder(work: Path | None) -> Iterator[Path]:
    if work is not None:
        work.mkdir(parents=True, exist_ok=True)
        yield work
        return
    with tempfile.TemporaryDirectory(prefix="kexpert-search-") as folder:
        yield Path(folder)


def ask(folder: Path, questions: list[Question], method: str, named: bool) -> Figures:
    texts = [question.text if named else without_name(question) for question in questions]
    # a colon would make a filter of the word before it
    lines = "".join("kind:function " + " ".join(text.replace(":", " ").split()) + "\n" for text in texts)
    options = ("--limit", "10", "--method", method, "--tree", str(folder / "tree"))
    output = _kexpert(folder, "search", "--batch", "-", *options, given=lines)
    found = [json.loads(line)["results"] for line in output.splitlines()]
    if len(found) != len(questions):
        raise ValueError(f"kexpert search answered {len(found)} of {len(questions)} questions")
    answers = [[(each["path"], each["name"]) for each in results] for results in found]
    return figures(answers, [(question.path, question.name) for question in questions])


def _kexpert(folder: Path, *arguments: str, given: str = "") -> str:
    """Run a command of kexpert's with a cache of its own; its progress shows, its errors end the run."""
    surroundings = os.environ | {"XDG_CACHE_HOME": str(folder / "cache")}
    command = [sys.executable, "-m", "kexpert", *arguments]
    done = subprocess.run(command, input=given, stdout=subprocess.PIPE, text=True, env=surroundings, check=False)
    if done.returncode:
        raise ValueError(f"kexpert {' '.join(arguments)}: exit status {done.returncode}")
    return done.stdout


def _show(table: dict[tuple[str, bool], Figures], functions: int, as_json: bool) -> None:
    if as_json:
        rows = [asdict(row) | {"method": method, "named": named} for (method, named), row in table.items()]
        print(json.dumps({"functions": functions, "rows": rows}))
        return
    count = next(iter(table.values())).questions
    print(f"{count:,} questions, {functions:,} functions\n")
    print("| | MRR@10 | Recall@10 | R@1 |\n|---|---|---|---|")
    for (method, named), row in table.items():
        label = method + (", own name left in the question" if named else "")
        print(f"| {label} | {row.mrr:.3f} | {row.recall:.3f} | {row.first:.3f} |")
