"""An answer by the chat model from the sources of a question, checked; the sources are there without it."""

from __future__ import annotations

import time
from collections.abc import Callable

from kexpert.abilities import Cancelled as WasCancelled
from kexpert.features.ask.ask import Answer
from kexpert.features.ask.model_answer import checked_answer, max_tokens, may_answer, messages
from kexpert.prompt.chat import CHAT_PROMPT_VERSION, Task
from kexpert.workspace.text_cache import key_of
from kexpert.workspace.voice import Unavailable, Voice

_MAX_SECONDS = 60.0


def with_model_answer(
    voice: Voice, found: Answer, cancelled: Callable[[], bool], most_tokens: int | None = None
) -> Answer:
    """The answer of the model, where facts give none and it says something that the sources bear out.

    ``most_tokens``: fewer than the model's own bound, if given. Raises ``abilities.Cancelled``.
    """
    model = voice.model()
    if model is None or found.origin == "facts" or not found.sources or not may_answer(model.tasks, model.budget):
        return found
    prompt = messages(found, model.budget)
    limit = max_tokens(model.budget)
    shorter = () if most_tokens is None or most_tokens >= limit else (f"in {most_tokens} tokens",)
    limit = most_tokens if shorter and most_tokens is not None else limit
    key = key_of(Task.ANSWER, str(CHAT_PROMPT_VERSION), model.identity, *(message.text for message in prompt), *shorter)
    text = voice.texts.get(key)
    if text is None:
        end = time.monotonic() + _MAX_SECONDS
        try:
            text, _ = voice.answer(prompt, limit, lambda: cancelled() or time.monotonic() > end)
        except Unavailable:
            return found
        except WasCancelled:
            if cancelled():
                raise
            return found
        voice.texts.put(key, text)
    return checked_answer(found, text, model.name, model.adapter)
