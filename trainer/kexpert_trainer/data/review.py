"""A person marks rows in the terminal; the marks are kept beside the corpus, and ``publish`` obeys them."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from kexpert_trainer.data.rows import Row
from kexpert_trainer.errors import UserError

GOOD, BAD, UNSURE = "good", "bad", "unsure"
#: Key -> mark.
KEYS = {"g": GOOD, "b": BAD, "u": UNSURE}
_HELP = "g good, b bad (left out), u unsure, s skip, z undo, q quit"


def read_marks(path: Path) -> dict[str, str]:
    """Row id -> its last mark. Raises UserError for a file that is not one of marks."""
    marks: dict[str, str] = {}
    if not path.exists():
        return marks
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            entry = json.loads(line)
            identity, mark = str(entry["id"]), str(entry["mark"])
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{path}:{number}: not a mark; remove the line") from None
        if mark:
            marks[identity] = mark
        else:
            marks.pop(identity, None)
    return marks


def add_mark(path: Path, identity: str, mark: str) -> None:
    """Append a mark; "" takes the last one back. A line is written at once, so none is lost."""
    entry = {"id": identity, "mark": mark, "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    with path.open("a", encoding="utf-8") as out:
        out.write(json.dumps(entry) + "\n")


def to_review(rows: Iterable[Row], marks: Iterable[str], count: int, task: str = "") -> list[Row]:
    """Up to ``count`` rows without a mark, in an order that depends on their ids alone."""
    known = set(marks)
    wanted = (row for row in rows if row.id not in known and task in ("", row.task))
    return sorted(wanted, key=lambda row: hashlib.sha256(f"review {row.id}".encode()).hexdigest())[:count]


def review(rows: Sequence[Row], path: Path, ask: Callable[[str], str], show: Callable[[str], None]) -> dict[str, int]:
    """Show rows one after the other and keep what the person answers. Returns mark -> rows of this session.

    ``ask(prompt)`` returns the answer; it raises EOFError at the end of the input.
    """
    given: list[tuple[int, str]] = []
    at = 0
    while at < len(rows):
        show("\n".join(page(rows[at], at + 1, len(rows))))
        try:
            key = ask("[g b u s z q ?] ").strip().lower()[:1]
        except EOFError:
            break
        if key in KEYS:
            add_mark(path, rows[at].id, KEYS[key])
            given.append((at, KEYS[key]))
            at += 1
        elif key == "s":
            at += 1
        elif key == "z" and given:
            at, _ = given.pop()
            add_mark(path, rows[at].id, "")
        elif key == "q":
            break
        else:
            show(_HELP)
    return {mark: sum(mark == other for _, other in given) for mark in KEYS.values()}


def page(row: Row, number: int, total: int) -> Iterator[str]:
    """What is shown of a row: where it comes from, what the model would read, and the answer."""
    yield f"── {number} of {total}: {row.task}, {row.path}:{row.line}, quality {row.quality:.2f}, {row.id}"
    yield printable(row.messages()[-1].text)
    yield "── answer"
    yield printable(row.output)
    if row.rejected:
        yield f"── rejected ({row.broken})"
        yield printable(row.rejected)


def printable(text: str) -> str:
    """Text from a tree without characters that a terminal obeys."""
    return "".join(char if char.isprintable() or char in "\n\t" else "�" for char in text)
