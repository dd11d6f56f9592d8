"""A chat model that writes what a test wants."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from kexpert.abilities import Cancelled, Token
from kexpert.prompt.chat import LARGE, Budget, Message, Task


@dataclass
class ScriptedModel:
    """What is known of the model before it is asked."""

    name: str = "parrot"
    adapter: str = ""
    identity: str = "parrot-1"
    tasks: tuple[str, ...] = ()
    budget: Budget = LARGE
    candidates: int = 1


@dataclass
class ScriptedChat:
    """Stands for a workspace's chat session. It answers each task with its text, a word a token.

    With ``gate`` each answer waits until the gate is open, or until it is cancelled.
    """

    answers: dict[Task, str] = field(default_factory=dict)
    known: ScriptedModel | None = field(default_factory=ScriptedModel)
    problem: Exception | None = None
    gate: threading.Event | None = None
    #: False: the answer stops at the maximum of tokens instead of at its end.
    ends: bool = True
    asked: list[Sequence[Message]] = field(default_factory=list)
    #: The answers to questions with a beginning, by the mark of its last line: {"@toy": "the toy to wind"}.
    lines: dict[str, str] = field(default_factory=dict)
    #: The answers to a task that are drawn with the seeds 1, 2, …
    drawn: dict[Task, Sequence[str]] = field(default_factory=dict)
    beginnings: list[str] = field(default_factory=list)

    def model(self) -> ScriptedModel | None:
        return self.known

    def reason(self) -> str:
        return "" if self.known else "no chat model: kexpert models add parrot"

    def configure(self, settings: object) -> None: ...

    def close(self) -> None: ...

    def answer(
        self,
        messages: Sequence[Message],
        max_tokens: int,
        cancelled: Callable[[], bool],
        beginning: str = "",
        stop: Sequence[str] = (),
        seed: int = 0,
        *,
        background: bool = False,
    ) -> Generator[Token, None, None]:
        self.asked.append(messages)
        while self.gate is not None and not self.gate.wait(0.01):
            if cancelled():
                raise Cancelled
        if self.problem is not None:
            raise self.problem
        answer = self.answers.get(task_of(messages), "")
        if seed:
            answer = self.drawn[task_of(messages)][seed - 1]
        if beginning:
            self.beginnings.append(beginning)
            answer = self.lines.get(beginning.rpartition("\n")[2].partition(":")[0], "")
        words = answer.replace(" ", "\0 ").replace("\n", "\0\n").split("\0")
        for word in words[:max_tokens]:
            if cancelled():
                raise Cancelled
            yield Token(word, -0.1)
        if self.ends and len(words) <= max_tokens:
            yield Token("", 0.0, last=True)


def task_of(messages: Sequence[Message]) -> Task:
    """The task of a prompt, by its first line."""
    first = messages[-1].text.partition("\n")[0]
    tasks = {"Summarize": Task.SUMMARY, "Explain": Task.EXPLANATION, "Describe": Task.KERNEL_DOC}
    return tasks.get(first.partition(" ")[0], Task.ANSWER)


class Quiet:
    """A listener that keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, level: str, text: str) -> None:
        self.lines.append(text)

    def show_once(self, level: str, text: str) -> None:
        self.lines.append(text)

    def failure(self, what: str, problem: Exception) -> None:
        self.lines.append(f"{what}: {problem}")

    def progress(self, progress: Any) -> None: ...
