"""What a workspace says on its own account: log lines, messages for the user, progress of indexing."""

from __future__ import annotations

from collections.abc import Callable
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


class MessageListener:
    """A listener for one command: warnings and errors are shown, each once; the rest is not said."""

    def __init__(self, on_message: Callable[[str], None]) -> None:
        self._on_message = on_message
        self._shown: set[str] = set()

    def log(self, level: Level, text: str) -> None:
        if level in ("error", "warning"):
            self.show_once(level, text)

    def show_once(self, level: Level, text: str) -> None:
        if text not in self._shown:
            self._shown.add(text)
            self._on_message(text)

    def failure(self, what: str, problem: Exception) -> None:
        self.show_once("error", f"{what}: {problem}")

    def progress(self, progress: Progress) -> None: ...
