"""The interface of a language model, as features use it.

A model has separate abilities, and its manifest names them. ``Completer`` fills holes in code, ``Chat`` answers
messages. The implementations are in ``model.engines``; ``model.engine`` chooses one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from kexpert.prompt.chat import Message
from kexpert.prompt.fim import Context


class Refused(Exception):
    """A model cannot be used; the message says why in one line. Asking again does not help."""


class Failed(Exception):
    """One request failed (a worker died, a server did not answer); the next may succeed."""


class Cancelled(Exception):
    """Nobody waits for the answer any more."""


TokenOrigin = Literal["model", "copied"]


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of generated text. ``logprob`` is its natural log-probability, NaN where unknown."""

    text: str
    logprob: float
    #: The model ended its answer; no token follows.
    last: bool = False
    #: "copied" for a line of a neighbour that the model did not write, "model" for all else.
    origin: TokenOrigin = "model"


class Proximity(IntEnum):
    """How near to the cursor a text is; nearer texts are copied more readily."""

    FUNCTION = 0  # the function that holds the cursor
    FILE = 1
    FOLDER = 2
    TREE = 3


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A text that may be copied from. ``key`` identifies the text."""

    key: str
    proximity: Proximity
    text: str


@dataclass(frozen=True, slots=True)
class Neighbours:
    """More text than a prompt holds, the hole itself left out.

    ``before`` and ``after`` are the cursor's function around the hole; ``texts`` are the rest of the file
    and related files, nearest first.
    """

    before: str = ""
    after: str = ""
    texts: tuple[Neighbour, ...] = ()


NO_NEIGHBOURS = Neighbours()


class Completer(ABC):
    """A model that fills holes. It answers one request at a time; a newer request ends an older one."""

    #: Tokens that prompt and answer may have together; 0 while unknown.
    context: int

    @abstractmethod
    def stream(
        self, context: Context, max_tokens: int, cancelled: Callable[[], bool], neighbours: Neighbours = NO_NEIGHBOURS
    ) -> Generator[Token, None, None]:
        """Generate at most ``max_tokens`` tokens for the hole. Close the generator to stop early.

        Text in ``neighbours`` becomes more probable, and whole lines may be copied from it, where the engine supports
        that. Raises Refused, Failed or Cancelled.
        """

    @abstractmethod
    def ready(self, cancelled: Callable[[], bool]) -> None:
        """Load the model, or reach its server. Raises Refused, Failed or Cancelled."""

    @abstractmethod
    def close(self) -> None:
        """End the model's process or connection."""


class Chat(ABC):
    """A model that answers messages. It answers one request at a time; a newer request ends an older one."""

    #: Tokens that messages and answer may have together; 0 while unknown.
    context: int
    #: Names for the mark on what the model wrote: "smollm2-135m", and of its adapter, "" for none.
    name: str
    adapter: str

    @abstractmethod
    def answer(
        self,
        messages: Sequence[Message],
        max_tokens: int,
        cancelled: Callable[[], bool],
        beginning: str = "",
        stop: Sequence[str] = (),
        seed: int = 0,
    ) -> Generator[Token, None, None]:
        """Generate at most ``max_tokens`` tokens of an answer. Close the generator to stop early.

        ``beginning`` is a text that the answer starts with; it is not repeated. The answer ends before the first of
        the texts in ``stop``. With ``seed`` 0 the likeliest token is taken each time; with another one tokens are
        drawn (``prompt.sampling``). Raises Refused, Failed or Cancelled.
        """

    @abstractmethod
    def ready(self, cancelled: Callable[[], bool]) -> None:
        """Load the model, or reach its server. Raises Refused, Failed or Cancelled."""

    @abstractmethod
    def close(self) -> None:
        """End the model's process or connection."""
