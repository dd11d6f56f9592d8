"""What every model on this machine does alike: a prompt in, tokens out, with one sequence in its cache."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

from kexpert.core.prompt import Context, Order
from kexpert.model.echo import Echo, Library
from kexpert.model.engine import ALONE, Neighbours, Refused, Token
from kexpert.model.fim import Markers, find_markers, fit
from kexpert.model.healing import Logits, Vocabulary, answer, bits_of

#: More is read by no model while somebody types.
MOST_CONTEXT = 8192
#: What an answer may take of a context that is smaller than both together.
FEWEST_PROMPT = 32
#: Characters before the cursor in which its statement begins.
_STATEMENT = 2000
#: Seconds that a question may spend on reading neighbours; the rest is read between questions.
_READING = 0.03


class LocalModel(ABC):
    """A model in memory; its maker sets ``vocabulary``, ``markers``, ``context`` (tokens) and ``_order``."""

    vocabulary: Vocabulary
    markers: Markers
    context: int
    _order: Order
    _library: Library | None = None

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """The tokens of a text, in which no marker is read."""

    @abstractmethod
    def _evaluate(self, ids: Sequence[int], cancelled: Callable[[], bool]) -> Logits:
        """Logits behind ``ids``. What the cache holds of their beginning is not worked out again."""

    @abstractmethod
    def _advance(self, token: int) -> Logits:
        """Logits behind one more token."""

    def stream(
        self, context: Context, most: int, cancelled: Callable[[], bool], near: Neighbours = ALONE
    ) -> Generator[Token, None, None]:
        """See ``Engine.stream``."""
        most = min(most, self.context - FEWEST_PROMPT)
        ids, tail = fit(context, self._order, self.encode, self.markers, self.context - most)
        echo = self._echo(context, near)
        logits = self._evaluate(ids, cancelled)
        before = context.prefix[: len(context.prefix) - len(tail)][-_STATEMENT:]
        yield from answer(self.vocabulary, before, tail, logits, self._advance, echo, most, cancelled)

    def score(
        self, context: Context, middle: str, cancelled: Callable[[], bool], near: Neighbours = ALONE
    ) -> tuple[float, int]:
        """(bits, bytes) of a middle that is known, with what the prompt's end makes the model repeat."""
        ids, tail = fit(context, self._order, self.encode, self.markers, self.context // 2)
        following = self.encode(tail + middle)[: self.context - len(ids)]
        echo = self._echo(context, near)
        return bits_of(self.vocabulary, following, self._evaluate(ids, cancelled), self._advance, echo, cancelled)

    def read(self, near: Neighbours, enough: Callable[[], bool]) -> bool:
        """Read neighbours, the nearest first, until it is ``enough``; whether all are read."""
        if self._library is None:
            self._library = Library(self.vocabulary.pieces, self.encode)
        self._library.want(near)
        return self._library.read(enough)

    def _echo(self, context: Context, near: Neighbours) -> Echo:
        until = time.monotonic() + _READING
        self.read(near, lambda: time.monotonic() > until)
        assert self._library is not None
        return self._library.echo(context.prefix)


def markers_among(texts: Sequence[str], path: Path) -> Markers:
    """The markers that a vocabulary holds. Raises Refused where a hole cannot be marked."""
    ids = {text: at for at, text in enumerate(texts)}
    markers = find_markers(ids.get)
    if markers is None:
        raise Refused(f"{path}: its vocabulary has no markers for a hole (FIM); it cannot complete in the middle")
    return markers
