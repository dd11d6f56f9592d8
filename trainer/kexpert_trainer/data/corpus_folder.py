"""The files of a folder that holds a chat corpus, and the records that the stages leave there.

    mined.jsonl      rows as the tree gives them               mined.json
    curated.jsonl    rows that passed the gates                curated.json
    dropped.jsonl    the others: id, gate, reason
    falsified.json   results of the checks; failing.jsonl the rows that fail one, negatives.jsonl broken copies
    marks.jsonl      what a person said about rows
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kexpert_trainer.data.rows import Row, parse_row
from kexpert_trainer.errors import UserError


@dataclass(frozen=True, slots=True)
class CorpusFolder:
    """Paths inside one folder."""

    folder: Path

    @property
    def mined(self) -> Path:
        return self.folder / "mined.jsonl"

    @property
    def curated(self) -> Path:
        return self.folder / "curated.jsonl"

    @property
    def dropped(self) -> Path:
        return self.folder / "dropped.jsonl"

    @property
    def failing(self) -> Path:
        return self.folder / "failing.jsonl"

    @property
    def negatives(self) -> Path:
        return self.folder / "negatives.jsonl"

    @property
    def marks(self) -> Path:
        return self.folder / "marks.jsonl"

    def parts(self, stage: str) -> Path:
        """The folder of a stage's unfinished parts."""
        return self.folder / f"{stage}-parts"

    def record(self, stage: str) -> dict[str, Any]:
        """What ``write_record`` left; {} if there is nothing that can be read."""
        try:
            found = json.loads((self.folder / f"{stage}.json").read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def write_record(self, stage: str, record: dict[str, Any]) -> None:
        path = self.folder / f"{stage}.json"
        part = path.with_suffix(".json.part")
        part.write_text(json.dumps(record, indent=2) + "\n")
        part.replace(path)


def read_corpus(path: Path, command: str) -> Iterator[Row]:
    """Yield the rows of a file. Raises UserError that names the command which makes it, or the line that is broken."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; make it with kexpert-train {command}")
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield parse_row(line)
            except (ValueError, TypeError) as problem:
                message = f"{path}:{number}: not a row ({problem}); make the file again with kexpert-train {command}"
                raise UserError(message) from None


def digest(path: Path) -> str:
    """SHA-256 of a file. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
