"""Holes cut into functions that the model cannot know, in the places where inline completion is asked.

Three kinds: "inside" (the rest of a line from within it), "line" (one whole line), "lines" (two to five).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from kexpert_trainer.evaluation.new_functions import NewFunction

HoleKind = Literal["inside", "line", "lines"]
KINDS: tuple[HoleKind, ...] = ("inside", "line", "lines")

_MIN_CHARACTERS = 8
_MAX_LINES = 5
#: Lines that begin so are comments or directives, and no holes.
_NO_HOLE = ("/*", "*", "//", "#")


@dataclass(frozen=True, slots=True)
class Hole:
    """``middle`` was cut out of a function; ``before`` and ``after`` are the rest of its file."""

    kind: HoleKind
    path: str
    function: str
    before: str
    middle: str
    after: str
    head: str  # the function from its beginning to the hole
    tail: str  # the function from the hole to its end


def cut_holes(functions: Sequence[NewFunction], count: int, seed: int) -> list[Hole]:
    """Cut ``count`` holes of each kind, at most one a function and kind; a larger count begins with the same holes."""
    rng = random.Random(seed)
    order = list(functions)
    rng.shuffle(order)
    found: list[Hole] = []
    for kind in KINDS:
        made = (hole for function in order if (hole := _hole(function, kind, rng)) is not None)
        found += [hole for _, hole in zip(range(count), made, strict=False)]
    return found


def _hole(function: NewFunction, kind: HoleKind, rng: random.Random) -> Hole | None:
    text = function.data[function.start : function.end].decode("utf-8", "replace")
    brace = text.find("{")
    lines = _lines(text, brace)
    if not lines:
        return None
    start, end = rng.choice(lines)
    if kind == "inside":
        start = rng.randrange(start + 1, end - 1)
    elif kind == "lines":
        spans = _spans(text, lines)
        if not spans:
            return None
        start, end = rng.choice(spans)
    before = function.data[: function.start].decode("utf-8", "replace")
    after = function.data[function.end :].decode("utf-8", "replace")
    head, middle, tail = text[:start], text[start:end], text[end:]
    return Hole(kind, function.path, function.name, before + head, middle, tail + after, head, tail)


def _lines(text: str, brace: int) -> list[tuple[int, int]]:
    """(start, end) of the lines of code of a body, without indentation; ``brace`` is the offset of its ``{``."""
    found = []
    at = text.find("\n", brace) + 1
    while 0 < at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        code = text[at:end].strip()
        if len(code) >= _MIN_CHARACTERS and not code.startswith(_NO_HOLE):
            start = text.index(code[0], at)
            found.append((start, start + len(code)))
        at = end + 1
    return found


def _spans(text: str, lines: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Two to five lines of code, without the first one's indentation, with balanced brackets."""
    found = []
    for start, _ in lines:
        end = start
        for count in range(1, _MAX_LINES + 1):
            below = text.find("\n", end + 1)
            if below < 0 or not text[end:below].strip():
                break
            end = below
            middle = text[start:end].rstrip()
            if count > 1 and middle.endswith((";", "}")) and _is_balanced(middle):
                found.append((start, start + len(middle)))
    return found


def _is_balanced(text: str) -> bool:
    depth = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if depth < 0:
            return False
    return depth == 0
