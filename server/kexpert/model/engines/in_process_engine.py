"""What every model on this machine does alike: a prompt in, tokens out, with one sequence in its cache."""

from __future__ import annotations

import contextlib
import math
import time
from abc import abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from kexpert.abilities import NO_NEIGHBOURS, Cancelled, Completer, Neighbours, Refused, Token
from kexpert.model.copying.cache_lm import Echo, Library
from kexpert.model.copying.line_features import TAB, indent_of
from kexpert.model.copying.line_ranker import Copied
from kexpert.model.decoding.token_healing import Logits, Vocabulary, answer, bits_of
from kexpert.model.fim_markers import FimMarkers, find_markers, fit_prompt
from kexpert.prompt.fim import Context, Order

#: More is read by no model while somebody types.
MAX_CONTEXT = 8192
#: What an answer may take of a context that is smaller than both together.
MIN_PROMPT_TOKENS = 32
#: Characters before the cursor in which its statement begins.
_STATEMENT = 2000
#: Seconds that a question may spend on reading neighbours; the rest is read between questions.
_READING = 0.03
#: A whole line that is right with this probability is copied before the model is asked, and one behind another.
_LIKELY = 1 / math.e
#: A model has to be surer of its line than of one that could be copied, by so much in logarithms: in 400 holes of
#: Linux 6.1 it was right as often as the copy where it was surer by 1, and less often where by 0.5.
_SURER = 1.0


class InProcessEngine(Completer):
    """A model in memory; its maker sets ``vocabulary``, ``markers``, ``context`` (tokens) and ``_order``."""

    vocabulary: Vocabulary
    markers: FimMarkers
    context: int
    _order: Order
    _library: Library | None = None
    _unread: Sequence[int] = ()  # a prompt

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
        self, context: Context, max_tokens: int, cancelled: Callable[[], bool], neighbours: Neighbours = NO_NEIGHBOURS
    ) -> Generator[Token, None, None]:
        """See ``Completer.stream``."""
        max_tokens = min(max_tokens, self.context - MIN_PROMPT_TOKENS)
        ids, tail = fit_prompt(context, self._order, self.encode, self.markers, self.context - max_tokens)
        echo, self._unread = self._echo(context.prefix, neighbours), ()
        copied = echo.line()
        if copied and copied.probability >= _LIKELY:
            self._unread = ids
            yield from self._copies(copied, context.prefix, neighbours, cancelled)
            return
        logits = self._evaluate(ids, cancelled)
        before = context.prefix[: len(context.prefix) - len(tail)][-_STATEMENT:]
        tokens = answer(self.vocabulary, before, tail, logits, self._advance, echo, max_tokens, cancelled)
        line = _first_line(tokens, copied) if copied else []
        if copied and line is None:
            yield from self._copies(copied, context.prefix, neighbours, cancelled)
            return
        yield from line or ()
        yield from tokens

    def _copies(
        self, copied: Copied, prefix: str, neighbours: Neighbours, cancelled: Callable[[], bool]
    ) -> Generator[Token, None, None]:
        """Whole lines, each as one token, for as long as a further one is likely and the function goes on."""
        found: Copied | None = copied
        line, blank, least = prefix.rpartition("\n")[2].encode("utf-8", "replace"), "", 0.0
        while found and found.probability >= least:
            if cancelled():
                raise Cancelled
            written = f"{blank}{found.text}\n"
            yield Token(written, math.log(found.probability))
            line = b" " * (indent_of(line) + found.deeper)
            if not line:
                return
            blank = line.decode().replace(" " * TAB, "\t")
            prefix += written + blank
            neighbours = replace(neighbours, before=neighbours.before + written + blank)
            found, least = self._echo(prefix, neighbours).line(), _LIKELY

    def score(
        self, context: Context, middle: str, cancelled: Callable[[], bool], neighbours: Neighbours = NO_NEIGHBOURS
    ) -> tuple[float, int]:
        """(bits, bytes) of a middle that is known, with what the prompt's end makes the model repeat."""
        ids, tail = fit_prompt(context, self._order, self.encode, self.markers, self.context // 2)
        following = self.encode(tail + middle)[: self.context - len(ids)]
        echo = self._echo(context.prefix, neighbours)
        return bits_of(self.vocabulary, following, self._evaluate(ids, cancelled), self._advance, echo, cancelled)

    def read(self, neighbours: Neighbours, should_stop: Callable[[], bool]) -> bool:
        """Ingest neighbours, nearest first, then any pending prompt, until ``should_stop()``. Returns True if nothing
        is left."""
        return self._held(neighbours).read(should_stop) and self._read_prompt(should_stop)

    def ready(self, cancelled: Callable[[], bool]) -> None:
        """Do nothing: the constructor has loaded the model."""

    def close(self) -> None:
        """Do nothing: the process that holds the model ends with it."""

    def _read_prompt(self, should_stop: Callable[[], bool]) -> bool:
        """A copied line needs no model, but a letter that is typed instead will."""
        with contextlib.suppress(Cancelled):
            if self._unread:
                self._evaluate(self._unread, should_stop)
            self._unread = ()
        return not self._unread

    def _held(self, neighbours: Neighbours) -> Library:
        if self._library is None:
            self._library = Library(self.vocabulary.pieces, self.encode)
        self._library.want(neighbours)
        return self._library

    def _echo(self, prefix: str, neighbours: Neighbours) -> Echo:
        library, until = self._held(neighbours), time.monotonic() + _READING
        library.read(lambda: time.monotonic() > until)
        return library.echo(prefix)


def _first_line(tokens: Iterator[Token], copied: Copied) -> list[Token] | None:
    """The tokens of a line that says what a copy would, or is surer; None as soon as it is neither."""
    line: list[Token] = []
    least = math.log(copied.probability) + _SURER
    for token in tokens:
        line.append(token)
        text, ended, _ = "".join(each.text for each in line).partition("\n")
        agrees = text == copied.text if ended else copied.text.startswith(text)
        if not agrees and sum(each.logprob for each in line) < least:
            return None
        if "\n" in token.text:
            break
    return line


def markers_among(texts: Sequence[str], path: Path) -> FimMarkers:
    """The markers that a vocabulary holds. Raises Refused where a hole cannot be marked."""
    ids = {text: at for at, text in enumerate(texts)}
    markers = find_markers(ids.get)
    if markers is None:
        raise Refused(f"{path}: its vocabulary has no markers for a hole (FIM); it cannot complete in the middle")
    return markers
