"""Evaluation of the served search: ``kexpert-train evaluate search``. Does a description of a function find it?

Questions are the kernel-doc summaries of functions that 6.12 has and 6.1 has not, in files for evaluation (see
``new_functions``). The function's own name is removed from a question. The pool that is searched is a copy of the
questions' files, and of further files for evaluation up to a number of functions. It is searched in three situations
(``Situation``), so that no summary can be found in its own words. The comments of all asked functions are taken out at
once: they are few among those of the pool, so this is nearly the same as one at a time.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
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
from kexpert_trainer.data.search_situations import Situation, reworded
from kexpert_trainer.data.tree import c_files, require_tree
from kexpert_trainer.errors import UserError
from kexpert_trainer.evaluation.metrics import DEPTH, RetrievalMetrics, rank_of, retrieval_metrics
from kexpert_trainer.evaluation.new_functions import is_for_evaluation
from kexpert_trainer.progress import progress

Result = TypeVar("Result")

METHODS = ("bm25", "vectors", "fused", "reranked")
_MIN_WORDS = 2  # of a question
#: The folder of the tree of each situation, in the order of indexing. The last two differ in a few files.
_TREES = {Situation.BLANKED: "blanked", Situation.REWORDED: "commented", Situation.UNDOCUMENTED: "commented"}
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
    """Metrics by situation and method."""

    functions: int  # in the pool
    rows: dict[tuple[Situation, str], RetrievalMetrics]

    def as_json(self) -> dict[str, Any]:
        rows = [
            asdict(row) | {"situation": situation.name.lower(), "method": method}
            for (situation, method), row in self.rows.items()
        ]
        return {"functions": self.functions, "rows": rows}


def evaluate(
    tree612: Path,
    tree61: Path,
    work: Path | None,
    functions: int,
    max_questions: int,
    methods: Sequence[str] = METHODS,
) -> SearchReport:
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
    found: dict[tuple[Situation, str], RetrievalMetrics] = {}
    with _folder(work) as folder:
        for situation, name in _TREES.items():
            tree = folder / name
            changed = copy_pool(tree612, tree, pool, questions, situation)
            if changed:  # all posting lists are made anew, as those of a tree that was never indexed
                for lists in folder.glob(f"cache/kexpert/{name}-*/search.postings"):
                    lists.unlink()
            _kexpert(folder, "index", "--tree", str(tree))
            found |= {(situation, method): ask(folder, tree, questions, situation, method) for method in methods}
    rows = {(situation, method): found[situation, method] for situation in Situation for method in methods}
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


def copy_pool(
    tree: Path, target: Path, pool: Iterable[str], questions: Iterable[SearchQuestion], situation: Situation
) -> bool:
    """Copy the pool's files into a tree of their own, with the comments of a situation. An equal file is left alone,
    so that another run need not index it. Return True if any file changed."""
    asked = defaultdict(set)
    for question in questions:
        asked[question.path].add(question.name)
    files = dict(_TREE_MARKS)
    for path in sorted(pool):
        data = (tree / path).read_bytes()
        if situation is Situation.BLANKED:
            data = blank_comments(data, strings=False)
        elif situation is Situation.UNDOCUMENTED and path in asked:
            data = without_comments_of(path, data, asked[path])
        files[path] = data
    changed = False
    for path, data in files.items():
        place = target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.is_file() or place.read_bytes() != data:
            place.write_bytes(data)
            changed = True
    return changed


def without_comments_of(path: str, data: bytes, names: Collection[str]) -> bytes:
    """A file in which the comments above and inside the functions of these names are blanked."""
    for chunk in chunks(path, data):
        if chunk.kind is ChunkKind.FUNCTION and chunk.name in names:
            above = comment_above(data, chunk.start)
            for start, end in (above or (0, 0), (chunk.start, chunk.end)):
                data = data[:start] + blank_comments(data[start:end], strings=False) + data[end:]
    return data


# -- asking ----------------------------------------------------------------------------------------


@contextmanager
def _folder(work: Path | None) -> Iterator[Path]:
    if work is not None:
        work.mkdir(parents=True, exist_ok=True)
        yield work
        return
    with tempfile.TemporaryDirectory(prefix="kexpert-search-") as folder:
        yield Path(folder)


def ask(
    folder: Path, tree: Path, questions: list[SearchQuestion], situation: Situation, method: str
) -> RetrievalMetrics:
    """Ask ``kexpert search`` all questions by one method in the tree of a situation, whose cache is in ``folder``."""
    texts = [without_name(question) for question in questions]
    if situation is Situation.REWORDED:
        texts = [reworded(text, question.name) for text, question in zip(texts, questions, strict=True)]
    # a colon would turn the word before it into a filter
    lines = "".join("kind:function " + " ".join(text.replace(":", " ").split()) + "\n" for text in texts)
    options = ("--limit", str(DEPTH), "--method", method, "--tree", str(tree))
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
    lines += ["| | | MRR@10 | Recall@10 | R@1 |", "|---|---|---:|---:|---:|"]
    for (situation, method), row in report.rows.items():
        lines.append(f"| {situation.value} | {method} | {row.mrr:.3f} | {row.recall:.3f} | {row.first:.3f} |")
    return "\n".join(lines)
