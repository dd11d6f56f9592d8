"""Long work as a terminal shows it: a bar, or a line now and then in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_LINE_SECONDS = 10.0


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[..., None]]:
    """Give ``advance(by=1, message="", total=None)``; everything goes to standard error."""
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
        yield lambda by=1, message="", total=None: bar.update(task, advance=by, message=message, total=total)


def _lines(title: str, total: int) -> Callable[..., None]:
    done, began = 0, time.monotonic()
    last = began

    def advance(by: int = 1, message: str = "", of: int | None = None) -> None:
        nonlocal done, last, total
        done, total = done + by, of or total
        now = time.monotonic()
        if now - last >= _LINE_SECONDS:
            last = now
            left = (total - done) * (now - began) / max(done, 1)
            print(f"{title}: {done:,} of {total:,}, {left:.0f} s left {message}".rstrip(), file=sys.stderr, flush=True)

    return advance
