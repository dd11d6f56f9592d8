"""The base of engines that hold the model in this process, with one sequence in its KV cache."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from kexpert.model.decoding.decoder import Logits
from kexpert.model.decoding.vocabulary import Vocabulary

#: Maximum context in tokens. A longer prompt takes too long to evaluate while somebody types.
MAX_CONTEXT = 8192
#: Tokens of the context that an answer leaves for the prompt.
MIN_PROMPT_TOKENS = 32


class InProcessModel(ABC):
    """A subclass's constructor loads the model and sets ``vocabulary`` and ``context``."""

    vocabulary: Vocabulary
    #: Tokens that prompt and answer may have together.
    context: int

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Tokenize a text. Markers in it are plain text."""

    @abstractmethod
    def _evaluate(self, ids: Sequence[int], cancelled: Callable[[], bool]) -> Logits:
        """The logits after ``ids``. Keeps the part of the KV cache that ``ids`` begins with. Raises Cancelled."""

    @abstractmethod
    def _advance(self, token: int) -> Logits:
        """Append one token to the sequence. Returns the logits after it."""

    def ready(self, cancelled: Callable[[], bool]) -> None:  # noqa: B027
        """Do nothing: the constructor has loaded the model."""

    def close(self) -> None:  # noqa: B027
        """Do nothing: the model is freed with its process."""


def common_prefix_length(one: Sequence[int], other: Sequence[int]) -> int:
    """How many ids two sequences have in common at their beginnings."""
    size = min(len(one), len(other))
    return next((at for at in range(size) if one[at] != other[at]), size)
