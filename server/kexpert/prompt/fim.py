"""How a place in a file becomes what the model reads: one form for training and for serving.

    <|file_sep|>include/linux/foo.h          chunks of other files, what the place needs of them
    struct foo { … };
    <|file_sep|>drivers/foo/bar.c            the file itself
    <|fim_prefix|><|fim_suffix|>…text behind the cursor…<|fim_middle|>…text before it…|middle

That is suffix, prefix, middle ("SPM", in the form of Bavarian et al. 2022 that goes with joint
training): whatever is typed lands at the very end, so a cache of all before it survives typing. The middle
continues the prefix without a marker between them: **both are tokenised as one text**. A prompt
therefore ends in front of the last word (see ``heal``), and the model is made to repeat the word's letters
first; then no token is ever cut where the cursor stood, in training or in serving. Prefix, suffix,
middle ("PSM") is there for models of other makers, which were trained on it.

Text never holds a marker: pieces that are text are to be tokenised without special tokens.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

#: Raised whenever ``render`` or ``heal`` gives another result for the same context: a model is refused
#: that was trained on another form.
PROMPT_VERSION = 1

Order = Literal["spm", "psm"]


class Marker(Enum):
    """Special tokens, by the names that Qwen2.5-Coder gave them and llama.cpp looks for."""

    FIM_PREFIX = "<|fim_prefix|>"
    FIM_SUFFIX = "<|fim_suffix|>"
    FIM_MIDDLE = "<|fim_middle|>"
    FIM_PAD = "<|fim_pad|>"
    FILE_SEP = "<|file_sep|>"
    REPO_NAME = "<|repo_name|>"
    END = "<|endoftext|>"


Piece = Marker | str


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A stretch of another file, or of a distant place in this one."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Context:
    """What is known about a place. ``prefix`` and ``suffix`` are already cut to what may be spent on them.

    ``excerpts`` come in order of stability, the most stable first: what changes makes the cache of
    everything behind it worthless.
    """

    path: str
    prefix: str
    suffix: str
    excerpts: tuple[Excerpt, ...] = field(default=())


def render(context: Context, order: Order = "spm", middle: str | None = None) -> list[Piece]:
    """A prompt; with ``middle`` a whole example for training, which the prompt for the same context begins.

    >>> render(Context("a.c", "x = ", ";\\n"))[-2:]
    [<Marker.FIM_MIDDLE: '<|fim_middle|>'>, 'x = ']
    """
    pieces = _head(context)
    tail: list[Piece] = [] if middle is None else [Marker.END]
    if order == "psm":
        pieces += [Marker.FIM_PREFIX, context.prefix, Marker.FIM_SUFFIX, context.suffix, Marker.FIM_MIDDLE]
        pieces += [middle or "", *tail]
    else:
        pieces += [Marker.FIM_PREFIX, Marker.FIM_SUFFIX, context.suffix, Marker.FIM_MIDDLE]
        pieces += [context.prefix + (middle or ""), *tail]
    return [piece for piece in pieces if piece != ""]


def render_document(path: str, text: str, excerpts: tuple[Excerpt, ...] = ()) -> list[Piece]:
    """A whole file for training, left to right."""
    return [*_head(Context(path, "", "", excerpts)), text, Marker.END]


def _head(context: Context) -> list[Piece]:
    pieces: list[Piece] = []
    for excerpt in context.excerpts:
        text = excerpt.text if excerpt.text.endswith("\n") else excerpt.text + "\n"
        pieces += [Marker.FILE_SEP, f"{excerpt.path}\n{text}"]
    return [*pieces, Marker.FILE_SEP, f"{context.path}\n"]


def token_ids(
    pieces: list[Piece], encode: Callable[[str], list[int]], markers: Mapping[Marker, int]
) -> list[int]:
    """Pieces -> ids. ``encode`` must add nothing of its own and read no special tokens in text; markers
    that a vocabulary lacks are left out (a path line is worth something without its marker)."""
    ids: list[int] = []
    for piece in pieces:
        if isinstance(piece, str):
            ids += encode(piece)
        elif piece in markers:
            ids.append(markers[piece])
    return ids


#: The pre-tokenizer of Qwen2 (the regex of GPT-4 with single digits), in the terms of ``re``: no token
#: reaches over one of its matches.
_PRETOKEN = re.compile(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|(?:[^\r\n\w]|_)?[^\W\d_]+|\d|[ ]?(?:[^\s\w]|_)+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
#: A longer last word (a line of asterisks) is left whole: repeating it would cost more than it brings.
_MOST_HEALED = 48
#: The line that holds the cursor and the one above are read to find the last word, but no more of them.
_REACH = 512


def heal(prefix: str) -> tuple[str, str]:
    """(what the prompt holds of a prefix, what the model must write first): cut before the last pre-token.

    Whatever is written next may change how the last pre-token is divided into tokens, and that of no
    other one: ``kmal`` of ``kmalloc``, the blanks before a word, ``;`` before a line's end.
    """
    start = _line_start(prefix)
    cut = len(prefix)
    for match in _PRETOKEN.finditer(prefix, start):
        cut = match.start()
    cut = len(prefix[:cut].rstrip(" \t"))  # of the blanks before a word, the last goes with the word
    if len(prefix) - cut > _MOST_HEALED:
        return prefix, ""
    return prefix[:cut], prefix[cut:]


def _line_start(prefix: str) -> int:
    """Where a pre-token surely begins, not far before the end: at the first ink of a line."""
    floor = max(len(prefix) - _REACH, 0)
    start = len(prefix)
    for _ in range(2):  # the ink on the line above may take the line's end with it
        start = prefix.rfind("\n", floor, len(prefix[floor:start].rstrip()) + floor)
        if start < 0:
            return floor
    while start < len(prefix) and prefix[start].isspace():
        start += 1
    return start
