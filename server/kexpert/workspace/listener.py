"""What a workspace says on its own account: log lines, messages for the user, progress of indexing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from kexpert.background.progress import Progress

Level = Literal["error", "warning", "info", "debug"]


class Listener(Protocol):
    """A front end's ear. Any thread may call it."""

    def log(self, level: Level, text: str) -> None:
        """A line for the log."""

    def show_once(self, level: Level, text: str) -> None:
        """A message for the user; the same text is shown once."""

    def failure(self, what: str, problem: Exception) -> None:
        """A defect: what failed, and the exception."""

    def progress(self, progress: Progress) -> None:
        """How far indexing has come."""
