"""Chat by a model in this process: the prompt's tokens, and decoding up to a stop text or a loop."""

from __future__ import annotations

import codecs
from abc import abstractmethod
from collections.abc import Callable, Generator, Sequence

import numpy
from numpy.typing import NDArray

from kexpert.abilities import Cancelled, Chat, Failed, Token
from kexpert.model.chat_frame import Frame
from kexpert.model.decoding.answer_filter import AnswerFilter
from kexpert.model.decoding.decoder import Logits, log_sum_exp
from kexpert.model.decoding.token_healing import TokenHealing
from kexpert.model.engines.in_process_model import InProcessModel
from kexpert.prompt.chat import Message
from kexpert.prompt.sampling import NUCLEUS, TEMPERATURE

#: Default of the longest context in tokens. Models are made for more, but its cache takes memory.
DEFAULT_CHAT_CONTEXT = 4096
#: A prompt that leaves fewer tokens for the answer is refused, unless fewer are asked for.
_MIN_ANSWER_TOKENS = 32
#: Share of the best token's probability above which tokens are sorted first, before one is drawn.
_LIKELY = 1e-3


class InProcessChat(InProcessModel, Chat):
    """Prompt and decoding. A subclass's constructor also sets ``name`` and ``adapter``."""

    @abstractmethod
    def _frame(self, messages: Sequence[Message]) -> Frame:
        """The tokens and texts of messages, up to the beginning of the answer."""

    def answer(
        self,
        messages: Sequence[Message],
        max_tokens: int,
        cancelled: Callable[[], bool],
        beginning: str = "",
        stop: Sequence[str] = (),
        seed: int = 0,
    ) -> Generator[Token, None, None]:
        """See ``Chat.answer``. The token that ends an answer has the text that was held back, mostly "".

        An answer that loops, or is cut at ``max_tokens``, ends without a token that is ``last``.
        """
        ids, tail = self._prompt(messages, beginning)
        room = self.context - len(ids)
        if room < min(max_tokens, _MIN_ANSWER_TOKENS):
            raise Failed(
                f"the prompt has {len(ids)} tokens, which leaves {max(room, 0)} of {self.context} for the answer: "
                "raise chat.context, or ask about less"
            )
        healing = TokenHealing(self.vocabulary, tail)
        utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        filtered = AnswerFilter(stop)
        draws = numpy.random.default_rng(seed) if seed else None
        token, logprob = None, 0.0
        for _ in range(min(max_tokens, room)):
            if cancelled():
                raise Cancelled
            logits = self._evaluate(ids, cancelled) if token is None else self._advance(token)
            token, logprob = _chosen(logits, healing.allowed(), draws)
            piece = self.vocabulary.pieces[token]
            if not piece:
                held = filtered.add(utf8.decode(b"", final=True)) + filtered.flush()
                yield Token(held, logprob, last=filtered.end != "loop")
                return
            text = filtered.add(utf8.decode(healing.accept(piece)))
            if text or filtered.end:
                yield Token(text, logprob, last=filtered.end == "stop")
            if filtered.end:
                return
        if held := filtered.flush():
            yield Token(held, logprob)

    def _prompt(self, messages: Sequence[Message], beginning: str) -> tuple[list[int], bytes]:
        """The ids of the prompt, and the blanks at the end of ``beginning``, which the first token must repeat: with
        the word after them they are one token."""
        head = beginning.rstrip(" \t")
        ids: list[int] = []
        text = ""
        for piece in [*self._frame(messages), head]:
            if isinstance(piece, str):
                text += piece
                continue
            ids += [*self.encode(text), piece]
            text = ""
        return [*ids, *self.encode(text)], beginning[len(head) :].encode()


def _chosen(
    logits: Logits, allowed: NDArray[numpy.intp] | None, draws: numpy.random.Generator | None
) -> tuple[int, float]:
    """The most probable token of those that are allowed, or one that is drawn, and its log-probability."""
    if allowed is not None and len(allowed):
        logits = logits[allowed]
    at = int(logits.argmax()) if draws is None else _drawn(logits, draws)
    token = int(allowed[at]) if allowed is not None and len(allowed) else at
    return token, float(logits[at]) - log_sum_exp(logits)


def _drawn(logits: Logits, draws: numpy.random.Generator) -> int:
    """An index drawn from the nucleus: the likeliest ones, until their probabilities reach ``NUCLEUS``."""
    scaled = numpy.exp((logits.astype(numpy.float64) - float(logits.max())) / TEMPERATURE)
    total = scaled.sum()
    likely = numpy.flatnonzero(scaled > _LIKELY)  # to sort a whole vocabulary takes half as long as a token
    if scaled[likely].sum() < NUCLEUS * total:
        likely = numpy.arange(len(scaled))
    order = likely[numpy.argsort(-scaled[likely], kind="stable")]
    reached = numpy.cumsum(scaled[order] / total)
    size = int(numpy.searchsorted(reached, NUCLEUS)) + 1
    return int(order[min(int(numpy.searchsorted(reached, draws.random() * reached[:size][-1])), size - 1)])
