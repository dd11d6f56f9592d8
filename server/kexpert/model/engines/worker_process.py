"""A model that completes, in a process of its own: the parent's end. ``model_process`` describes the messages."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from dataclasses import asdict

from kexpert.abilities import NO_NEIGHBOURS, Completer, Failed, Neighbours, Token
from kexpert.model.engines.child_pipes import Child, Message
from kexpert.model.engines.model_process import ModelProcess
from kexpert.prompt.fim import Context


class WorkerProcess(ModelProcess, Completer):
    """A ``Completer`` in a child process."""

    def stream(
        self, context: Context, max_tokens: int, cancelled: Callable[[], bool], neighbours: Neighbours = NO_NEIGHBOURS
    ) -> Generator[Token, None, None]:
        """See ``Completer.stream``."""
        request = {"context": asdict(context), "max_tokens": max_tokens}
        with contextlib.closing(self._fill(request, cancelled, neighbours)) as replies:
            for reply in replies:
                if "text" in reply:
                    yield Token(reply["text"], reply["logprob"], reply["last"], reply.get("origin", "model"))

    def read(self, neighbours: Neighbours, cancelled: Callable[[], bool]) -> None:
        """Wait until the child has ingested all neighbours; otherwise it does so between two requests.

        Raises Refused, Failed or Cancelled.
        """
        with contextlib.closing(self._fill({}, cancelled, neighbours)) as replies:
            for _ in replies:
                pass

    def score(
        self, context: Context, middle: str, cancelled: Callable[[], bool], neighbours: Neighbours = NO_NEIGHBOURS
    ) -> tuple[float, int]:
        """(information content in bits, size in bytes) of a known middle. Raises Refused, Failed or Cancelled."""
        request = {"context": asdict(context), "middle": middle}
        with contextlib.closing(self._fill(request, cancelled, neighbours)) as replies:
            for reply in replies:
                if "bits" in reply:
                    return reply["bits"], reply["bytes"]
        raise Failed("the model gave no score")

    def _fill(
        self, request: Message, cancelled: Callable[[], bool], neighbours: Neighbours
    ) -> Generator[Message, None, None]:
        return self._ask(lambda child: request | {"neighbours": _neighbours_message(child, neighbours)}, cancelled)


def _neighbours_message(child: Child, neighbours: Neighbours) -> Message:
    """Encode neighbours for the next request: without the texts that the child holds from the last one."""
    held, child.held = child.held, frozenset(text.key for text in neighbours.texts)
    texts = [[text.key, text.proximity, None if text.key in held else text.text] for text in neighbours.texts]
    return {"before": neighbours.before, "after": neighbours.after, "texts": texts}
