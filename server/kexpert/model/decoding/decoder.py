"""Greedy decoding under constraints: the next token of an answer, and its text.

Greedy, because a shown suggestion must not change by chance.
"""

from __future__ import annotations

import codecs
import math
from collections.abc import Callable, Generator, Sequence

import numpy as np
from numpy.typing import NDArray

from kexpert.abilities import Cancelled, Token
from kexpert.model.copying.cache_lm import CacheLM
from kexpert.model.decoding.token_healing import TokenHealing
from kexpert.model.decoding.vocabulary import Vocabulary

Logits = NDArray[np.float32]

#: Lower bound of probabilities whose logarithm is taken.
_MIN_PROBABILITY = 1e-12
_WHITE_SPACE = np.frombuffer(b" \t\n\r", np.uint8)


class Decoder:
    """The state of one answer. ``before``: the end of the text before the tail; ``tail``: see ``TokenHealing``."""

    def __init__(
        self, vocabulary: Vocabulary, tail: bytes, cache_lm: CacheLM | None = None, before: bytes = b""
    ) -> None:
        self._vocabulary = vocabulary
        self._cache_lm = cache_lm
        self._text = before
        self.healing = TokenHealing(vocabulary, tail)
        self._is_after_space = tail[-1:] in (b" ", b"\t")
        self._has_text = False  # more than white space was generated
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def choose(self, logits: Logits) -> tuple[int | None, float]:
        """The most probable allowed token, None for the end, and its log-probability among the allowed tokens."""
        allowed = self.healing.allowed()
        if allowed is not None:
            if not len(allowed):
                return None, 0.0
            logits = logits[allowed]
        probabilities = np.exp(logits - log_sum_exp(logits))
        if self._cache_lm:
            probabilities = self._cache_lm.mix(probabilities, allowed)
        probabilities = probabilities * self._constraints(allowed)
        at = int(probabilities.argmax())
        best = at if allowed is None else int(allowed[at])
        logprob = math.log(max(float(probabilities[at]), _MIN_PROBABILITY))
        return (best if self._vocabulary.pieces[best] else None), logprob

    def _constraints(self, allowed: NDArray[np.int64] | None) -> NDArray[np.float64]:
        """A factor for each token's probability, 0 to forbid it; all 1 if every token would be forbidden."""
        factors = np.ones(len(self._vocabulary.pieces) if allowed is None else len(allowed))
        balanced = self._vocabulary.brackets.allowed_after(self._text)
        if balanced is not None:
            factors *= balanced if allowed is None else balanced[allowed]
        if not self._has_text:
            factors *= self._start_constraints(allowed)
        return factors if factors.any() else np.ones(len(factors))

    def _start_constraints(self, allowed: NDArray[np.int64] | None) -> NDArray[np.float64]:
        """Factors for the beginning of an answer: it is not empty, does not close a block, and does not add white space
        to white space."""
        first, factors = self.healing.first_new_bytes(allowed), self.healing.prior(allowed)
        factors[first == 0] = factors[first == ord("}")] = 0
        if self._is_after_space:
            factors[np.isin(first, _WHITE_SPACE)] = 0
        return factors

    def accept(self, token: int) -> str:
        """Append a token to the answer. Returns its new text, which is "" while the tail is being rewritten."""
        if self._cache_lm:
            self._cache_lm.accept(token)
        piece = self._vocabulary.pieces[token]
        self._text += piece
        new = self.healing.accept(piece)
        self._has_text = self._has_text or bool(new.strip())
        return self._utf8.decode(new)

    def flush(self) -> str:
        """Replacement characters for an unfinished UTF-8 sequence at the end of the answer."""
        return self._utf8.decode(b"", final=True)


def decode(
    vocabulary: Vocabulary,
    before: str,
    tail: str,
    logits: Logits,
    advance: Callable[[int], Logits],
    cache_lm: CacheLM,
    max_tokens: int,
    cancelled: Callable[[], bool],
) -> Generator[Token, None, None]:
    """Generate at most ``max_tokens`` tokens. Raises Cancelled.

    ``before`` is the end of the text in the prompt; ``logits`` follow the prompt; ``advance`` appends a token to the
    model's context and returns the logits after it.
    """
    decoder = Decoder(vocabulary, tail.encode("utf-8", "replace"), cache_lm, before.encode("utf-8", "replace"))
    for _ in range(max_tokens):
        if cancelled():
            raise Cancelled
        token, logprob = decoder.choose(logits)
        if token is None:
            yield Token(decoder.flush(), logprob, last=True)
            return
        if text := decoder.accept(token):
            yield Token(text, logprob)
        logits = advance(token)


def score_tokens(
    vocabulary: Vocabulary,
    ids: Sequence[int],
    logits: Logits,
    advance: Callable[[int], Logits],
    cache_lm: CacheLM,
    cancelled: Callable[[], bool],
) -> tuple[float, int]:
    """(information content in bits, size in bytes) of the tokens that follow a prompt. Raises Cancelled."""
    bits = 0.0
    for token in ids:
        if cancelled():
            raise Cancelled
        mixture = cache_lm.mix(np.exp(logits - log_sum_exp(logits)), None)
        bits -= math.log2(max(float(mixture[token]), _MIN_PROBABILITY))
        cache_lm.accept(token)
        logits = advance(token)
    return bits, sum(len(vocabulary.pieces[token]) for token in ids)


def log_sum_exp(logits: Logits) -> float:
    """log(sum(exp(logits)))"""
    maximum = logits.max()
    return float(maximum) + float(np.log(np.exp(logits - maximum).sum()))
