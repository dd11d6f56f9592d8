"""``Voice``: what the chat model writes about code, checked, marked and cached.

Nothing here is waited for by a fact: a page or a card is made first, and shown without the model's words. The feature
is imported when there is a model to ask.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from kexpert.abilities import Cancelled as WasCancelled
from kexpert.abilities import Failed, Refused
from kexpert.core.c.source import Source
from kexpert.core.symbols import Symbol
from kexpert.prompt.chat import CHAT_PROMPT_VERSION, Message, Task
from kexpert.workspace.text_cache import TextCache, key_of

if TYPE_CHECKING:
    from kexpert.features.explain.explanation import Explanation, Written
    from kexpert.features.explain.voice import ChatPrompt
    from kexpert.features.hover.card import HoverCard
    from kexpert.view import View
    from kexpert.workspace.chat import ChatModel, ChatSession
    from kexpert.workspace.listener import Listener

Cancelled = Callable[[], bool]

#: Seconds after which an answer that is not finished is given up.
_MAX_SECONDS = 120.0
#: Seconds after which so many answers are enough for a line.
_LINE_SECONDS, _MIN_CANDIDATES = 10.0, 4
_MODEL_SECONDS = 1.0  # between two looks for the model
_ENDS_SENTENCE = (".", "!", "?", "\n")


class Unavailable(Exception):
    """The model did not answer; the message says why. ``for_good``: asking again does not help."""

    def __init__(self, reason: str, for_good: bool) -> None:
        super().__init__(reason)
        self.for_good = for_good


class Voice:
    """Any thread may use it."""

    def __init__(self, chat: ChatSession, texts: TextCache, listener: Listener) -> None:
        self.texts = texts
        self._chat = chat
        self._listener = listener
        self._failure = ""
        self._newest_page = 0
        self._numbering = threading.Lock()
        self._seen: tuple[float, ChatModel | None] = -_MODEL_SECONDS, None

    @property
    def why_silent(self) -> str:
        """Why no model can be asked, in one line; "" if one can."""
        return "" if self._chat.model() is not None else self._chat.reason()

    def identity(self) -> str:
        """Of the model in use; "" for none."""
        model = self._recent_model()
        return model.identity if model else ""

    def model(self) -> ChatModel | None:
        """The model that answers the next question, without loading it; None for none."""
        return self._chat.model()

    def answer(
        self,
        messages: Sequence[Message],
        max_tokens: int,
        cancelled: Cancelled,
        beginning: str = "",
        stop: Sequence[str] = (),
    ) -> tuple[str, bool]:
        """A whole answer, unchecked, and whether the model ended it. For arguments see ``abilities.Chat``.

        Raises ``abilities.Cancelled`` or Unavailable.
        """
        answer, ended = "", False
        with closing(self._chat.answer(messages, max_tokens, cancelled, beginning, stop)) as stream:
            try:
                for token in stream:
                    answer += token.text
                    ended = ended or token.last
            except Refused as problem:
                self._failed(str(problem), for_good=True)
            except Failed as problem:
                self._failed(str(problem), for_good=False)
        self._failure = ""
        return answer, ended

    def _recent_model(self) -> ChatModel | None:
        """The model as it was a moment ago: to look for it reads files, which a hover has no time for."""
        seen, model = self._seen
        if time.monotonic() - seen >= _MODEL_SECONDS:
            model = self._chat.model()
            self._seen = time.monotonic(), model
        return model

    # -- one line -------------------------------------------------------------------------------

    def known_line(self, view: View, card: HoverCard) -> tuple[bool, Written | None]:
        """``known_summary`` of what a card is about; nothing is asked where the author wrote something."""
        symbol = card.symbol
        source = view.source(symbol.path) if symbol is not None and not card.documentation else None
        return self.known_summary(source, symbol) if symbol is not None and source is not None else (True, None)

    def known_summary(self, source: Source, symbol: Symbol) -> tuple[bool, Written | None]:
        """(whether the model was asked already, what is left of its answer). Reads a cache alone."""
        model = self._recent_model()
        if model is None:
            return True, None
        from kexpert.features.explain.explanation import Location, Written
        from kexpert.features.explain.voice import can_be_summarised, may_summarise

        if not may_summarise(model.tasks) or not can_be_summarised(source, symbol):
            return True, None
        text = self.texts.get(self._summary_key(model, source, symbol))
        if text is None:
            return False, None
        place = Location(source.path, source.lines.line_of(symbol.start))
        return True, Written(text, model.name, model.adapter, (place,)) if text else None

    def summary(
        self, view: View, source: Source, symbol: Symbol, cancelled: Cancelled, *, background: bool
    ) -> Written | None:
        """The summary line of a definition, from the cache or by the model. Raises ``abilities.Cancelled`` or
        Unavailable."""
        from kexpert.features.explain.voice import summary_question

        is_known, written = self.known_summary(source, symbol)
        model = self._recent_model()
        if is_known or model is None:
            return written
        prompt = summary_question(view, source, symbol, model.budget)
        answers: list[tuple[str, bool]] = []
        enough = time.monotonic() + _LINE_SECONDS
        for seed in range(model.candidates):
            if seed >= _MIN_CANDIDATES and time.monotonic() > enough:
                break
            *_, answer = self._answers(prompt, cancelled, background=background, seed=seed)
            answers.append(answer)
        text = prompt.agreed_line(answers)
        self.texts.put(self._summary_key(model, source, symbol), text)
        return prompt.written(text, model.name, model.adapter)

    def _summary_key(self, model: ChatModel, source: Source, symbol: Symbol) -> str:
        """By what is summarised, not by the whole prompt: a hover has no time to look for neighbours."""
        from kexpert.features.explain.voice import code_of

        what = (source.path, symbol.name, code_of(source, symbol))
        return key_of(Task.SUMMARY, _versions(), model.identity, str(model.candidates), *what)

    # -- a page ---------------------------------------------------------------------------------

    def pages(self, view: View, source: Source, found: Explanation, cancelled: Cancelled) -> Iterator[Explanation]:
        """The page with more and more of what the model writes. Nothing is yielded where it adds nothing.

        A newer page ends what is written for the older ones.
        """
        from kexpert.features.explain.voice import explanation_question, may_explain

        model = self._chat.model()
        if model is None:
            return
        with self._numbering:
            self._newest_page += 1
            page = self._newest_page

        def is_over() -> bool:
            return cancelled() or page != self._newest_page

        try:
            symbol = _symbol_of(view, found)
            if symbol is not None and found.summary.origin == "facts":
                written = self.summary(view, source, symbol, is_over, background=False)
                if written is not None:
                    found = replace(found, written_summary=written)
                    yield found
            explains = may_explain(model.tasks, model.budget)
            prompt = explanation_question(source, found, model.budget) if explains else None
            if prompt is not None:
                yield from self._explained(prompt, model, found, is_over)
        except (Unavailable, WasCancelled):
            return

    def _explained(
        self, prompt: ChatPrompt, model: ChatModel, found: Explanation, cancelled: Cancelled
    ) -> Iterator[Explanation]:
        key = key_of(Task.EXPLANATION, _versions(), model.identity, *(message.text for message in prompt.messages))
        text = self.texts.get(key)
        if text:
            yield replace(found, written_text=prompt.written(text, model.name, model.adapter))
        if text is not None:
            return
        shown = ""
        for answer, ended in self._answers(prompt, cancelled, background=False):
            text = prompt.checked(answer, ended=ended)
            if text != shown:
                shown = text
                yield replace(found, written_text=prompt.written(text, model.name, model.adapter))
        self.texts.put(key, shown)

    # -- the model ------------------------------------------------------------------------------

    def _answers(
        self, prompt: ChatPrompt, cancelled: Cancelled, *, background: bool, seed: int = 0
    ) -> Iterator[tuple[str, bool]]:
        """(an answer, whether the model ended it), each time that a sentence is added; the last is the whole.

        Raises ``abilities.Cancelled`` or Unavailable.
        """
        end = time.monotonic() + _MAX_SECONDS
        answer, ended = "", False
        streams = prompt.max_sentences > 1
        stream = self._chat.answer(
            prompt.messages, prompt.max_tokens, lambda: cancelled() or time.monotonic() > end, seed=seed,
            background=background,
        )  # fmt: skip
        try:
            for token in stream:
                answer += token.text
                ended = ended or token.last
                if streams and token.text.rstrip(" ").endswith(_ENDS_SENTENCE):
                    yield answer + " ", False
        except WasCancelled:
            if time.monotonic() <= end:
                raise
            self._failed("gave no whole answer in time", for_good=False)
        except Refused as problem:
            self._failed(str(problem), for_good=True)
        except Failed as problem:
            self._failed(str(problem), for_good=False)
        finally:
            stream.close()
        self._failure = ""
        yield answer, ended

    def _failed(self, reason: str, *, for_good: bool) -> None:
        """Log a failure once until the model answers again. Raises Unavailable."""
        if reason != self._failure:
            self._failure = reason
            self._listener.log("warning", f"chat model: {reason}")
        raise Unavailable(reason, for_good) from None


def _versions() -> str:
    """Of the prompts and of the checks: another one gives other texts."""
    from kexpert.features.explain.check import CHECK_VERSION

    return f"{CHAT_PROMPT_VERSION}.{CHECK_VERSION}"


def _symbol_of(view: View, found: Explanation) -> Symbol | None:
    """The definition that a page is about; None for a selection."""
    if found.what == "selection":
        return None
    return next(
        (symbol for symbol in view.symbols_in(found.path) if symbol.name == found.name and symbol.line == found.line),
        None,
    )
