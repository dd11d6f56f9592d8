"""Output that depends on a terminal: progress of long work (a bar, or lines in a log), and Markdown."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

_LINE_SECONDS = 5.0  # between two lines of a log


class Step(Protocol):
    """A step of long work, as ``kexpert.background.progress`` has it; ``done`` and ``total`` count ``unit``."""

    @property
    def title(self) -> str: ...
    @property
    def done(self) -> int: ...
    @property
    def total(self) -> int: ...
    @property
    def message(self) -> str: ...
    @property
    def finished(self) -> bool: ...
    @property
    def unit(self) -> str: ...


def print_markdown(text: str) -> None:
    """Print Markdown: formatted on a terminal, as it is elsewhere."""
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(text))
    else:
        print(text)


@contextmanager
def progress_bar() -> Iterator[Callable[[Step], None]]:
    """Yield a callback that shows steps on standard error."""
    if sys.stderr.isatty():
        with _bar() as show:
            yield show
    else:
        yield _Lines()


@contextmanager
def _bar() -> Iterator[Callable[[Step], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(TextColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.finished_speed or task.speed or 0:,.0f} {task.fields['unit']}/s")

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(""),
        TimeRemainingColumn(compact=True), TextColumn("{task.fields[message]}"),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Looking for changes", total=None, message="", unit="files")
        title = ""

        def show(step: Step) -> None:
            nonlocal title
            if step.title != title:
                title = step.title
                progress.reset(task)
            total = step.total or None
            progress.update(
                task, description=step.title, completed=step.done, total=total, message=step.message, unit=step.unit
            )

        yield show


class _Lines:
    """A line every few seconds, and one for each new message."""

    def __init__(self) -> None:
        self._began = self._last = time.monotonic()
        self._title = self._message = ""
        self._before = 0  # files that were done when this title was first shown

    def __call__(self, step: Step) -> None:
        now = time.monotonic()
        if step.title != self._title:
            self._title, self._began, self._last, self._before = step.title, now, now, step.done
        quiet = now - self._last < _LINE_SECONDS
        if step.finished or (quiet and (step.message == self._message or now - self._began < _LINE_SECONDS)):
            return
        self._last, self._message = now, step.message
        rate = (step.done - self._before) / max(now - self._began, 1e-9)
        left = f", {(step.total - step.done) / rate:.0f} s left" if rate else ""
        message = f", {step.message}" if step.message else ""
        line = f"{step.title}: {step.done:,} of {step.total:,} {step.unit}, {rate:,.0f} {step.unit}/s{left}{message}"
        print(line, file=sys.stderr, flush=True)
