"""Progress of long work on standard error: a bar in a terminal, otherwise a line every ten seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

_LINE_SECONDS = 10.0


class Advance(Protocol):
    """Count ``by`` more items as done; ``message`` is shown beside them, ``total`` replaces the total."""

    def __call__(self, by: int = 1, message: str = "", total: int | None = None) -> None: ...


def say(message: str) -> None:
    """Print a message as one line on standard error."""
    print("kexpert-train:", " ".join(message.split()), file=sys.stderr)


@contextmanager
def progress(title: str, total: int) -> Iterator[Advance]:
    """Show progress while the block runs; call the given function as work gets done."""
    if not sys.stderr.isatty():
        yield _lines(title, total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[message]}"),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total, message="")

        def advance(by: int = 1, message: str = "", total: int | None = None) -> None:
            bar.update(task, advance=by, message=message, total=total)

        yield advance


def _lines(title: str, total: int) -> Advance:
    done, began = 0, time.monotonic()
    last, expected = began, total

    def advance(by: int = 1, message: str = "", total: int | None = None) -> None:
        nonlocal done, last, expected
        done, expected = done + by, total or expected
        now = time.monotonic()
        if now - last >= _LINE_SECONDS:
            last = now
            left = (expected - done) * (now - began) / max(done, 1)
            text = f"{title}: {done:,} of {expected:,}, {left:.0f} s left {message}"
            print(text.rstrip(), file=sys.stderr, flush=True)

    return advance
