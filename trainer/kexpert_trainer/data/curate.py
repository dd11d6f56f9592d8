"""Chooses the rows that may be learnt from: ``kexpert-train curate``.

Rows of one symbol stand together, so its text is read once. Each batch of symbols makes one part; then all
symbols are compared for near-duplicates, the best first.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from kexpert.prompt.chat import Task
from kexpert_trainer.data.corpus_folder import CorpusFolder, digest
from kexpert_trainer.data.gates import GATES, NEAR_DUPLICATE, facts_of, first_failure
from kexpert_trainer.data.near_duplicates import duplicates, signature
from kexpert_trainer.data.quality import quality
from kexpert_trainer.data.row_batches import batches_of, rows_of
from kexpert_trainer.data.row_parts import Parts, lines_of, write_lines
from kexpert_trainer.data.rows import Row, dump_row, parse_row
from kexpert_trainer.errors import UserError
from kexpert_trainer.progress import progress

#: Raise it when a gate, the score or the form of a part changes.
CURATE_VERSION = 1
#: A function is logic-rich if it has at least so many decisions (see ``FunctionFacts``); it has more than ten lines.
LOGIC_RICH_DECISIONS = 5


@dataclass(frozen=True, slots=True)
class CurateReport:
    """What became of the rows. ``dropped`` is gate -> task -> rows; ``reasons`` is "gate: reason" -> rows."""

    rows: int
    kept: dict[str, int]  # task -> rows
    dropped: dict[str, dict[str, int]]
    reasons: dict[str, int]
    functions: int  # documented functions that are kept, each counted once
    logic_rich: int
    mean_quality: float

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    def table(self) -> str:
        """The gates and counts as a table in Markdown."""
        tasks = [str(task) for task in Task]
        lines = ["| | " + " | ".join([*tasks, "rows"]) + " |", "|---" * (len(tasks) + 2) + "|"]
        mined = {task: self.kept.get(task, 0) + sum(by.get(task, 0) for by in self.dropped.values()) for task in tasks}
        for title, counts in (("mined", mined), *self.dropped.items(), ("kept", self.kept)):
            numbers = [counts.get(task, 0) for task in tasks]
            sign = "−" if title in self.dropped else ""
            cells = (f"{sign}{count:,}" if count else "" for count in (*numbers, sum(numbers)))
            lines.append(f"| {' | '.join([title, *cells])} |")
        lines += [
            "", f"Documented functions: {self.functions:,}; logic-rich: {self.logic_rich:,}; "
            f"mean quality: {self.mean_quality:.2f}",
        ]  # fmt: skip
        return "\n".join(lines)


def curate(folder: CorpusFolder, jobs: int) -> CurateReport:
    """Write ``curated.jsonl`` and ``dropped.jsonl`` from ``mined.jsonl``. Raises UserError, OSError."""
    if not folder.mined.is_file():
        raise UserError(f"{folder.mined}: no such file; make it with kexpert-train mine")
    batches = batches_of(folder.mined)
    if not batches:
        raise UserError(f"{folder.mined}: no rows; the tree has no documented symbols")
    parts = Parts(folder.parts("curate"), {"version": CURATE_VERSION, "mined": digest(folder.mined)})
    judged = parts.make(partial(judge_batch, folder.mined), batches, jobs, "gates")
    copies = _copies(judged)
    counts = _Counts()
    with progress("rows", len(batches)) as advance:
        write_lines(folder.curated, _kept(judged, copies, counts, advance))
    write_lines(folder.dropped, (json.dumps(entry) for entry in counts.dropped))
    report = counts.report()
    folder.write_record("curated", {**report.as_json(), "sha256": digest(folder.curated)})
    parts.remove()
    return report


def judge_batch(path: Path, batch: tuple[int, int]) -> Iterator[str]:
    """Judge the rows of a byte range. A line: {gate, reason, row, symbol, signature, decisions}."""
    for row in rows_of(path, batch):
        gate, reason = first_failure(row)
        entry: dict[str, Any] = {"gate": gate, "reason": reason, "symbol": f"{row.path}:{row.line}"}
        if not gate:
            facts = facts_of(row)
            row = replace(row, quality=quality(row, facts))
            text = row.code or f"{row.question} {row.output}"
            entry |= {"signature": signature(text, row.name), "decisions": facts.decisions if facts else 0}
        yield json.dumps({**entry, "row": dump_row(row)}, ensure_ascii=False)


def judge(rows: Iterable[Row]) -> Iterator[tuple[Row, str, float]]:
    """Yield (row, gate that it fails or "", quality)."""
    for row in rows:
        gate, _ = first_failure(row)
        yield row, gate, 0.0 if gate else quality(row, facts_of(row))


def _copies(judged: list[Path]) -> dict[str, str]:
    """Symbol -> the symbol that it is a near-duplicate of. The best of a group stays."""
    best: dict[str, tuple[float, str]] = {}
    for line in lines_of(judged):
        entry = json.loads(line)
        if not entry["gate"]:
            score = parse_row(entry["row"]).quality
            known = best.get(entry["symbol"], (0.0, ""))
            best[entry["symbol"]] = (max(score, known[0]), entry["signature"])
    order = sorted(best, key=lambda symbol: (-best[symbol][0], symbol))
    found = {}
    with progress("near-duplicates", len(order)) as advance:
        for symbol, original in duplicates((symbol, best[symbol][1]) for symbol in order):
            if original:
                found[symbol] = original
            advance()
    return found


class _Counts:
    """Counts rows while they are written."""

    def __init__(self) -> None:
        self.kept: Counter[str] = Counter()
        self.by_gate: dict[str, Counter[str]] = {gate: Counter() for gate in (*GATES, NEAR_DUPLICATE)}
        self.reasons: Counter[str] = Counter()
        self.dropped: list[dict[str, str]] = []
        self.decisions: dict[str, int] = {}
        self.qualities: list[float] = []

    def drop(self, row: Row, gate: str, reason: str, original: str = "") -> None:
        self.by_gate[gate][row.task] += 1
        self.reasons[f"{gate}: {reason}"] += 1
        entry = {"id": row.id, "path": row.path, "name": row.name, "gate": gate, "reason": reason}
        self.dropped.append({**entry, "original": original} if original else entry)

    def keep(self, row: Row, symbol: str, decisions: int) -> None:
        self.kept[row.task] += 1
        self.qualities.append(row.quality)
        if row.kind == "function":
            self.decisions[symbol] = decisions

    def report(self) -> CurateReport:
        rich = sum(decisions >= LOGIC_RICH_DECISIONS for decisions in self.decisions.values())
        mean = sum(self.qualities) / len(self.qualities) if self.qualities else 0.0
        return CurateReport(
            self.kept.total() + len(self.dropped), dict(sorted(self.kept.items())),
            {gate: dict(sorted(counts.items())) for gate, counts in self.by_gate.items()},
            dict(self.reasons.most_common()), len(self.decisions), rich, round(mean, 4),
        )  # fmt: skip


def _kept(
    judged: Iterable[Path], copies: dict[str, str], counts: _Counts, advance: Callable[[], None]
) -> Iterator[str]:
    for part in judged:
        for line in lines_of([part]):
            entry = json.loads(line)
            row, symbol = parse_row(entry["row"]), entry["symbol"]
            if entry["gate"]:
                counts.drop(row, entry["gate"], entry["reason"])
            elif symbol in copies:
                counts.drop(row, NEAR_DUPLICATE, "another symbol has nearly the same text", copies[symbol])
            else:
                counts.keep(row, symbol, entry["decisions"])
                yield entry["row"]
        advance()
