"""Evaluation of answers to questions on the kernel: ``kexpert-train evaluate questions``.

The questions are made from facts of functions and options that 6.12 has and 6.1 has not, and of the held-out subsystems
of 6.1. The sources are the six that fit a question's words best among the facts of the file that it is about; the
right one need not be among them. An answer is right if it names the true value and no other (``is_right``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from kexpert.prompt.chat import answer_prompt
from kexpert.prompt.sources import NO_ANSWER
from kexpert_trainer.data.questions import is_right, question_rows, without_answer
from kexpert_trainer.data.rows import Row, read_rows, write_rows
from kexpert_trainer.data.subsystems import is_held_out_subsystem
from kexpert_trainer.data.tree import c_files, files, require_tree
from kexpert_trainer.data.tree_facts import Topic
from kexpert_trainer.errors import UserError
from kexpert_trainer.evaluation.chat_model import AnswerStore, ChatModel, Prompt
from kexpert_trainer.evaluation.documentation import Writer
from kexpert_trainer.evaluation.metrics import mean
from kexpert_trainer.evaluation.new_functions import is_for_evaluation, names_in_tree
from kexpert_trainer.evaluation.text_metrics import paired_bootstrap
from kexpert_trainer.progress import progress

_ANSWER_TOKENS = 60
#: Questions made for each one asked: those on names that the older tree has too are left out.
_SPARE = 3
_MAX_UNANSWERED = 40
FIRST_SOURCE = "first source"
_OPTION = re.compile(rb"^[ \t]*(?:menu)?config[ \t]+(\w+)", re.M)
_CITED = re.compile(r"\[(\d+)\]")

Report = dict[str, Any]


def questions(newer: Path, older: Path, work: Path, count: int, seed: int = 0) -> list[Row]:
    """``count`` questions, half on what only ``newer`` has, half on held-out subsystems of ``older``; kept in ``work``.

    Raises OSError, UserError.
    """
    store = work / f"questions-{count}-{seed}.jsonl"
    if store.is_file():
        return list(read_rows(store))
    require_tree(newer)
    require_tree(older)
    work.mkdir(parents=True, exist_ok=True)
    half = count // 2
    found = _new(newer, older, half, seed)
    held_out = question_rows(older, count - len(found), seed, is_held_out_subsystem, as_found=True)
    rows = [*found, *held_out]
    if not rows:
        raise UserError(f"{newer}: no facts to ask about; give two different kernel trees")
    write_rows(store, rows)
    return rows


def _new(newer: Path, older: Path, count: int, seed: int) -> list[Row]:
    """Questions on files that ``older`` has not, about names that it has not."""
    rows = question_rows(
        newer, _SPARE * count, seed, lambda path: is_for_evaluation(path) and not (older / path).exists(), as_found=True
    )
    names = {row.name.encode() for row in rows}
    known = {name.decode() for name in names_in_tree(older, names, c_files(older))}
    known |= {f"CONFIG_{name}" for name in _options(older)}
    return balanced((row for row in rows if row.name not in known), count)


def _options(tree: Path) -> set[str]:
    paths = (path for path in files(tree) if path.rpartition("/")[2].startswith("Kconfig"))
    return {name.decode() for path in paths for name in _OPTION.findall((tree / path).read_bytes())}


def balanced(rows: Iterable[Row], count: int) -> list[Row]:
    """Up to ``count`` rows, as many of each topic as there are, in turn."""
    by_topic: dict[str, list[Row]] = {topic.value: [] for topic in Topic}
    for row in rows:
        by_topic[row.notes["topic"]].append(row)
    found: list[Row] = []
    for place in range(max(map(len, by_topic.values()), default=0)):
        found += [own[place] for own in by_topic.values() if place < len(own)]
    return found[:count]


def evaluate(
    rows: Sequence[Row], writers: Sequence[Writer], store: AnswerStore
) -> tuple[Report, list[dict[str, Any]]]:
    """The report, and every answer. "first source" is a rival that repeats the best source and reads nothing."""
    scores = {FIRST_SOURCE: [_is_right(row, row.sources[0][1] if row.sources else "") for row in rows]}
    report: Report = {"questions": len(rows), "found": mean(float(row.notes["source"] > 0) for row in rows)}
    report["writers"] = {FIRST_SOURCE: _by_topic(rows, scores[FIRST_SOURCE])}
    details: list[dict[str, Any]] = []
    for writer in writers:
        answers = _answers(writer.model, rows, writer.retrieval, store, writer.name)
        scores[writer.name] = [_is_right(row, answer) for row, answer in zip(rows, answers, strict=True)]
        section = _by_topic(rows, scores[writer.name])
        if writer.retrieval:
            section["cites"] = mean(
                float(_CITED.findall(answer)[:1] == [str(row.notes["source"])])
                for row, answer in zip(rows, answers, strict=True) if row.notes["source"]
            )  # fmt: skip
            section["says_so"] = _says_so(writer, rows, store)
        report["writers"][writer.name] = section
        details += [
            {"writer": writer.name, "question": row.question, "wanted": row.output, "answer": answer, "right": right,
             "topic": row.notes["topic"], "sources": [text for _, text in row.sources]}
            for row, answer, right in zip(rows, answers, scores[writer.name], strict=True)
        ]  # fmt: skip
    report["differences"] = _differences(scores)
    return report, details


def _answers(
    model: ChatModel, rows: Sequence[Row], retrieval: bool, store: AnswerStore, name: str
) -> list[str]:
    prompts = [
        Prompt(tuple(answer_prompt(row.question, row.sources if retrieval else ())), _ANSWER_TOKENS) for row in rows
    ]
    with progress(f"Answers by {name}", len(prompts)) as advance:
        found = model.answers(prompts, store, lambda count: advance(count))
    return [answer.text for answer in found]


def _is_right(row: Row, answer: str) -> float:
    return float(is_right(answer, row.notes["keys"], row.notes["wrong"]))


def _by_topic(rows: Sequence[Row], scores: Sequence[float]) -> dict[str, float]:
    found = {"right": mean(scores)}
    for topic in Topic:
        own = [score for row, score in zip(rows, scores, strict=True) if row.notes["topic"] == topic.value]
        if own:
            found[topic.value] = mean(own)
    return found


def _says_so(writer: Writer, rows: Sequence[Row], store: AnswerStore) -> float:
    """The part of questions whose right source was taken away to which the answer is that the sources do not say."""
    asked = [without_answer(row) for row in rows if row.notes["source"]]
    asked = [row for row in asked if row.output == NO_ANSWER][:_MAX_UNANSWERED]
    answers = _answers(writer.model, asked, True, store, f"{writer.name}, without the right source")
    return mean(float(is_right(answer, row.notes["keys"])) for row, answer in zip(asked, answers, strict=True))


def _differences(scores: dict[str, list[float]]) -> dict[str, Any]:
    """Differences in percentage points: retrieval, adapter, and both beside repeating the first source."""
    pairs = [
        ("base + retrieval", "base"), ("adapter + retrieval", "adapter"), ("adapter", "base"),
        ("adapter + retrieval", "base + retrieval"), ("adapter + retrieval", FIRST_SOURCE),
    ]  # fmt: skip
    found = {}
    for left, right in pairs:
        if left in scores and right in scores:
            each = paired_bootstrap([100 * s for s in scores[left]], [100 * s for s in scores[right]])
            found[f"{left} - {right}"] = {"mean": each.mean, "low": each.low, "high": each.high, "p": each.p}
    return found


# -- report ----------------------------------------------------------------------------------------


def table(report: Report) -> str:
    """The report as Markdown."""
    columns = ["right", *(topic.value for topic in Topic), "cites", "says_so"]
    titles = {"cites": "cites the right source", "says_so": "says if no source has it"}
    lines = [
        f"{report['questions']} questions; the right source is among the six found for {100 * report['found']:.0f} %",
        "",
        "| % right | all | " + " | ".join(titles.get(column, column) for column in columns[1:]) + " |",
        "|---|" + "---:|" * len(columns),
    ]
    for name, section in report["writers"].items():
        cells = [f"{100 * section[column]:.0f}" if column in section else "–" for column in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines.append("")
    lines += [
        f"- {pair}: {each['mean']:+.0f} points ({each['low']:+.0f} to {each['high']:+.0f}, p {each['p']:.3f})"
        for pair, each in report["differences"].items()
    ]
    return "\n".join(lines)


def plot(report: Report, path: Path) -> None:
    """Right answers by topic and writer, as PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    writers = report["writers"]
    groups = ["right", *(topic.value for topic in Topic)]
    width = 0.8 / max(len(writers), 1)
    figure, axes = pyplot.subplots(figsize=(9, 4))
    for number, (name, section) in enumerate(writers.items()):
        places = [at + number * width for at in range(len(groups))]
        axes.bar(places, [100 * section.get(group, 0) for group in groups], width, label=name)
    axes.set_xticks([at + 0.4 - width / 2 for at in range(len(groups))], ["all", *groups[1:]])
    axes.set(ylabel="% right", ylim=(0, 100), title=f"{report['questions']} questions on the kernel")
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
