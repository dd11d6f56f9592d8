"""Tries to break a curated corpus, and breaks it on purpose to see that the checks notice: ``kexpert-train falsify``.

Seven checks look at single rows beside the tree, three at the corpus. Below ``MIN_SHARE`` in one of them a corpus is
not published. Of each row at most one broken copy is made; those that only the intended check refuses are negatives.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from kexpert_trainer.data.checks import CHECKS, Evidence
from kexpert_trainer.data.corpus_checks import excess_rows, leaking_rows
from kexpert_trainer.data.corpus_folder import CorpusFolder, digest, read_corpus
from kexpert_trainer.data.corruptions import CORRUPTIONS, broken, misplaced
from kexpert_trainer.data.gates import facts_of
from kexpert_trainer.data.origins import origin_of
from kexpert_trainer.data.reproduce import differing_rows
from kexpert_trainer.data.row_batches import batches_of, rows_of
from kexpert_trainer.data.row_parts import Parts, lines_of, write_lines
from kexpert_trainer.data.rows import Row, dump_row
from kexpert_trainer.data.splits import split_rows
from kexpert_trainer.errors import UserError
from kexpert_trainer.progress import progress

#: Raise it when a check, a corruption or the form of a part changes.
FALSIFY_VERSION = 1
#: Share of the rows that a check looks at which must pass it.
MIN_SHARE = 0.85
_MISPLACED_ONE_IN = 40
#: Corruptions that few rows allow come first; of the last three, a row's id chooses which is tried first.
_RARE, _COMMON = ("locks", "errnos", "return"), ("parameters", "symbol", "syntax")
DISTRIBUTION, LEAKAGE, REPRODUCIBILITY = "distribution", "leakage", "reproducibility"


@dataclass(slots=True)
class Outcome:
    """How a check went: rows that it looked at, those that passed, corruptions made and those it noticed."""

    rows: int = 0
    passed: int = 0
    corrupted: int = 0
    noticed: int = 0

    @property
    def share(self) -> float:
        """Of the rows looked at, those that passed; 1 if there were none."""
        return self.passed / self.rows if self.rows else 1.0

    def add(self, rows: int, failed: int) -> None:
        self.rows += rows
        self.passed += rows - failed


@dataclass(slots=True)
class FalsifyReport:
    """Outcome of each check, and the rows that fail one."""

    curated: str  # SHA-256 of the file that was checked
    outcomes: dict[str, Outcome]
    failing: list[dict[str, Any]] = field(default_factory=list)
    negatives: int = 0

    @property
    def refused(self) -> list[str]:
        """Checks that too few rows pass, or that overlook too many corruptions."""
        return [
            name for name, outcome in self.outcomes.items()
            if outcome.share < MIN_SHARE or outcome.noticed < MIN_SHARE * outcome.corrupted
        ]  # fmt: skip

    def as_json(self) -> dict[str, Any]:
        checks = {
            name: {
                "rows": outcome.rows, "passed": outcome.passed, "share": round(outcome.share, 4),
                "corrupted": outcome.corrupted, "noticed": outcome.noticed,
            }
            for name, outcome in self.outcomes.items()
        }  # fmt: skip
        return {
            "version": FALSIFY_VERSION, "curated": self.curated, "min_share": MIN_SHARE, "refused": self.refused,
            "failing": len({entry["id"] for entry in self.failing}), "negatives": self.negatives, "checks": checks,
        }  # fmt: skip

    def table(self) -> str:
        """The outcomes as a table in Markdown."""
        lines = ["| check | rows | pass | share | broken on purpose | noticed |", "|---" * 6 + "|"]
        for name, outcome in self.outcomes.items():
            noticed = f"{outcome.noticed / outcome.corrupted:.1%}" if outcome.corrupted else ""
            made = f"{outcome.corrupted:,}" if outcome.corrupted else ""
            lines.append(
                f"| {name} | {outcome.rows:,} | {outcome.passed:,} | {outcome.share:.1%} | {made} | {noticed} |"
            )
        return "\n".join([*lines, "", f"Negatives: {self.negatives:,}"])


def falsify(folder: CorpusFolder, tree: Path | None, jobs: int) -> FalsifyReport:
    """Check ``curated.jsonl`` beside its tree; write the results and the negatives. Raises UserError, OSError."""
    root = _tree(folder, tree)
    rows = list(read_corpus(folder.curated, "curate"))
    if not rows:
        raise UserError(f"{folder.curated}: no rows; mine a larger tree")
    key = {"version": FALSIFY_VERSION, "curated": digest(folder.curated), "tree": str(root)}
    report = FalsifyReport(key["curated"], {name: Outcome() for name in CHECKS})  # type: ignore[arg-type]
    parts = Parts(folder.parts("falsify"), key)
    checked = parts.make(partial(check_batch, folder.curated, root), batches_of(folder.curated), jobs, "checks")
    write_lines(folder.negatives, _collected(checked, report))
    by_id = {row.id: row for row in rows}
    repeated = Counter(row.id for row in rows)
    again = Parts(folder.parts("reproduce"), key)
    compared, differing = differing_rows(root, folder, again, jobs)
    splits = split_rows(rows)
    with progress("leakage", len(rows)) as advance:
        leaks = leaking_rows(rows, splits, advance)
    held_out = sum(split != "train" for split in splits.values())
    excess = excess_rows(rows) | {row: "its id is not its own" for row, count in repeated.items() if count > 1}
    for name, total, failed in (
        (DISTRIBUTION, len(rows), excess), (LEAKAGE, held_out, leaks), (REPRODUCIBILITY, compared, differing),
    ):  # fmt: skip
        report.outcomes[name] = Outcome()
        report.outcomes[name].add(total, len(failed))
        report.failing += [_failure(by_id.get(identity), identity, name, why) for identity, why in failed.items()]
    write_lines(folder.failing, (json.dumps(entry, ensure_ascii=False) for entry in report.failing))
    folder.write_record("falsified", report.as_json())
    parts.remove()
    again.remove()
    return report


def _tree(folder: CorpusFolder, tree: Path | None) -> Path:
    """The tree that the rows come from: the one given, or the one that ``mine`` recorded."""
    record = folder.record("mined")
    root = tree or Path(record.get("root", ""))
    if not record or not root.is_dir() or root == Path():
        raise UserError(f"{root}: no such tree; give the one that {folder.folder} was mined from with --tree DIR")
    return root


def check_batch(path: Path, tree: Path, batch: tuple[int, int]) -> Iterator[str]:
    """Check the rows of a byte range.

    A line: {row, results: check -> reason, corrupted: check -> was it noticed, negative}.
    """
    for row in rows_of(path, batch):
        evidence = Evidence(facts_of(row), origin_of(tree, row))
        results = {name: reason for name, check in CHECKS.items() if (reason := check(row, evidence)) is not None}
        corrupted, negative = _corrupted(row, evidence) if not any(results.values()) else ({}, None)
        if int(row.id[:8], 16) % _MISPLACED_ONE_IN == 0 and row.kind != "commit":
            moved = misplaced(row)
            corrupted["integrity"] = bool(CHECKS["integrity"](moved, Evidence(evidence.facts, origin_of(tree, moved))))
        entry: dict[str, Any] = {"row": _named(row), "results": results, "corrupted": corrupted}
        if negative is not None:
            entry["negative"] = dump_row(negative)
        yield json.dumps(entry, ensure_ascii=False)


def _corrupted(row: Row, evidence: Evidence) -> tuple[dict[str, bool], Row | None]:
    """The first corruption that a row allows, whether its check noticed it, and the negative that it gives."""
    first = int(row.id[8:], 16) % len(_COMMON)
    for check in (*_RARE, *_COMMON[first:], *_COMMON[:first]):
        if CORRUPTIONS[check](row, evidence) in (None, row.output):
            continue
        negative, noticed = broken(row, evidence, check)
        if negative is not None or not noticed:
            return {check: noticed}, negative
    return {}, None


def _collected(checked: list[Path], report: FalsifyReport) -> Iterator[str]:
    """Count the results of parts; yield the negatives."""
    for line in lines_of(checked):
        entry = json.loads(line)
        for name, reason in entry["results"].items():
            report.outcomes[name].add(1, bool(reason))
            if reason:
                report.failing.append({**entry["row"], "check": name, "reason": reason})
        for name, noticed in entry["corrupted"].items():
            report.outcomes[name].corrupted += 1
            report.outcomes[name].noticed += noticed
        if "negative" in entry:
            report.negatives += 1
            yield entry["negative"]


def _failure(row: Row | None, identity: str, check: str, reason: str) -> dict[str, Any]:
    return {**(_named(row) if row else {"id": identity}), "check": check, "reason": reason}


def _named(row: Row) -> dict[str, Any]:
    """What a person needs to find a row."""
    return {
        "id": row.id, "task": row.task, "path": row.path, "line": row.line, "name": row.name,
        "output": row.output[:200],
    }  # fmt: skip
