"""A model that chats, in a process of its own: the parent's end. ``model_process`` describes the messages."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence

from kexpert.abilities import Chat, Token
from kexpert.model.engines.child_pipes import Message as ChildMessage
from kexpert.model.engines.model_process import ModelProcess
from kexpert.model.types import EngineChoice
from kexpert.prompt.chat import Message


class ChatProcess(ModelProcess, Chat):
    """A ``Chat`` in a child process."""

    def __init__(self, choice: EngineChoice, *, threads: int = 0, context: int = 0) -> None:
        super().__init__(choice, threads=threads, context=context)
        self.name, self.adapter = choice.model_name, choice.adapter_name

    def answer(
        self,
        messages: Sequence[Message],
        max_tokens: int,
        cancelled: Callable[[], bool],
        beginning: str = "",
        stop: Sequence[str] = (),
        seed: int = 0,
    ) -> Generator[Token, None, None]:
        """See ``Chat.answer``."""
        request: ChildMessage = {
            "messages": [[message.role, message.text] for message in messages],
            "max_tokens": max_tokens,
            "beginning": beginning,
            "stop": list(stop),
            "seed": seed,
        }
        with contextlib.closing(self._ask(lambda child: request, cancelled)) as replies:
            for reply in replies:
                if "text" in reply:
                    yield Token(reply["text"], reply["logprob"], reply["last"])
