"""A real ``kexpert serve`` or other command whose chat model is scripted: ``python -m tests.support.scripted_server
SCRIPT ARGUMENT…``.

``SCRIPT`` is JSON: ``answers`` by task; ``lines`` of kernel-doc by mark;
``stalls``: every answer waits until it is cancelled; ``fails``: the reason why
every answer fails; ``none``: there is no model. ``asked``: a file that gets a line for each question.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

from kexpert.abilities import Failed, Token
from kexpert.prompt.chat import Message, Task
from tests.support.scripted_chat import ScriptedChat, task_of

SCRIPT: dict[str, Any] = {}


class ScriptedSession(ScriptedChat):
    """In the place of ``workspace.chat.ChatSession``."""

    def __init__(self, listener: object) -> None:
        answers = {Task(task): text for task, text in SCRIPT.get("answers", {}).items()}
        super().__init__(answers, lines=SCRIPT.get("lines", {}))
        self._model = self.known
        if SCRIPT.get("stalls"):
            self.gate = threading.Event()
        if reason := SCRIPT.get("fails"):
            self.problem = Failed(reason)

    def configure(self, settings: Any) -> None:
        self.known = None if SCRIPT.get("none") or not settings.chat_enabled else self._model

    def answer(self, messages: Sequence[Message], *args: Any, **named: Any) -> Generator[Token, None, None]:
        if file := SCRIPT.get("asked"):
            with Path(file).open("a") as out:
                print(task_of(messages).value, file=out)
        return super().answer(messages, *args, **named)

    def close(self) -> None: ...


def command(script: dict[str, Any], *arguments: str) -> list[str]:
    return [sys.executable, "-m", "tests.support.scripted_server", json.dumps(script), *arguments]


if __name__ == "__main__":
    from kexpert.workspace import chat

    SCRIPT.update(json.loads(sys.argv[1]))
    chat.ChatSession = ScriptedSession  # type: ignore[assignment,misc]
    from kexpert.__main__ import main

    sys.exit(main(sys.argv[2:]))
