"""Evaluation of inline completion on functions that the model cannot know: ``kexpert-train evaluate inline``.

The answers come from ``kexpert complete --batch -``, which serves an editor's request in the same way: context from the
index, worker process, token healing, stopping rule, filter. Two baselines that need no model are measured beside it.
"""

from __future__ import annotations

import json
import math
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rapidfuzz.distance import Levenshtein

from kexpert.core.c.keywords import KEYWORDS
from kexpert.core.c.parse import parse
from kexpert.core.c.repair import errors
from kexpert_trainer.data.tree import c_files, require_tree
from kexpert_trainer.errors import UserError
from kexpert_trainer.evaluation.baselines import NGrams, SimilarLines
from kexpert_trainer.evaluation.editor_session import ask_server
from kexpert_trainer.evaluation.eval_holes import KINDS, Hole, cut_holes
from kexpert_trainer.evaluation.metrics import mean, percentile
from kexpert_trainer.evaluation.new_functions import names_in_tree, new_functions

_NAME = re.compile(r"[A-Za-z_]\w*")
_NO_CODE = re.compile(r'/\*.*?(?:\*/|\Z)|//[^\n]*|"(?:[^"\\\n]|\\.)*"?', re.S)
#: Characters of the older tree that the n-grams are counted in.
_NGRAM_CHARACTERS = 3_000_000
#: Files of the older tree that similar lines are looked for in, besides those of the hole's own folder.
_SIMILAR_FILES = 150


@dataclass(frozen=True, slots=True)
class Answer:
    """A suggestion for a hole. Times are milliseconds; NaN where there is none."""

    text: str
    shown: bool = True
    doubt: str = ""
    logprob: float = math.nan
    ms: float = math.nan
    first_token_ms: float = math.nan
    typed_ms: float = math.nan
    typed_first_token_ms: float = math.nan
    bits: float = math.nan
    bytes: int = 0
    origin: str = ""  # "model", "copied", or "" where the server is not asked


@dataclass(frozen=True, slots=True)
class InlineMetrics:
    """Fractions of all holes, or, with ``_shown``, of the holes whose answer is shown. Times are milliseconds.

    ``by_model`` and ``copied`` count the answers with text, shown or not, by origin.
    """

    holes: int
    exact: float
    exact_shown: float
    edit_similarity: float
    names_exist: float
    names_exist_shown: float
    parses: float
    shown: float
    bits_per_byte: float
    ms_p50: float
    ms_p95: float
    first_token_ms_p50: float
    typed_ms_p50: float
    typed_ms_p95: float
    typed_first_token_ms_p50: float
    by_model: int
    copied: int


#: Who answered -> kind of hole -> metric -> value.
Report = dict[str, dict[str, dict[str, Any]]]
#: Tells whether a name exists around a hole or elsewhere in the tree.
NameExists = Callable[[Hole, str], bool]


def evaluate(
    newer: Path, older: Path, model: str = "", count: int = 100, files: int = 400, seed: int = 1,
    say: Callable[[str], None] = lambda _: None, details: Path | None = None,
) -> Report:  # fmt: skip
    """Metrics of "kexpert", the same through the protocol, "n-gram" and "similar line". Reads both trees. Raises
    UserError, OSError."""
    for tree in (newer, older):
        require_tree(tree)
    functions = new_functions(newer, older, files, seed)
    say(f"{len(functions)} functions in {len({f.path for f in functions})} files that {older.name} does not have")
    holes = cut_holes(functions, count, seed)
    if not holes:
        raise UserError(f"{newer}: no function to cut holes into that {older} does not have; look in more --files")
    answers = {
        "kexpert": serve(newer, model, holes, say),
        # what an editor shows; the answers that it does not get are empty
        "kexpert, opened 0.5 s ago": [Answer(text, ms=ms) for text, ms in ask_server(newer, model, holes, say)],
    }
    ngrams = NGrams(_sample(older, _NGRAM_CHARACTERS, seed))
    answers["n-gram"] = [Answer(ngrams.fill(hole)) for hole in holes]
    say("n-gram baseline done")
    others = list(_sample_files(older, _SIMILAR_FILES, seed))
    answers["similar line"] = [Answer(SimilarLines([*_folder(older, hole.path), *others]).fill(hole)) for hole in holes]
    say("similar line baseline done")
    exists = name_index(newer, holes, [answer for each in answers.values() for answer in each])
    if details is not None:
        write_details(details, holes, answers)
    return {name: by_kind(holes, given, exists) for name, given in answers.items()}


def serve(tree: Path, model: str, holes: Sequence[Hole], say: Callable[[str], None]) -> list[Answer]:
    """Ask ``kexpert complete``. The first question is asked twice; its first answer, from a cold start, is dropped."""
    command = [sys.executable, "-m", "kexpert", "complete", "--batch", "-", "--tree", str(tree)]
    command += ["--model", model] if model else []
    questions = [_question(at, hole) for at, hole in enumerate([holes[0], *holes])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdin
        assert program.stdout
        answers: list[Answer] = []
        for at, question in enumerate(questions):
            program.stdin.write(json.dumps(question) + "\n")
            program.stdin.flush()
            line = program.stdout.readline()
            if not line:
                raise UserError("kexpert complete ended before it answered every question; run it by hand to see why")
            answers.append(_answer(json.loads(line)))
            if at % 20 == 0:
                say(f"{at} of {len(questions)} questions answered")
        program.stdin.close()
    return answers[1:]


def _question(at: int, hole: Hole) -> dict[str, Any]:
    """A line for ``--batch``. ``typed``: ask again after the first letter, to measure latency while typing."""
    return {
        "id": at, "path": hole.path, "before": hole.before, "after": hole.after, "middle": hole.middle,
        "typed": hole.middle[0],
    }  # fmt: skip


def _answer(found: dict[str, Any]) -> Answer:
    typed = found.get("after_typing", {})

    def number(given: dict[str, Any], key: str) -> float:
        value = given.get(key)
        return math.nan if value is None else float(value)

    return Answer(
        found.get("text", ""), found.get("shown", False), found.get("doubt", found.get("failed", "")),
        number(found, "logprob"), number(found, "ms"), number(found, "first_token_ms"), number(typed, "ms"),
        number(typed, "first_token_ms"), number(found, "bits"), int(found.get("bytes", 0)),
        found.get("origin", ""),
    )  # fmt: skip


# Scores


def by_kind(holes: Sequence[Hole], answers: Sequence[Answer], exists: NameExists) -> dict[str, dict[str, Any]]:
    """Metrics of each kind of hole."""
    pairs = list(zip(holes, answers, strict=True))
    return {
        kind: asdict(inline_metrics([(hole, answer) for hole, answer in pairs if hole.kind == kind], exists))
        for kind in KINDS
        if any(hole.kind == kind for hole in holes)
    }


def inline_metrics(pairs: Sequence[tuple[Hole, Answer]], exists: NameExists) -> InlineMetrics:
    answered = [(hole, answer) for hole, answer in pairs if answer.text.strip()]
    shown = [(hole, answer) for hole, answer in answered if answer.shown]
    scored = [answer for _, answer in pairs if answer.bytes]
    return InlineMetrics(
        holes=len(pairs),
        exact=mean(is_exact(hole.middle, answer.text) for hole, answer in pairs),
        exact_shown=mean(is_exact(hole.middle, answer.text) for hole, answer in shown),
        edit_similarity=mean(similarity(folded(hole.middle), folded(answer.text)) for hole, answer in pairs),
        names_exist=mean(exists(hole, name) for hole, answer in answered for name in names(hole, answer.text)),
        names_exist_shown=mean(exists(hole, name) for hole, answer in shown for name in names(hole, answer.text)),
        parses=mean(parses(hole, answer.text) for hole, answer in answered),
        shown=len(shown) / len(pairs) if pairs else math.nan,
        bits_per_byte=sum(answer.bits for answer in scored) / (sum(answer.bytes for answer in scored) or math.nan),
        ms_p50=percentile((answer.ms for _, answer in pairs), 50),
        ms_p95=percentile((answer.ms for _, answer in pairs), 95),
        first_token_ms_p50=percentile((answer.first_token_ms for _, answer in pairs), 50),
        typed_ms_p50=percentile((answer.typed_ms for _, answer in pairs), 50),
        typed_ms_p95=percentile((answer.typed_ms for _, answer in pairs), 95),
        typed_first_token_ms_p50=percentile((answer.typed_first_token_ms for _, answer in pairs), 50),
        by_model=sum(answer.origin == "model" for _, answer in answered),
        copied=sum(answer.origin == "copied" for _, answer in answered),
    )


def is_exact(middle: str, text: str) -> bool:
    """True if the texts are equal once white space is folded."""
    return folded(middle) == folded(text)


def folded(text: str) -> str:
    return " ".join(text.split())


def similarity(one: str, other: str) -> float:
    """1 - Levenshtein distance / length of the longer text; 1 for two empty texts."""
    return Levenshtein.normalized_similarity(one, other)


def names(hole: Hole, text: str) -> list[str]:
    """Identifiers of a suggestion, completed where the hole splits one; none from its strings and comments."""
    begun = re.search(r"\w*\Z", hole.before)
    more = re.match(r"\w*", hole.after)
    completed = (begun[0] if begun else "") + text + (more[0] if more else "")
    code = _NO_CODE.sub(" ", completed)
    return [name for name in _NAME.findall(code) if name not in KEYWORDS]


def parses(hole: Hole, text: str) -> bool:
    """True if the function with the suggestion has no more syntax errors than the original."""
    return _errors(hole.head + text + hole.tail) <= _errors(hole.head + hole.middle + hole.tail)


def _errors(code: str) -> int:
    root = parse(code.encode()).tree.root_node
    return len(errors(root)) if root.has_error else 0


def name_index(tree: Path, holes: Sequence[Hole], answers: Iterable[Answer]) -> NameExists:
    """Look up every name of the answers: in the file around its hole, then as a word anywhere in the tree.

    ``answers`` belong to the holes in order, over and over.
    """
    around = [frozenset(_NAME.findall(hole.before + " " + hole.after)) for hole in holes]
    around_hole = {id(hole): words for hole, words in zip(holes, around, strict=True)}
    asked = {
        name.encode()
        for at, answer in enumerate(answers)
        for name in names(holes[at % len(holes)], answer.text)
        if name not in around[at % len(holes)]
    }
    elsewhere = names_in_tree(tree, asked)
    return lambda hole, name: name in around_hole[id(hole)] or name.encode() in elsewhere


# Texts of the older tree


def _sample(tree: Path, size: int, seed: int) -> Iterator[str]:
    for text in _sample_files(tree, sys.maxsize, seed):
        yield text
        size -= len(text)
        if size <= 0:
            return


def _sample_files(tree: Path, count: int, seed: int) -> Iterator[str]:
    paths = [path for path in c_files(tree) if path.endswith(".c")]
    random.Random(seed).shuffle(paths)
    for path in paths[:count]:
        yield (tree / path).read_text("utf-8", "replace")


def _folder(tree: Path, path: str) -> list[str]:
    """The texts of C files in the folder of a path."""
    folder = (tree / path).parent
    files = sorted(folder.glob("*.c")) if folder.is_dir() else []
    return [file.read_text("utf-8", "replace") for file in files[:40]]


# Reports


def table(report: Report) -> str:
    """The report as a Markdown table, a row for each system and kind of hole."""
    columns = list(InlineMetrics.__dataclass_fields__)
    rows = ["| who | hole | " + " | ".join(columns) + " |", "|---|---|" + "---:|" * len(columns)]
    for who, kinds in report.items():
        for kind, given in kinds.items():
            rows.append(f"| {who} | {kind} | " + " | ".join(_cell(given[column]) for column in columns) + " |")
    return "\n".join(rows)


def _cell(value: float) -> str:
    if math.isnan(value):
        return ""
    return str(value) if isinstance(value, int) else f"{value:.3f}" if abs(value) < 10 else f"{value:.0f}"


def write_details(path: Path, holes: Sequence[Hole], answers_by_system: dict[str, list[Answer]]) -> None:
    """Write a JSON line for each hole: the original text and every system's answer."""
    with path.open("w") as out:
        for at, hole in enumerate(holes):
            given = {who: asdict(answers[at]) for who, answers in answers_by_system.items()}
            entry = {"kind": hole.kind, "path": hole.path, "function": hole.function, "middle": hole.middle} | given
            out.write(json.dumps(entry) + "\n")
