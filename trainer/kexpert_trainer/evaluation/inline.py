"""``kexpert-train evaluate inline``: inline completion as it is served, on functions that the model cannot know.

The answers come from ``kexpert complete --batch -``, the path that an editor's question takes: context from the
index, worker process, healing, end by syntax, filter. Beside them stand two that need no model.
"""

from __future__ import annotations

import json
import math
import random
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kexpert.core.c.keywords import KEYWORDS
from kexpert.core.c.parse import parse
from kexpert.core.c.repair import errors
from kexpert_trainer.data.new_functions import new_functions, occurring
from kexpert_trainer.data.tree import c_files
from kexpert_trainer.evaluation.baselines import NGrams, SimilarLines
from kexpert_trainer.evaluation.eval_holes import KINDS, Hole, cut_holes

_NAME = re.compile(r"[A-Za-z_]\w*")
_NO_CODE = re.compile(r'/\*.*?(?:\*/|\Z)|//[^\n]*|"(?:[^"\\\n]|\\.)*"?', re.S)
#: Bytes of the older tree that the n-gram model learns from, and files that similar lines are looked for in
#: beside the hole's own directory.
_NGRAM_BYTES = 3_000_000
_SIMILAR_FILES = 150


@dataclass(frozen=True, slots=True)
class Answer:
    """What was suggested for a hole. Times are milliseconds; NaN where there is none."""

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
class Figures:
    """Shares from 0 to 1; ``exact`` and the like over all holes, ``…_shown`` over those shown. ``by_model`` and
    ``copied`` count the suggestions with text, shown or not, by origin."""

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


def measure(
    newer: Path, older: Path, model: str = "", count: int = 100, files: int = 400, seed: int = 1,
    say: Callable[[str], None] = lambda _: None, details: Path | None = None,
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """{"kexpert": {"inside": figures, …}, "n-gram": …, "similar line": …}. Reads both trees."""
    functions = new_functions(newer, older, files, seed)
    say(f"{len(functions)} functions in {len({f.path for f in functions})} files that {older.name} does not have")
    holes = cut_holes(functions, count, seed)
    answers = {"kexpert": serve(newer, model, holes, say)}
    ngrams = NGrams(_sample(older, _NGRAM_BYTES, seed))
    answers["n-gram"] = [Answer(ngrams.fill(hole)) for hole in holes]
    say("n-gram model asked")
    others = list(_sample_files(older, _SIMILAR_FILES, seed))
    answers["similar line"] = [Answer(SimilarLines([*_beside(older, hole.path), *others]).fill(hole)) for hole in holes]
    say("similar lines looked for")
    known = known_names(newer, holes, [answer for each in answers.values() for answer in each])
    if details is not None:
        write_details(details, holes, answers)
    return {name: by_kind(holes, given, known) for name, given in answers.items()}


def serve(tree: Path, model: str, holes: Sequence[Hole], say: Callable[[str], None]) -> list[Answer]:
    """Ask the program that serves. The first question warms it up and does not count."""
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
                raise ValueError("kexpert complete ended before it was asked everything")
            answers.append(_answer(json.loads(line)))
            if at % 20 == 0:
                say(f"{at} of {len(questions)} questions answered")
        program.stdin.close()
    return answers[1:]


def _question(at: int, hole: Hole) -> dict[str, Any]:
    """The same again after one more letter: what the model takes while somebody types."""
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


def by_kind(holes: Sequence[Hole], answers: Sequence[Answer], known: Callable[[Hole, str], bool]) -> dict[str, Any]:
    """Figures for each kind of hole."""
    pairs = list(zip(holes, answers, strict=True))
    return {
        kind: asdict(figures([(hole, answer) for hole, answer in pairs if hole.kind == kind], known))
        for kind in KINDS
        if any(hole.kind == kind for hole in holes)
    }


def figures(pairs: Sequence[tuple[Hole, Answer]], known: Callable[[Hole, str], bool]) -> Figures:
    given = [(hole, answer) for hole, answer in pairs if answer.text.strip()]
    shown = [(hole, answer) for hole, answer in pairs if answer.shown and answer.text.strip()]
    scored = [answer for _, answer in pairs if answer.bytes]
    return Figures(
        len(pairs),
        _share(is_exact(hole.middle, answer.text) for hole, answer in pairs),
        _share(is_exact(hole.middle, answer.text) for hole, answer in shown),
        _mean(similarity(folded(hole.middle), folded(answer.text)) for hole, answer in pairs),
        _share(known(hole, name) for hole, answer in given for name in names(hole, answer.text)),
        _share(known(hole, name) for hole, answer in shown for name in names(hole, answer.text)),
        _share(parses(hole, answer.text) for hole, answer in given),
        len(shown) / len(pairs) if pairs else math.nan,
        sum(answer.bits for answer in scored) / (sum(answer.bytes for answer in scored) or math.nan),
        *_percentiles((answer.ms for _, answer in pairs), 50, 95),
        *_percentiles((answer.first_token_ms for _, answer in pairs), 50),
        *_percentiles((answer.typed_ms for _, answer in pairs), 50, 95),
        *_percentiles((answer.typed_first_token_ms for _, answer in pairs), 50),
        *(sum(answer.origin == origin for _, answer in given) for origin in ("model", "copied")),
    )


def is_exact(middle: str, text: str) -> bool:
    """Equal when white space is folded."""
    return folded(middle) == folded(text)


def folded(text: str) -> str:
    return " ".join(text.split())


def similarity(one: str, other: str) -> float:
    """1 less the Levenshtein distance over the longer length."""
    row = list(range(len(other) + 1))
    for at, left in enumerate(one, 1):
        diagonal, row[0] = row[0], at
        for to, right in enumerate(other, 1):
            diagonal, row[to] = row[to], min(row[to] + 1, row[to - 1] + 1, diagonal + (left != right))
    return 1 - row[-1] / (max(len(one), len(other)) or 1)


def names(hole: Hole, text: str) -> list[str]:
    """Identifiers of a suggestion, whole where the hole begins or ends inside one; not those in its strings."""
    begun = re.search(r"\w*\Z", hole.before)
    more = re.match(r"\w*", hole.after)
    whole = (begun[0] if begun else "") + text + (more[0] if more else "")
    code = _NO_CODE.sub(" ", whole)
    return [name for name in _NAME.findall(code) if name not in KEYWORDS]


def parses(hole: Hole, text: str) -> bool:
    """Whether the function has no more errors with the suggestion than it had before the hole was cut."""
    return _errors(hole.head + text + hole.tail) <= _errors(hole.head + hole.middle + hole.tail)


def _errors(code: str) -> int:
    root = parse(code.encode()).tree.root_node
    return len(errors(root)) if root.has_error else 0


def known_names(tree: Path, holes: Sequence[Hole], answers: Iterable[Answer]) -> Callable[[Hole, str], bool]:
    """Whether a name stands in the file around the hole, or as a word anywhere in the tree's code."""
    around = [frozenset(_NAME.findall(hole.before + " " + hole.after)) for hole in holes]
    of = {id(hole): words for hole, words in zip(holes, around, strict=True)}
    asked = {
        name.encode()
        for at, answer in enumerate(answers)
        for name in names(holes[at % len(holes)], answer.text)
        if name not in around[at % len(holes)]
    }
    elsewhere = occurring(tree, asked)
    return lambda hole, name: name in of[id(hole)] or name.encode() in elsewhere


def _share(values: Iterable[bool]) -> float:
    return _mean(map(float, values))


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return statistics.fmean(listed) if listed else math.nan


def _percentiles(values: Iterable[float], *wanted: int) -> list[float]:
    listed = sorted(value for value in values if not math.isnan(value))
    return [listed[min(len(listed) * p // 100, len(listed) - 1)] if listed else math.nan for p in wanted]


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


def _beside(tree: Path, path: str) -> list[str]:
    """The C files of the older tree in the directory of a path."""
    folder = (tree / path).parent
    files = sorted(folder.glob("*.c")) if folder.is_dir() else []
    return [file.read_text("utf-8", "replace") for file in files[:40]]


# Reports


def table(found: dict[str, dict[str, Any]]) -> str:
    """The figures as Markdown, a row for each who was asked and kind of hole."""
    columns = list(Figures.__dataclass_fields__)
    rows = ["| who | hole | " + " | ".join(columns) + " |", "|---|---|" + "---:|" * len(columns)]
    for who, kinds in found.items():
        for kind, given in kinds.items():
            rows.append(f"| {who} | {kind} | " + " | ".join(_cell(given[column]) for column in columns) + " |")
    return "\n".join(rows)


def _cell(value: float) -> str:
    if math.isnan(value):
        return ""
    return str(value) if isinstance(value, int) else f"{value:.3f}" if abs(value) < 10 else f"{value:.0f}"


def write_details(path: Path, holes: Sequence[Hole], answers: dict[str, list[Answer]]) -> None:
    """One JSON line for each hole: what was there, and what each said."""
    with path.open("w") as out:
        for at, hole in enumerate(holes):
            said = {who: asdict(given[at]) for who, given in answers.items()}
            entry = {"kind": hole.kind, "path": hole.path, "function": hole.function, "middle": hole.middle} | said
            out.write(json.dumps(entry) + "\n")


__all__ = ["Answer", "Figures", "figures", "measure", "serve", "table"]
