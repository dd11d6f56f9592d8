"""What every model on this machine does alike: a prompt in, tokens out, with one sequence in its cache."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

from kexpert.core.prompt import Context, Order
from kexpert.model.engine import Refused, Token
from kexpert.model.fim import Markers, find_markers, fit
from kexpert.model.healing import Logits, Vocabulary, answer, bits_of

#: More is read by no model while somebody types.
MOST_CONTEXT = 8192
#: What an answer may take of a context that is smaller than both together.
FEWEST_PROMPT = 32


class LocalModel(ABC):
    """A model in memory; its maker sets ``vocabulary``, ``markers``, ``context`` (tokens) and ``_order``."""

    vocabulary: Vocabulary
    markers: Markers
    context: int
    _order: Order

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """The tokens of a text, in which no marker is read."""

    @abstractmethod
    def _evaluate(self, ids: Sequence[int], cancelled: Callable[[], bool]) -> Logits:
        """Logits behind ``ids``. What the cache holds of their beginning is not worked out again."""

    @abstractmethod
    def _advance(self, token: int) -> Logits:
        """Logits behind one more token."""

    def stream(self, context: Context, most: int, cancelled: Callable[[], bool]) -> Generator[Token, None, None]:
        """See ``Engine.stream``."""
        most = min(most, self.context - FEWEST_PROMPT)
        ids, tail = fit(context, self._order, self.encode, self.markers, self.context - most)
        yield from answer(self.vocabulary, tail, self._evaluate(ids, cancelled), self._advance, most, cancelled)

    def score(self, context: Context, middle: str, cancelled: Callable[[], bool]) -> tuple[float, int]:
        """(bits, bytes) of a middle that is known, with what the prompt's end makes the model repeat."""
        ids, tail = fit(context, self._order, self.encode, self.markers, self.context // 2)
        following = self.encode(tail + middle)[: self.context - len(ids)]
        return bits_of(self.vocabulary, following, self._evaluate(ids, cancelled), self._advance, cancelled)


def markers_among(texts: Sequence[str], path: Path) -> Markers:
    """The markers that a vocabulary holds. Raises Refused where a hole cannot be marked."""
    ids = {text: at for at, text in enumerate(texts)}
    markers = find_markers(ids.get)
    if markers is None:
        raise Refused(f"{path}: its vocabulary has no markers for a hole (FIM); it cannot complete in the middle")
    return markers
