"""A model that writes what a test wants, on a small tree."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from kexpert.abilities import NO_NEIGHBOURS, Completer, Neighbours, Token
from kexpert.core.c.source import Source
from kexpert.features.inline.suggest import InlineConfig, InlineState, Suggestion, suggest
from kexpert.prompt.fim import Context
from tests.support.memory_view import at_cursor

TREE = """\
//- include/linux/toy.h
struct toy {
	int turns;
	struct spring *spring;
};
struct spring {
	int force;
};
int toy_wind(struct toy *toy, int turns);
#define TOY_MAX 100
//- drivers/toy/user.c
#include <linux/toy.h>

static int helper(int a)
{
	return a;
}

"""


@dataclass
class ScriptedCompleter(Completer):
    """Answers every request with ``text``, a word a token, and keeps what it was asked."""

    text: str
    logprob: float = -0.1
    context: int = 1024
    #: False: the answer stops at the maximum of tokens instead of at its end.
    ends: bool = True
    contexts: list[Context] = field(default_factory=list)
    neighbours: list[Neighbours] = field(default_factory=list)
    #: Tokens that were taken of all answers.
    taken: int = 0

    def stream(
        self, context: Context, max_tokens: int, cancelled: Callable[[], bool], neighbours: Neighbours = NO_NEIGHBOURS
    ) -> Generator[Token, None, None]:
        self.contexts.append(context)
        self.neighbours.append(neighbours)
        for token in self.tokens():
            self.taken += 1
            yield token

    def tokens(self) -> list[Token]:
        words = self.text.replace(" ", "\0 ").replace("\n", "\0\n").split("\0")
        end = [Token("", self.logprob, last=True)] if self.ends else []
        return [Token(word, self.logprob) for word in words] + end

    def ready(self, cancelled: Callable[[], bool]) -> None: ...

    def close(self) -> None: ...


def suggested(
    code: str,
    completer: ScriptedCompleter | str,
    config: InlineConfig | None = None,
    state: InlineState | None = None,
) -> Suggestion | None:
    """The suggestion at the cursor of ``code``, which follows ``TREE``."""
    engine = ScriptedCompleter(completer) if isinstance(completer, str) else completer
    return suggest(*at_cursor(TREE + code), engine, config or InlineConfig(), state or InlineState())


def typed(source: Source, offset: int, letters: bytes) -> tuple[Source, int]:
    """The text and the cursor after the user typed something at ``offset``."""
    data = source.data[:offset] + letters + source.data[offset:]
    return Source(source.path, data), offset + len(letters)
