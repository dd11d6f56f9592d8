"""Tokenized rows of a chat corpus in batches of about equal numbers of tokens. The loss is on the answer alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kexpert.prompt.chat import END, START, Message, Task, chatml_pieces
from kexpert_trainer.data.chat_frames import CHATML, ChatFrame
from kexpert_trainer.data.rows import Row

#: Rows sorted by length at a time, so that a batch needs little padding.
_POOL = 256


@dataclass(frozen=True, slots=True)
class Example:
    """The tokens of prompt and answer; the answer, from ``answer_start`` on, carries the loss."""

    tokens: list[int]
    answer_start: int
    task: Task


class ChatEncoder:
    """Tokenizes rows in the frame of a base. The frame's markers are special tokens; markers in a text are plain text.

    ``encode`` must add no tokens and must not parse special tokens; ``encode_special`` parses them. ``special``: the
    ids of ``START``, with which a message begins, and ``END``, which ends an answer, in whatever frame.
    """

    def __init__(
        self, encode: Callable[[str], list[int]], special: Mapping[str, int], frame: ChatFrame = CHATML,
        encode_special: Callable[[str], list[int]] | None = None,
    ) -> None:  # fmt: skip
        self._encode = encode
        self._special = special
        self._encode_special = encode_special or encode
        self.frame = frame

    def text(self, text: str) -> list[int]:
        """The tokens of a text; markers in it are plain text."""
        return self._encode(text)

    def chat(self, messages: Sequence[Message]) -> list[int]:
        """The tokens of a chat, up to the beginning of the answer."""
        tokens: list[int] = []
        if self.frame is CHATML:
            for piece in chatml_pieces(messages):
                tokens += [self._special[piece]] if piece in (START, END) else self._encode(piece)
            return tokens
        tokens += self._encode_special(self.frame.bos)
        for message in messages:
            tokens += self._encode_special(self.frame.opening(message.role))
            tokens += self._encode(message.text) + self._encode_special(self.frame.after)
        return tokens + self._encode_special(self.frame.opening("assistant"))

    def prompt(self, row: Row) -> list[int]:
        return self.chat(row.messages())

    @property
    def end(self) -> int:
        """The token that ends an answer."""
        return self._special[END]

    @property
    def start(self) -> int:
        """The token with which a message begins."""
        return self._special[START]

    def example(self, row: Row) -> Example:
        prompt = self.prompt(row)
        return Example([*prompt, *self._encode(row.output), self._special[END]], len(prompt), row.task)


def epochs(
    rows: Sequence[Row], mix: Mapping[Task, float], seed: int, skip: int = 0
) -> Iterator[tuple[int, list[Row]]]:
    """Yield (number, pool of rows) without end. ``skip``: pools that an earlier call has seen.

    Each task contributes its weight in ``mix`` times its rows to a pass. The order follows from ``seed``.
    """
    number = 0
    epoch = 0
    while True:
        order = random.Random(seed * 1_000_003 + epoch)
        chosen: list[Row] = []
        for task in Task:
            own = [row for row in rows if row.task is task]
            order.shuffle(own)
            share = mix.get(task, 0.0)
            count = round(share * len(own))
            start = epoch * count % max(len(own), 1)
            chosen += [own[(start + at) % len(own)] for at in range(count)] if own else []
        order.shuffle(chosen)
        if not chosen:
            return
        for start in range(0, len(chosen), _POOL):
            if number >= skip:
                yield number, chosen[start : start + _POOL]
            number += 1
        epoch += 1


def batches(examples: Sequence[Example], max_tokens: int, seed: int) -> list[list[Example]]:
    """Group examples of similar length; rows times the longest row is at most ``max_tokens`` (or one example)."""
    grouped: list[list[Example]] = []
    for example in sorted(examples, key=lambda example: len(example.tokens)):
        if grouped and len(example.tokens) * (len(grouped[-1]) + 1) <= max_tokens:
            grouped[-1].append(example)
        else:
            grouped.append([example])
    random.Random(seed).shuffle(grouped)
    return grouped
