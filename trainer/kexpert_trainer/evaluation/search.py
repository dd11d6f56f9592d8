"""Evaluation of the served search: ``kexpert-train evaluate search``. Does a description of a function find it?

Questions are the kernel-doc summaries of functions that 6.12 has and 6.1 has not, in files for evaluation (see
``new_functions``). The pool that is searched is a copy of the questions' files, and of further files for evaluation up
to a number of functions, with all comments blanked, so that no summary can be found in its own words. The function's
own name is removed from a question; a second set of questions keeps it.
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
from typing import Any, TypeVar

from kexpert.core.c.extract import extract
from kexpert.core.c.lex import blank_comments
from kexpert.core.docs.kerneldoc import comment_above, parse_kerneldoc
from kexpert.core.retrieval.chunk import ChunkKind, chunks
from kexpert.core.retrieval.words import split_words
from kexpert.core.symbols import Kind
from kexpert_trainer.data.tree import c_files, require_tree
from kexpert_trainer.errors import UserError
from kexpert_trainer.evaluation.metrics import DEPTH, RetrievalMetrics, rank_of, retrieval_metrics
from kexpert_trainer.evaluation.new_functions import is_for_evaluation
from kexpert_trainer.progress import progress

Result = TypeVar("Result")

METHODS = ("bm25", "vectors", "fused", "reranked")
_MIN_WORDS = 2  # of a question
#: Files by which ``kexpert`` recognises a kernel tree.
_TREE_MARKS = {"Kconfig": b"", "Makefile": b"", "MAINTAINERS": b""}


@dataclass(frozen=True, slots=True)
class SearchQuestion:
    """A kernel-doc summary and the function that it describes."""

    text: str
    name: str
    path: str


@dataclass(frozen=True, slots=True)
class FileSurvey:
    """Facts of a file for the choice of questions and pool."""

    path: str
    functions: int  # chunks of kind function, as ``kexpert.core.retrieval.chunk`` finds them without comments
    questions: tuple[SearchQuestion, ...]  # of every documented function


@dataclass(frozen=True, slots=True)
class SearchReport:
    """Metrics by (method, own name left in the question)."""

    functions: int  # in the pool
    rows: dict[tuple[str, bool], RetrievalMetrics]

    def as_json(self) -> dict[str, Any]:
        rows = [asdict(row) | {"method": method, "named": named} for (method, named), row in self.rows.items()]
        return {"functions": self.functions, "rows": rows}


def evaluate(tree612: Path, tree61: Path, work: Path | None, functions: int, max_questions: int) -> SearchReport:
    """Copy and index the pool in ``work``, then ask all questions by every method. Raises OSError, UserError.

    ``functions``: minimum size of the pool, 0 for all; ``max_questions``: 0 for all.
    """
    for tree in (tree612, tree61):
        require_tree(tree)
        if not (tree / "Kconfig").is_file():
            raise UserError(f"{tree}: not a kernel tree (it has no Kconfig)")
    files = survey(tree612, is_for_evaluation)
    known = function_names(tree61)
    questions, pool = choose(files, known, functions)
    if not questions:
        raise UserError(f"{tree612}: no documented function that {tree61} has not; give two different versions")
    if max_questions:
        questions = sorted(questions, key=lambda each: path_digest(each.path + each.name))[:max_questions]
    with _folder(work) as folder:
        copy_blanked(tree612, folder / "tree", pool)
        _kexpert(folder, "index", "--tree", str(folder / "tree"))
        rows = {
            (method, named): ask(folder, questions, method, named) for named in (False, True) for method in METHODS
        }  # fmt: skip
    return SearchReport(sum(file.functions for file in files if file.path in pool), rows)


def path_digest(path: str) -> str:
    return hashlib.sha256(path.encode()).hexdigest()


# -- questions and pool ----------------------------------------------------------------------------


def survey(tree: Path, wanted: Callable[[str], bool]) -> list[FileSurvey]:
    """Survey the files of a tree whose path is ``wanted``, with all CPUs."""
    paths = [path for path in c_files(tree) if wanted(path)]
    return list(_in_parallel(partial(_survey_file, str(tree)), paths, f"Reading {tree.name}"))


def function_names(tree: Path) -> set[str]:
    """The names of all functions of a tree."""
    paths = list(c_files(tree))
    per_file = _in_parallel(partial(_names_in, str(tree)), paths, f"Reading {tree.name}")
    return {name for names in per_file for name in names}


def _in_parallel(task: Callable[[str], Result], paths: list[str], title: str) -> Iterator[Result]:
    with progress(title, len(paths)) as advance, ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        for result in pool.map(task, paths, chunksize=64):
            advance()
            yield result


def _names_in(tree: str, path: str) -> list[str]:
    facts = extract(path, Path(tree, path).read_bytes())
    return [symbol.name for symbol in facts.symbols if symbol.kind in (Kind.FUNCTION, Kind.SYSCALL)]


def _survey_file(tree: str, path: str) -> FileSurvey:
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
            questions.append(SearchQuestion(doc.summary, chunk.name, path))
    return FileSurvey(path, len(found), tuple(questions))


def choose(files: Iterable[FileSurvey], known: set[str], functions: int) -> tuple[list[SearchQuestion], set[str]]:
    """The questions about functions that are not ``known``, and the pool: the paths of the files to search.

    The pool holds the questions' files, then others in the order of their paths' digests until it has ``functions``
    (0: all).
    """
    by_path = {file.path: file for file in files}
    questions = [
        question
        for path in sorted(by_path)
        for question in by_path[path].questions
        if question.name not in known and len(split_words(without_name(question))) >= _MIN_WORDS
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


def without_name(question: SearchQuestion) -> str:
    """A question's text without the name of its function."""
    return re.sub(rf"(?<!\w){re.escape(question.name)}(?!\w)(?:\(\))?", " ", question.text)


def copy_blanked(tree: Path, target: Path, pool: Iterable[str]) -> None:
    """Copy the pool's files, comments blanked, into a tree of their own."""
    for name, data in _TREE_MARKS.items():
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


def ask(folder: Path, questions: list[SearchQuestion], method: str, named: bool) -> RetrievalMetrics:
    """Ask ``kexpert search`` all questions by one method. ``named``: leave the function's own name in the question."""
    texts = [question.text if named else without_name(question) for question in questions]
    # a colon would turn the word before it into a filter
    lines = "".join("kind:function " + " ".join(text.replace(":", " ").split()) + "\n" for text in texts)
    options = ("--limit", str(DEPTH), "--method", method, "--tree", str(folder / "tree"))
    output = _kexpert(folder, "search", "--batch", "-", *options, given=lines)
    found = [json.loads(line)["results"] for line in output.splitlines()]
    if len(found) != len(questions):
        raise UserError(f"kexpert search answered {len(found)} of {len(questions)} questions")
    ranks = [
        rank_of([(each["path"], each["name"]) for each in results], (question.path, question.name))
        for results, question in zip(found, questions, strict=True)
    ]
    return retrieval_metrics(ranks)


def _kexpert(folder: Path, *arguments: str, given: str = "") -> str:
    """Run a command of kexpert with a cache in ``folder``; its standard error is shown. Raises UserError."""
    environment = os.environ | {"XDG_CACHE_HOME": str(folder / "cache")}
    command = [sys.executable, "-m", "kexpert", *arguments]
    done = subprocess.run(command, input=given, stdout=subprocess.PIPE, text=True, env=environment, check=False)
    if done.returncode:
        raise UserError(f"kexpert {' '.join(arguments)}: exit status {done.returncode}; its errors are above")
    return done.stdout


def table(report: SearchReport) -> str:
    """The report as a Markdown table."""
    count = next(iter(report.rows.values())).questions
    lines = [f"{count:,} questions, {report.functions:,} functions", ""]
    lines += ["| | MRR@10 | Recall@10 | R@1 |", "|---|---|---|---|"]
    for (method, named), row in report.rows.items():
        label = method + (", own name left in the question" if named else "")
        lines.append(f"| {label} | {row.mrr:.3f} | {row.recall:.3f} | {row.first:.3f} |")
    return "\n".join(lines)
