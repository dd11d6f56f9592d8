"""Completion by a model in this process: prompt, copied lines and decoding."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from kexpert.abilities import NO_NEIGHBOURS, Cancelled, Completer, Neighbours, Refused, Token
from kexpert.model.copying.cache_lm import CacheLM
from kexpert.model.copying.line_features import TAB_COLUMNS, indent_of
from kexpert.model.copying.line_ranker import CopiedLine
from kexpert.model.copying.neighbour_index import NeighbourIndex
from kexpert.model.decoding.decoder import decode, score_tokens
from kexpert.model.engines.in_process_model import MIN_PROMPT_TOKENS, InProcessModel
from kexpert.model.fim_markers import FimMarkers, find_markers, fit_prompt
from kexpert.prompt.fim import Context, Order

#: Characters before the cursor in which its statement begins.
_STATEMENT_CHARACTERS = 2000
#: Seconds that one request may spend on ingesting neighbours. The rest is ingested between requests.
_INGEST_SECONDS = 0.03
#: Minimum probability for copying a line without running the model; also required of every further line.
_MIN_COPY_PROBABILITY = 1 / math.e
#: The model's line replaces a candidate copy only if it is more probable by this many nats. In 400 holes of Linux 6.1
#: the model was right as often as the copy with a margin of 1, and less often with 0.5.
_MODEL_MARGIN_NATS = 1.0


class InProcessEngine(InProcessModel, Completer):
    """Prompt, copied lines and decoding. A subclass's constructor also sets ``markers`` and ``_order``."""

    markers: FimMarkers
    _order: Order
    _neighbour_index: NeighbourIndex | None = None
    _pending_prompt: Sequence[int] = ()

    def stream(
        self, context: Context, max_tokens: int, cancelled: Callable[[], bool], neighbours: Neighbours = NO_NEIGHBOURS
    ) -> Generator[Token, None, None]:
        """See ``Completer.stream``. A copied line is one token, whatever its length."""
        max_tokens = min(max_tokens, self.context - MIN_PROMPT_TOKENS)
        ids, tail = fit_prompt(context, self._order, self.encode, self.markers, self.context - max_tokens)
        cache_lm, self._pending_prompt = self._cache_lm(context.prefix, neighbours), ()
        copied = cache_lm.best_line()
        if copied and copied.probability >= _MIN_COPY_PROBABILITY:
            self._pending_prompt = ids
            yield from self._copy_lines(copied, context.prefix, neighbours, cancelled)
            return
        logits = self._evaluate(ids, cancelled)
        before = context.prefix[: len(context.prefix) - len(tail)][-_STATEMENT_CHARACTERS:]
        tokens = decode(self.vocabulary, before, tail, logits, self._advance, cache_lm, max_tokens, cancelled)
        line = _first_line(tokens, copied) if copied else []
        if copied and line is None:
            yield from self._copy_lines(copied, context.prefix, neighbours, cancelled)
            return
        yield from line or ()
        yield from tokens

    def _copy_lines(
        self, copied: CopiedLine, prefix: str, neighbours: Neighbours, cancelled: Callable[[], bool]
    ) -> Generator[Token, None, None]:
        """Yield a copied line, and further ones while each is probable enough and the function goes on."""
        found: CopiedLine | None = copied
        line, blank, min_probability = prefix.rpartition("\n")[2].encode("utf-8", "replace"), "", 0.0
        while found and found.probability >= min_probability:
            if cancelled():
                raise Cancelled
            written = f"{blank}{found.text}\n"
            yield Token(written, math.log(found.probability), origin="copied")
            line = b" " * (indent_of(line) + found.next_indent)
            if not line:
                return
            blank = line.decode().replace(" " * TAB_COLUMNS, "\t")
            prefix += written + blank
            neighbours = replace(neighbours, before=neighbours.before + written + blank)
            found, min_probability = self._cache_lm(prefix, neighbours).best_line(), _MIN_COPY_PROBABILITY

    def score(
        self, context: Context, middle: str, cancelled: Callable[[], bool], neighbours: Neighbours = NO_NEIGHBOURS
    ) -> tuple[float, int]:
        """(information content in bits, size in bytes) of a known middle, with the tail that healing repeats."""
        ids, tail = fit_prompt(context, self._order, self.encode, self.markers, self.context // 2)
        following = self.encode(tail + middle)[: self.context - len(ids)]
        cache_lm, logits = self._cache_lm(context.prefix, neighbours), self._evaluate(ids, cancelled)
        return score_tokens(self.vocabulary, following, logits, self._advance, cache_lm, cancelled)

    def read(self, neighbours: Neighbours, should_stop: Callable[[], bool]) -> bool:
        """Ingest neighbours, nearest first, then any pending prompt, until ``should_stop()``. Returns True if nothing
        is left."""
        return self._index_of(neighbours).ingest(should_stop) and self._evaluate_pending(should_stop)

    def _evaluate_pending(self, should_stop: Callable[[], bool]) -> bool:
        """Evaluate the prompt that a copied line made unnecessary: the next request may need it."""
        with contextlib.suppress(Cancelled):
            if self._pending_prompt:
                self._evaluate(self._pending_prompt, should_stop)
            self._pending_prompt = ()
        return not self._pending_prompt

    def _index_of(self, neighbours: Neighbours) -> NeighbourIndex:
        if self._neighbour_index is None:
            self._neighbour_index = NeighbourIndex(self.vocabulary.pieces, self.encode)
        self._neighbour_index.set_neighbours(neighbours)
        return self._neighbour_index

    def _cache_lm(self, prefix: str, neighbours: Neighbours) -> CacheLM:
        index, deadline = self._index_of(neighbours), time.monotonic() + _INGEST_SECONDS
        index.ingest(lambda: time.monotonic() > deadline)
        return CacheLM(index, prefix)


def _first_line(tokens: Iterator[Token], copied: CopiedLine) -> list[Token] | None:
    """Take the tokens of the model's first line. Returns None as soon as it differs from the copy without being more
    probable by ``_MODEL_MARGIN_NATS``."""
    line: list[Token] = []
    min_logprob = math.log(copied.probability) + _MODEL_MARGIN_NATS
    for token in tokens:
        line.append(token)
        text, newline, _ = "".join(each.text for each in line).partition("\n")
        agrees = text == copied.text if newline else copied.text.startswith(text)
        if not agrees and sum(each.logprob for each in line) < min_logprob:
            return None
        if "\n" in token.text:
            break
    return line


def markers_among(texts: Sequence[str], path: Path) -> FimMarkers:
    """Find the markers of a vocabulary. Raises Refused if it has none for a hole."""
    ids = {text: token for token, text in enumerate(texts)}
    markers = find_markers(ids.get)
    if markers is None:
        raise Refused(f"{path}: its vocabulary has no markers for a hole (FIM); it cannot complete in the middle")
    return markers
