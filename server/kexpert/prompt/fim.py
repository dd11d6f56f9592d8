"""The fill-in-the-middle prompt, in one form for training and for serving.

    <|file_sep|>include/linux/foo.h          excerpts of other files
    struct foo { … };
    <|file_sep|>drivers/foo/bar.c            the file itself
    <|fim_prefix|><|fim_suffix|>…text after the cursor…<|fim_middle|>…text before it…|middle

The order is suffix, prefix, middle ("SPM", the variant of Bavarian et al. 2022, https://arxiv.org/abs/2207.14255, that
suits joint training with PSM). Typing changes only the end of the prompt, so the key-value cache of the rest stays
valid. The middle continues the prefix without a marker: **both are tokenized as one text**. So the prompt ends before
the last word (see ``heal``), and the model must first repeat the letters of that word. Then no token is cut at the
cursor, neither in training nor in serving. Prefix, suffix, middle ("PSM") is for models of others that were trained
on it.

Text never contains a marker: text pieces must be tokenized without special tokens.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

#: Must be increased when ``render`` or ``heal`` gives another result for the same context. A model that was trained on
#: another version is refused.
PROMPT_VERSION = 1

Order = Literal["spm", "psm"]


class Marker(Enum):
    """Special tokens, with the names that Qwen2.5-Coder uses and llama.cpp looks for."""

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
    """A part of another file, or a distant part of this one."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Context:
    """The content of a prompt. ``prefix`` and ``suffix`` are already cut to their token budgets.

    ``excerpts`` are sorted by stability, most stable first: a change invalidates the cache of everything after it.
    """

    path: str
    prefix: str
    suffix: str
    excerpts: tuple[Excerpt, ...] = field(default=())


def render(context: Context, order: Order = "spm", middle: str | None = None) -> list[Piece]:
    """A prompt, or with ``middle`` a training example, which begins with the prompt for the same context.

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
    """A complete file for left-to-right training."""
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
    """Tokenize pieces. ``encode`` must add no tokens and must not parse special tokens in text.

    Markers that the vocabulary lacks are left out: a path line is useful without its marker too.
    """
    ids: list[int] = []
    for piece in pieces:
        if isinstance(piece, str):
            ids += encode(piece)
        elif piece in markers:
            ids.append(markers[piece])
    return ids


#: The pre-tokenizer of Qwen2 (that of GPT-4 with single digits), written for ``re``. No token crosses its matches.
_PRETOKEN = re.compile(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|(?:[^\r\n\w]|_)?[^\W\d_]+|\d|[ ]?(?:[^\s\w]|_)+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_MAX_HEALED_CHARS = 48  # a longer last word (a line of asterisks) is not repeated: that would take too long
_MAX_LOOKBACK_CHARS = 512  # read of the cursor's line and the line above, to find the last word


def heal(prefix: str) -> tuple[str, str]:
    """Split a prefix before its last pre-token: (the part in the prompt, the part that the model must repeat first).

    The text that follows may change the tokens of the last pre-token, but of no other one: ``kmal`` of ``kmalloc``, the
    blanks before a word, ``;`` before the end of a line.
    """
    start = _line_start(prefix)
    cut = len(prefix)
    for match in _PRETOKEN.finditer(prefix, start):
        cut = match.start()
    cut = len(prefix[:cut].rstrip(" \t"))  # the last blank before a word belongs to the word's pre-token
    if len(prefix) - cut > _MAX_HEALED_CHARS:
        return prefix, ""
    return prefix[:cut], prefix[cut:]


def _line_start(prefix: str) -> int:
    """Offset near the end where a pre-token certainly begins: the first non-blank of a line."""
    floor = max(len(prefix) - _MAX_LOOKBACK_CHARS, 0)
    start = len(prefix)
    for _ in range(2):  # a pre-token of the line above may include the line break
        start = prefix.rfind("\n", floor, len(prefix[floor:start].rstrip()) + floor)
        if start < 0:
            return floor
    while start < len(prefix) and prefix[start].isspace():
        start += 1
    return start
