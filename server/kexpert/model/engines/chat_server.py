"""A chat model on a server with OpenAI's ``/v1/chat/completions``: vLLM, Ollama, llama-server, and others."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from typing import Any

from kexpert.abilities import Chat, Refused, Token
from kexpert.model.decoding.answer_filter import AnswerFilter
from kexpert.model.engines.server_connection import ServerConnection, StatusError, entry
from kexpert.prompt.chat import Message
from kexpert.prompt.sampling import NUCLEUS, TEMPERATURE

#: Timeout of connecting and of each read. A server that loads a large model first is silent for a while.
_TIMEOUT_SECONDS = 90.0
#: Maximum time of one answer.
_MAX_ANSWER_SECONDS = 300.0
_READY_TIMEOUT_SECONDS = 5.0
#: Context in tokens if the settings name none.
_DEFAULT_CONTEXT = 8192
#: A longer answer is cut: the server does not keep to ``max_tokens``.
_MAX_CHARACTERS_A_TOKEN = 24
#: OpenAI's interface takes no more; all of them are looked for here.
_MAX_STOP_TEXTS = 4


class ChatServer(Chat):
    """A newer request closes the connection of the one before, which most servers take as a cancellation.

    ``key_variable`` names the environment variable with the key. Raises Refused for a URL that cannot be used.
    """

    def __init__(self, url: str, name: str, key_variable: str, context: int = 0) -> None:
        self._connection = ServerConnection(url, "chat.url", key_variable)
        self.context = context or _DEFAULT_CONTEXT
        self.name, self.adapter = name or self._connection.host, ""
        self._model = name  # asked for; "" for the server's only one, or its first
        self._newest = 0

    def ready(self, cancelled: Callable[[], bool]) -> None:
        """Reach the server, and take its first model if the settings name none. Raises Refused, Failed or Cancelled."""
        try:
            listed = self._connection.get("/v1/models", cancelled, _READY_TIMEOUT_SECONDS)
        except StatusError as problem:
            raise Refused(str(problem)) from None  # the key
        models = entry(listed, "data")
        first = entry(models[0], "id") if isinstance(models, list) and models else None
        if not self._model and isinstance(first, str):
            self._model = self.name = first

    def close(self) -> None:
        """Cancel the current request."""
        self._newest += 1

    def answer(
        self,
        messages: Sequence[Message],
        max_tokens: int,
        cancelled: Callable[[], bool],
        beginning: str = "",
        stop: Sequence[str] = (),
        seed: int = 0,
    ) -> Generator[Token, None, None]:
        """See ``Chat.answer``. The model does not see ``beginning``: it is removed if the answer repeats it."""
        self._newest += 1
        number = self._newest
        body: dict[str, Any] = {
            "messages": [{"role": message.role, "content": message.text} for message in messages],
            "max_tokens": max_tokens, "temperature": 0, "stream": True,
        }  # fmt: skip
        body |= {"temperature": TEMPERATURE, "top_p": NUCLEUS, "seed": seed} if seed else {}
        body |= {"stop": list(stop[:_MAX_STOP_TEXTS])} if stop else {}
        body |= {"model": self._model} if self._model else {}
        filtered, start = AnswerFilter(stop), _Beginning(beginning)
        room = max_tokens * _MAX_CHARACTERS_A_TOKEN
        for event in self._connection.events(
            "/v1/chat/completions", body, lambda: self._newest != number or cancelled(), _TIMEOUT_SECONDS,
            _MAX_ANSWER_SECONDS,
        ):  # fmt: skip
            text, is_end = _read(event)
            room -= len(text)
            text = filtered.add(start.strip(text[: room + len(text)] if room < 0 else text))
            if is_end:
                text += filtered.add(start.flush()) + filtered.flush()
            if text or is_end or filtered.end:
                yield Token(text, math.nan, last=filtered.end == "stop" or (is_end and not filtered.end))
            if is_end or filtered.end or room < 0:
                return
        if held := filtered.add(start.flush()) + filtered.flush():
            yield Token(held, math.nan)


class _Beginning:
    """Removes a text, and white space before it, from the beginning of an answer."""

    def __init__(self, text: str) -> None:
        self._wanted = text.strip()
        self._held = ""

    def strip(self, text: str) -> str:
        """Take a piece of the answer. Returns what is certain not to be a part of the beginning."""
        if not self._wanted:
            return text
        self._held += text
        seen = self._held.lstrip()
        if self._wanted.startswith(seen) and seen != self._wanted:
            return ""
        return self.flush()

    def flush(self) -> str:
        """What is held, without the beginning."""
        seen, held = self._held.lstrip(), self._held
        if self._wanted and seen.startswith(self._wanted):
            held = seen[len(self._wanted) :]
        self._wanted = self._held = ""
        return held


def _read(event: Any) -> tuple[str, bool]:
    """(text, whether the answer ended by itself)

    ``{"choices": [{"delta": {"content": "…"}, "finish_reason": null}]}``; "message" for "delta" without streaming.
    """
    choices = entry(event, "choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    text = entry(entry(choice, "delta") or entry(choice, "message"), "content")
    return text if isinstance(text, str) else "", entry(choice, "finish_reason") == "stop"
