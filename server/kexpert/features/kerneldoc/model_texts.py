"""What a chat model is asked for a comment: one short line at a time, so that the form is never the model's.

The program writes each mark (``@dev: ``) and stops the model at the end of its line. A line that names or claims what
the code does not hold is dropped, and the text from facts stays.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from kexpert.features.explain.check import Evidence, supported_sentences
from kexpert.features.kerneldoc.draft import RETURN, Draft
from kexpert.features.kerneldoc.parameter_texts import words_of
from kexpert.prompt.chat import LARGE, Budget, Message, Task, kernel_doc_prompt

MAX_TOKENS = 32
#: The model's line ends here.
STOP = ("\n",)
#: Records with more members are left to facts: each line takes half a second.
MAX_LINES = 12
_MAX_CHARS = 110
_MAX_LIKES = 3
_ARTICLES = frozenset(("a", "an", "the", "this", "of", "to"))
#: Another parameter or section.
_MARK = re.compile(r"@|\w+\s*:")


def may_describe(trained_tasks: Collection[str], budget: Budget) -> bool:
    """Whether a model is asked for texts of parameters: one trained for it, or a large one of others.

    ``trained_tasks``: empty for a model of others.
    """
    return Task.KERNEL_DOC in trained_tasks or (not trained_tasks and budget == LARGE)


@dataclass(frozen=True, slots=True)
class Line:
    """One line that is asked for. ``beginning``: the answer so far, up to the mark."""

    mark: str
    beginning: str


class Questions:
    """The lines to ask for, one after the other: ``for line in questions: questions.answer(line, text)``."""

    def __init__(self, draft: Draft, budget: Budget) -> None:
        likes = list(draft.documented)[:_MAX_LIKES]
        self.messages: Sequence[Message] = kernel_doc_prompt(draft.path, draft.code, likes, budget)
        self.texts: dict[str, str] = {}  # accepted
        self._draft = draft
        self._evidence = Evidence((draft.name, draft.path, draft.code, *(f"{name} {text}" for name, text in likes)))
        self._lines: list[str] = []

    def __iter__(self) -> Iterator[Line]:
        asked = 0
        for each in self._draft.texts:
            if not each.mark.startswith("@") and each.mark != RETURN:
                continue
            if not each.is_certain and asked < MAX_LINES:
                asked += 1
                yield Line(each.mark, "\n".join([*self._lines, f"{each.mark}: "]))
            self._lines.append(f"{each.mark}: {self.texts.get(each.mark, each.text)}")

    def answer(self, line: Line, text: str) -> None:
        """Take the text of a line if it may be shown."""
        if accepted := checked_line(text, self._evidence, line.mark.removeprefix("@")):
            self.texts[line.mark] = accepted


def checked_line(text: str, evidence: Evidence, name: str) -> str:
    """The text of a parameter or of ``Return`` that may be shown; "" if none may."""
    first = text.strip().split("\n")[0]
    line = "" if _MARK.match(first) else next(iter(supported_sentences(first, evidence)), "").strip(" .;,\"'")
    words = _content(line)
    if not words or len(line) > _MAX_CHARS or not any(char.isalpha() for char in line):
        return ""
    if words <= _content(words_of(name)) | {name.lower()}:
        return ""  # says the name again
    return line


def _content(text: str) -> set[str]:
    return {word for word in re.findall(r"\w+", text.lower()) if word not in _ARTICLES}
