"""Publishes a chat corpus that passed its checks: ``kexpert-train publish``.

    data/train.parquet, validation.parquet, test.parquet   rows, as the ``datasets`` library reads them
    negatives/train.parquet                                wrong answers, for preference training
    train.jsonl, held-out.jsonl, negatives.jsonl           the same rows, as ``sft`` and ``prefer`` read them
    README.md                                              the card, written from the data
    dataset.json                                           counts and the SHA-256 of each file

Rows that fail a check, or that a person rejected, are left out. Negatives are made from rows for training alone.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kexpert.prompt.chat import CHAT_PROMPT_VERSION
from kexpert_trainer.data.corpus_folder import CorpusFolder, digest, read_corpus
from kexpert_trainer.data.falsify import LEAKAGE, MIN_SHARE
from kexpert_trainer.data.review import BAD, read_marks
from kexpert_trainer.data.row_parts import lines_of
from kexpert_trainer.data.rows import Row, write_rows
from kexpert_trainer.data.splits import SPLITS, split_rows
from kexpert_trainer.errors import UserError
from kexpert_trainer.progress import progress, say
from kexpert_trainer.release.dataset_card import card

#: Split -> file that ``sft`` reads. Nothing is trained or chosen on the test split.
_LINES = {"train": "train.jsonl", "validation": "held-out.jsonl"}
_RECORD = "dataset"
_OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "HF_DATASETS_DISABLE_PROGRESS_BARS")
#: What ``--push`` uploads, and nothing else.
PUBLISHED = ("README.md", "dataset.json", "data/*.parquet", "negatives/*.parquet")


@dataclass(frozen=True, slots=True)
class Published:
    """Rows of each split and task, and negatives."""

    rows: dict[str, dict[str, int]]
    negatives: int
    left_out: dict[str, int]  # reason -> rows

    def table(self) -> str:
        tasks = sorted({task for by_task in self.rows.values() for task in by_task})
        lines = ["| split | " + " | ".join([*tasks, "rows", "share"]) + " |", "|---" * (len(tasks) + 3) + "|"]
        total = sum(sum(by_task.values()) for by_task in self.rows.values())
        for split, by_task in self.rows.items():
            count = sum(by_task.values())
            cells = [f"{by_task.get(task, 0):,}" for task in tasks]
            lines.append(f"| {split} | {' | '.join(cells)} | {count:,} | {count / max(total, 1):.1%} |")
        left_out = ", ".join(f"{count:,} {reason}" for reason, count in self.left_out.items()) or "none"
        return "\n".join([*lines, "", f"Negatives: {self.negatives:,}. Left out: {left_out}."])


def publish(folder: CorpusFolder, out: Path) -> Published:
    """Write the data set. Raises UserError if the corpus was not checked, or is refused; OSError."""
    checked = accepted(folder)
    rows = list(read_corpus(folder.curated, "curate"))
    splits = split_rows(rows)
    left_out, counted = _left_out(folder, {row.id for row in rows})
    kept = [row for row in rows if row.id not in left_out]
    by_split = {split: [row for row in kept if splits[row.id] == split] for split in SPLITS}
    training = {row.id for row in by_split["train"]}
    negatives = [row for row in read_corpus(folder.negatives, "falsify") if row.id in training]
    if out.exists() and any(out.iterdir()) and not (out / f"{_RECORD}.json").exists():
        raise UserError(f"{out}: holds other files; give an empty folder with --out")
    out.mkdir(parents=True, exist_ok=True)
    CorpusFolder(out).write_record(_RECORD, {"unfinished": True})
    for name in ("data", "negatives"):
        shutil.rmtree(out / name, ignore_errors=True)
        (out / name).mkdir(parents=True)
    with progress("published", len(SPLITS) + 1) as advance:
        for split, own in by_split.items():
            _write_parquet(out / "data" / f"{split}.parquet", map(_entry, own))
            if split in _LINES:
                write_rows(out / _LINES[split], own)
            advance()
        _write_parquet(out / "negatives" / "train.parquet", map(_pair, negatives))
        write_rows(out / "negatives.jsonl", negatives)
        advance()
    counts = {split: dict(sorted(Counter(str(row.task) for row in own).items())) for split, own in by_split.items()}
    published = Published(counts, len(negatives), counted)
    (out / "README.md").write_text(card(by_split, published.table(), folder.record("mined"),
                                        folder.record("curated"), checked), encoding="utf-8")  # fmt: skip
    files = sorted(path for path in out.rglob("*") if path.suffix in (".parquet", ".jsonl", ".md"))
    record = {
        "prompt_version": CHAT_PROMPT_VERSION, "curated": checked["curated"], "rows": counts,
        "negatives": len(negatives), "left_out": counted,
        "sha256": {str(path.relative_to(out)): digest(path) for path in files},
    }  # fmt: skip
    CorpusFolder(out).write_record(_RECORD, record)
    return published


def accepted(folder: CorpusFolder) -> dict[str, Any]:
    """The record of ``falsify``. Raises UserError unless it is of these rows and every check has its share."""
    if not folder.curated.is_file():
        raise UserError(f"{folder.curated}: no such file; make it with kexpert-train curate")
    record = folder.record("falsified")
    if not record or record.get("curated") != digest(folder.curated):
        raise UserError(f"{folder.curated}: not checked since it was made; run kexpert-train falsify")
    if record["refused"]:
        raise UserError(
            f"{folder.folder}: refused, fewer than {MIN_SHARE:.0%} of the rows pass {', '.join(record['refused'])}; "
            f"see {folder.failing}"
        )
    return record


def _left_out(folder: CorpusFolder, known: set[str]) -> tuple[set[str], dict[str, int]]:
    """(ids of rows that are left out, reason -> rows)."""
    reasons: dict[str, str] = {}
    for line in lines_of([folder.failing]):
        entry = json.loads(line)
        reasons.setdefault(entry["id"], "leaking" if entry["check"] == LEAKAGE else f"failing {entry['check']}")
    for identity, mark in read_marks(folder.marks).items():
        if mark == BAD:
            reasons[identity] = "rejected by a person"
    found = {identity: reason for identity, reason in reasons.items() if identity in known}
    return set(found), dict(sorted(Counter(found.values()).items()))


def _entry(row: Row) -> dict[str, Any]:
    """A row as a record: prompt and completion as chat messages, then what they were made from."""
    return {
        "id": row.id, "task": str(row.task), "prompt": _messages(row), "completion": _answer(row.output),
        "name": row.name, "kind": row.kind, "code": row.code, "question": row.question,
        "neighbours": [{"name": name, "text": text} for name, text in row.neighbours],
        "sources": [{"name": name, "text": text} for name, text in row.sources],
        "tree": row.tree, "path": row.path, "line": row.line, "end_line": row.end_line, "licence": row.licence,
        "commit": str(row.notes.get("commit", "")), "quality": row.quality,
    }  # fmt: skip


def _pair(row: Row) -> dict[str, Any]:
    return {
        "id": row.id, "task": str(row.task), "prompt": _messages(row), "chosen": _answer(row.output),
        "rejected": _answer(row.rejected), "check": row.broken, "path": row.path, "line": row.line,
        "licence": row.licence,
    }  # fmt: skip


def _messages(row: Row) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.text} for message in row.messages()]


def _answer(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def _write_parquet(path: Path, entries: Iterable[dict[str, Any]]) -> None:
    _stay_offline()
    from datasets import Dataset

    found: Sequence[dict[str, Any]] = list(entries)
    if not found:
        say(f"{path.name}: no rows")
        return
    part = path.with_suffix(".part")
    Dataset.from_list(list(found)).to_parquet(str(part))
    part.replace(path)


def _stay_offline() -> None:
    """Set what the Hugging Face libraries read when they are imported: nothing leaves the machine."""
    for name in _OFFLINE:
        os.environ.setdefault(name, "1")
