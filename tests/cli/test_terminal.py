"""Long work as a log shows it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from kexpert.cli import terminal


@dataclass
class Step:
    title: str
    done: int
    total: int = 100
    message: str = ""
    finished: bool = False
    unit: str = "files"


def test_rate_and_time_left_are_those_of_the_running_phase(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second part of the work begins with files that were done before it."""
    seconds = iter((0.0, 1.0, 9.0, 20.0, 30.0))  # at the beginning, and at each step
    monkeypatch.setattr(terminal.time, "monotonic", lambda: next(seconds))
    with terminal.progress_bar() as show:
        for step in (Step("Reading", 0), Step("Reading", 80), Step("Writing", 60), Step("Writing", 80)):
            show(step)
    assert capsys.readouterr().err.splitlines() == [
        "Reading: 80 of 100 files, 10 files/s, 2 s left",
        "Writing: 80 of 100 files, 2 files/s, 10 s left",
    ]
