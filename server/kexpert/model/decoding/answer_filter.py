"""Where the text of an answer ends: before a stop text, and where it begins to repeat itself.

Small models loop under greedy decoding: they say a sentence again and again, or a word. What may be such a repetition,
or the beginning of a stop text, is held back until it is clear.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

#: A text that repeats a unit of at most ``_MAX_PERIOD_CHARS`` at least ``_MIN_REPEATS`` times, over at least
#: ``_MIN_LOOP_CHARS``, is a loop.
_MAX_PERIOD_CHARS, _MIN_REPEATS, _MIN_LOOP_CHARS = 200, 3, 32
#: A shorter sentence may be said twice: "}", "Return: 0".
_MIN_SENTENCE_CHARS = 16
_SENTENCE_END = re.compile(r"(?<=[.!?])[ \t]+|\n+")


class AnswerFilter:
    """Takes the pieces of an answer, returns what may be shown.

    ``end`` is "" while the answer goes on, "stop" after a stop text, "loop" after a repetition.
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._stop = [text for text in stop if text]
        self._text = ""
        self._shown = 0  # characters returned so far
        self._sentence = 0  # where the current sentence begins
        self._said: set[str] = set()
        self.end: Literal["", "stop", "loop"] = ""

    def add(self, text: str) -> str:
        """Append generated text. Returns the text that is new and certain."""
        if self.end:
            return ""
        before = len(self._text)
        self._text += text
        found = [at for each in self._stop if (at := self._text.find(each, max(before - len(each) + 1, 0))) >= 0]
        if found:
            self._cut(min(found), "stop")
        self._end_sentences()
        if not self.end and (period := _loop_period(self._text)):
            self._cut(len(_without_repeats(self._text, period)), "loop")
        return self._show(len(self._text) if self.end else self._certain())

    def flush(self) -> str:
        """The text that was held back, at the end of the answer; a sentence that was said already is left out."""
        if self._is_said(self._text[self._sentence :]):
            self._cut(self._sentence, "loop")
        return self._show(len(self._text))

    def _cut(self, end: int, reason: Literal["stop", "loop"]) -> None:
        self._text = self._text[: max(end, self._shown)]
        self.end = reason

    def _show(self, end: int) -> str:
        start, self._shown = self._shown, max(end, self._shown)
        return self._text[start : self._shown]

    def _end_sentences(self) -> None:
        while match := _SENTENCE_END.search(self._text, self._sentence):
            sentence = self._text[self._sentence : match.start()]
            if self._is_said(sentence):
                self._cut(self._sentence, "loop")
                return
            self._said.add(sentence.strip())
            self._sentence = match.end()

    def _is_said(self, sentence: str) -> bool:
        return len(sentence.strip()) >= _MIN_SENTENCE_CHARS and sentence.strip() in self._said

    def _certain(self) -> int:
        """Offset up to which the text can neither be a stop text nor a sentence that was said already."""
        begun = self._text[self._sentence :].strip()
        if begun and any(said.startswith(begun) and len(said) >= _MIN_SENTENCE_CHARS for said in self._said):
            return self._sentence
        longest = max(map(len, self._stop), default=1) - 1
        for start in range(max(len(self._text) - longest, 0), len(self._text)):
            if any(each.startswith(self._text[start:]) for each in self._stop):
                return start
        return len(self._text)


def _loop_period(text: str) -> int:
    """The length of the unit that the end of a text repeats; 0 if it does not loop."""
    for period in range(1, min(_MAX_PERIOD_CHARS, len(text) // _MIN_REPEATS) + 1):
        repeats = max(_MIN_REPEATS, -(-_MIN_LOOP_CHARS // period))
        if text.endswith(text[-period:] * repeats):
            return period
    return 0


def _without_repeats(text: str, period: int) -> str:
    """The text up to the first of the units that its end repeats, with it."""
    unit = text[-period:]
    while text.endswith(unit * 2):
        text = text[:-period]
    return text
