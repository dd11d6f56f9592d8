"""Progress of long work, as an editor's bar or a terminal shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """A step of long work; ``done`` and ``total`` count files, or what ``unit`` names."""

    title: str
    done: int
    total: int
    message: str = ""
    finished: bool = False
    unit: str = "files"


OnProgress = Callable[[Progress], None]


def ignore_progress(_: Progress) -> None:
    """An ``OnProgress`` that shows nothing."""
