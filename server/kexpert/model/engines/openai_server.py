"""A model on a server: llama-server through ``/infill``, any other through OpenAI's ``/v1/completions``.

The server tokenizes, so there is no token healing here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from typing import Any

from kexpert.abilities import NO_NEIGHBOURS, Completer, Neighbours, Token
from kexpert.model.engines.server_connection import ServerConnection, entry
from kexpert.model.types import Api
from kexpert.prompt.fim import Context

#: Timeout of connecting and of each read, for completions and for ``probe``.
_TIMEOUT_SECONDS = 30.0
_PROBE_TIMEOUT_SECONDS = 5.0
#: Maximum time of one answer.
_MAX_ANSWER_SECONDS = 120.0
#: Context in tokens if the settings name none.
_DEFAULT_CONTEXT = 2048
#: The environment variable with the API key.
KEY_VARIABLE = "KEXPERT_MODEL_KEY"


class OpenAIServer(Completer):
    """A newer request closes the connection of the one before, which most servers take as a cancellation.

    Ignores neighbours. Raises Refused for a URL that cannot be used.
    """

    def __init__(self, url: str, name: str, api: Api, context: int = 0) -> None:
        self._connection = ServerConnection(url, "model.url", KEY_VARIABLE)
        self.context = context or _DEFAULT_CONTEXT
        self._name = name
        self._api: Api = api
        self._newest = 0

    def stream(
        self, context: Context, max_tokens: int, cancelled: Callable[[], bool], neighbours: Neighbours = NO_NEIGHBOURS
    ) -> Generator[Token, None, None]:
        """See ``Completer.stream``."""
        self._newest += 1
        number = self._newest

        def obsolete() -> bool:
            return self._newest != number or cancelled()

        if self._api == "auto":
            self._api = self.probe(obsolete)
        if self._api == "infill":
            path, body, read = "/infill", _infill(context, max_tokens), _read_infill
        else:
            path, body, read = "/v1/completions", _completions(context, max_tokens, self._name), _read_completion
        for event in self._connection.events(path, body, obsolete, _TIMEOUT_SECONDS, _MAX_ANSWER_SECONDS):
            token = read(event)
            yield token
            if token.last:
                return

    def close(self) -> None:
        """Cancel the current request."""
        self._newest += 1

    def ready(self, cancelled: Callable[[], bool]) -> None:
        """Reach the server. Raises Failed or Cancelled."""
        self.probe(cancelled)

    def probe(self, cancelled: Callable[[], bool]) -> Api:
        """Find the server's API: llama-server describes itself at ``/props``. Raises Failed or Cancelled."""

        properties = self._connection.get("/props", cancelled, _PROBE_TIMEOUT_SECONDS)
        is_llama_server = isinstance(properties, dict) and "default_generation_settings" in properties
        return "infill" if is_llama_server else "completions"


def _infill(context: Context, max_tokens: int) -> dict[str, Any]:
    extra = [{"filename": excerpt.path, "text": excerpt.text} for excerpt in context.excerpts]
    return {
        "input_prefix": context.prefix, "input_suffix": context.suffix, "input_extra": extra, "prompt": "",
        "n_predict": max_tokens, "temperature": 0, "n_probs": 1, "stream": True, "cache_prompt": True,
    }  # fmt: skip


def _completions(context: Context, max_tokens: int, name: str) -> dict[str, Any]:
    excerpts = "".join(f"{excerpt.text.rstrip()}\n\n" for excerpt in context.excerpts)
    body = {
        "prompt": excerpts + context.prefix, "max_tokens": max_tokens, "temperature": 0, "logprobs": 1, "stream": True,
    }  # fmt: skip
    # No empty suffix: some servers refuse the parameter, and at the end of a file they are of use without it.
    return body | ({"suffix": context.suffix} if context.suffix else {}) | ({"model": name} if name else {})


def _read_infill(event: Any) -> Token:
    """``{"content": "…", "stop": false, "completion_probabilities": [{"logprob": -0.1}]}``"""
    text, stop = entry(event, "content"), entry(event, "stop")
    entries = entry(event, "completion_probabilities")
    logprobs = [entry(found, "logprob") for found in entries] if isinstance(entries, list) else []
    return Token(text if isinstance(text, str) else "", _mean(logprobs), stop is True)


def _read_completion(event: Any) -> Token:
    """``{"choices": [{"text": "…", "finish_reason": null, "logprobs": {"token_logprobs": [-0.1]}}]}``"""
    choices = entry(event, "choices")
    choice = choices[0] if isinstance(choices, list) and choices else {}
    text = entry(choice, "text")
    logprobs = entry(entry(choice, "logprobs"), "token_logprobs")
    last = entry(choice, "finish_reason") == "stop"
    return Token(text if isinstance(text, str) else "", _mean(logprobs if isinstance(logprobs, list) else []), last)


def _mean(logprobs: list[Any]) -> float:
    numbers = [number for number in logprobs if isinstance(number, (int, float))]
    return sum(numbers) / len(numbers) if numbers else math.nan
