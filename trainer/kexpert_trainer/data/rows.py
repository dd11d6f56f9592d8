"""One row of a chat corpus: what is asked, the answer, and where both come from. Stored as JSON lines."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from kexpert.prompt.chat import (
    SMALL,
    Budget,
    Message,
    Task,
    answer_prompt,
    explanation_prompt,
    kernel_doc_prompt,
    summary_prompt,
)

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """A question and its answer. Which of the inputs are used depends on the task."""

    id: str
    task: Task
    output: str
    #: Provenance. Lines are 1-based; ``tree`` is a name and a version.
    path: str
    line: int
    end_line: int = 0
    tree: str = ""
    licence: str = ""
    #: The symbol: its name, its kind in lower case ("function", "macro", "struct"), its text with the comments inside.
    name: str = ""
    kind: str = ""
    code: str = ""
    #: (name, brief) of documented functions nearby, or (parameter, text) for the task kernel-doc
    neighbours: tuple[Pair, ...] = ()
    facts: tuple[str, ...] = ()
    question: str = ""
    sources: tuple[Pair, ...] = ()  # (path:line, text)
    quality: float = 1.0  # 0 to 1
    #: A wrong answer, and the check that it fails. For preference training.
    rejected: str = ""
    broken: str = ""
    #: Anything that a stage adds about the row.
    notes: dict[str, Any] = field(default_factory=dict)

    def messages(self, budget: Budget = SMALL) -> list[Message]:
        """The prompt, by the functions that serving uses."""
        if self.task is Task.SUMMARY:
            return summary_prompt(self.path, self.code, self.neighbours, budget)
        if self.task is Task.KERNEL_DOC:
            return kernel_doc_prompt(self.path, self.code, self.neighbours, budget)
        if self.task is Task.EXPLANATION:
            return explanation_prompt(self.path, self.code, self.facts, budget)
        return answer_prompt(self.question, self.sources, budget)


def row_id(tree: str, path: str, name: str, line: int, task: Task) -> str:
    """The id of a row: 16 hexadecimal digits that depend on where it comes from."""
    return hashlib.sha256(f"{tree}\0{path}\0{name}\0{line}\0{task}".encode("utf-8", "replace")).hexdigest()[:16]


def dump_row(row: Row) -> str:
    """A row as one line of JSON, without the entries that have their default."""
    defaults = _DEFAULTS
    values = ((key, getattr(row, key)) for key in _ENTRIES)
    entries = {key: value for key, value in values if key not in defaults or value != defaults[key]}
    return json.dumps(entries, ensure_ascii=False)


def parse_row(line: str) -> Row:
    """Raises ValueError or TypeError for a line that is no row."""
    found = json.loads(line)
    if not isinstance(found, dict):
        raise ValueError("not an object")
    found["task"] = Task(found.get("task", ""))
    for key in ("neighbours", "sources"):
        found[key] = tuple((str(first), str(second)) for first, second in found.get(key, ()))
    found["facts"] = tuple(found.get("facts", ()))
    return Row(**found)


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a file of JSON lines. Raises OSError, ValueError, TypeError."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield parse_row(line)


def write_rows(path: Path, rows: Iterable[Row]) -> int:
    """Write rows as JSON lines, through a temporary file beside it. Returns their number."""
    part = path.with_name(path.name + ".part")
    count = 0
    with part.open("w", encoding="utf-8", errors="backslashreplace") as out:
        for row in rows:
            out.write(dump_row(row) + "\n")
            count += 1
    part.replace(path)
    return count


_ENTRIES = tuple(entry.name for entry in fields(Row))
_DEFAULTS: dict[str, Any] = asdict(Row("", Task.SUMMARY, "", "", 0))
for _key in ("id", "task", "output", "path", "line"):
    del _DEFAULTS[_key]
