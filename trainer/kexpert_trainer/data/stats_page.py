"""A page of plots of a curated corpus: what it holds, what was dropped, how its checks went."""

from __future__ import annotations

import base64
import html
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kexpert.prompt.chat import Task
from kexpert_trainer.data.corpus_folder import CorpusFolder, read_corpus
from kexpert_trainer.data.rows import Row
from kexpert_trainer.data.splits import SPLITS, split_rows
from kexpert_trainer.data.subsystems import subsystem_of
from kexpert_trainer.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MAX_BARS = 14
_MAX_ANSWER_WORDS, _MAX_CODE_LINES = 80, 150
_COLOURS = {"summary": "#2f6f9f", "kernel-doc": "#d98032", "explanation": "#4f9a58", "answer": "#8a63a8"}


@dataclass(frozen=True, slots=True)
class _Corpus:
    rows: Sequence[Row]
    splits: dict[str, str]
    curated: dict[str, Any]
    falsified: dict[str, Any]


def write_page(folder: CorpusFolder, out: Path) -> None:
    """Write the page as PNG, or as HTML that holds the plots and their numbers. Raises UserError, OSError."""
    if out.suffix not in (".png", ".html"):
        raise UserError(f"{out}: give a name that ends in .png or .html")
    rows = list(read_corpus(folder.curated, "curate"))
    if not rows:
        raise UserError(f"{folder.curated}: no rows to draw")
    corpus = _Corpus(rows, split_rows(rows), folder.record("curated"), folder.record("falsified"))
    png = _draw(corpus)
    part = out.with_name(out.name + ".part")
    part.write_bytes(png if out.suffix == ".png" else _page(corpus, png).encode())
    part.replace(out)


def _draw(corpus: _Corpus) -> bytes:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(18, 15), layout="constrained")
    axes = figure.subplots(3, 3)
    figure.suptitle(f"{len(corpus.rows):,} rows of {corpus.rows[0].tree}")
    plots = (_by_task, _answers, _code, _quality, _decisions, _subsystems, _licences, _gates, _checks)
    for plot, axis in zip(plots, axes.flat, strict=True):
        plot(corpus, axis)
        axis.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80, metadata={"Software": None})
    return buffer.getvalue()


def _by_task(corpus: _Corpus, axis: Axes) -> None:
    bottom = [0] * len(Task)
    counts = Counter((corpus.splits[row.id], row.task) for row in corpus.rows)
    for split, shade in zip(SPLITS, ("#2f6f9f", "#8fb8d4", "#d9a066"), strict=True):
        heights = [counts[split, task] for task in Task]
        axis.bar([str(task) for task in Task], heights, bottom=bottom, color=shade, label=split)
        bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
    axis.set_title("rows by task and split")
    axis.legend(frameon=False)


def _histogram(corpus: _Corpus, axis: Axes, title: str, values: dict[str, list[float]], bins: int) -> None:
    axis.hist(
        list(values.values()), bins=bins, stacked=True, label=list(values),
        color=[_COLOURS.get(name, "#777777") for name in values],
    )  # fmt: skip
    axis.set_title(title)
    if len(values) > 1:
        axis.legend(frameon=False)


def _answers(corpus: _Corpus, axis: Axes) -> None:
    words = {
        str(task): [min(len(row.output.split()), _MAX_ANSWER_WORDS) * 1.0 for row in corpus.rows if row.task is task]
        for task in Task
    }
    _histogram(corpus, axis, f"words of an answer (at most {_MAX_ANSWER_WORDS})", words, 40)


def _code(corpus: _Corpus, axis: Axes) -> None:
    lines = {(row.path, row.line): row.end_line - row.line + 1 for row in corpus.rows if row.kind == "function"}
    values = [min(count, _MAX_CODE_LINES) * 1.0 for count in lines.values()]
    _histogram(corpus, axis, f"lines of a function (at most {_MAX_CODE_LINES})", {"functions": values}, 40)


def _quality(corpus: _Corpus, axis: Axes) -> None:
    values = {str(task): [row.quality for row in corpus.rows if row.task is task] for task in Task}
    _histogram(corpus, axis, "quality", values, 40)


def _decisions(corpus: _Corpus, axis: Axes) -> None:
    kinds = Counter(row.kind for row in corpus.rows)
    _bars(axis, "what rows are about", kinds.most_common(_MAX_BARS))


def _subsystems(corpus: _Corpus, axis: Axes) -> None:
    _bars(axis, "subsystems", Counter(subsystem_of(row.path) for row in corpus.rows).most_common(_MAX_BARS))


def _licences(corpus: _Corpus, axis: Axes) -> None:
    _bars(axis, "licences of files", Counter(row.licence for row in corpus.rows).most_common(_MAX_BARS))


def _gates(corpus: _Corpus, axis: Axes) -> None:
    dropped = corpus.curated.get("dropped", {})
    _bars(axis, "rows dropped by gate", [(gate, sum(by.values())) for gate, by in dropped.items()])


def _checks(corpus: _Corpus, axis: Axes) -> None:
    checks = corpus.falsified.get("checks", {})
    _bars(axis, "% of rows that pass each check", [(name, 100 * each["share"]) for name, each in checks.items()])
    if checks:
        axis.axvline(100 * corpus.falsified["min_share"], color="#b03030", linewidth=1)
        axis.set_xlim(0, 100)


def _bars(axis: Axes, title: str, counts: Sequence[tuple[str, float]]) -> None:
    names = [_plain(name) for name, _ in counts][::-1]
    axis.barh(names, [count for _, count in counts][::-1], color="#2f6f9f")
    axis.set_title(title)


def _plain(name: str) -> str:
    """A name from a tree as matplotlib shows it: ``$`` would begin a formula."""
    return (name[:40] or "none").replace("$", r"\$")


def _page(corpus: _Corpus, png: bytes) -> str:
    picture = base64.b64encode(png).decode()
    title = html.escape(f"Chat corpus of {corpus.rows[0].tree}")
    tables = []
    for name, counts in (
        ("task", Counter(str(row.task) for row in corpus.rows)),
        ("split", Counter(corpus.splits[row.id] for row in corpus.rows)),
        ("subsystem", Counter(subsystem_of(row.path) for row in corpus.rows)),
        ("licence", Counter(row.licence for row in corpus.rows)),
        ("reason for a dropped row", Counter(corpus.curated.get("reasons", {}))),
    ):
        rows = "".join(
            f"<tr><td>{html.escape(entry)}</td><td>{count:,}</td></tr>" for entry, count in counts.most_common(30)
        )
        tables.append(f"<table><tr><th>{name}</th><th>rows</th></tr>{rows}</table>")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        "<style>body{font:14px sans-serif;margin:2em}table{border-collapse:collapse;margin:1em 2em 1em 0;"
        "display:inline-table;vertical-align:top}td,th{border:1px solid #ccc;padding:2px 8px;text-align:left}"
        "td+td{text-align:right}img{max-width:100%}</style>"
        f'<h1>{title}</h1><img alt="plots" src="data:image/png;base64,{picture}">{"".join(tables)}</html>\n'
    )
