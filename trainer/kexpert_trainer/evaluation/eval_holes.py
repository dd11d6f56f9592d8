"""Holes as inline completion meets them, in functions that the model cannot have seen."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from kexpert_trainer.data.new_functions import NewFunction

Kind = Literal["inside", "line", "lines"]
KINDS: tuple[Kind, ...] = ("inside", "line", "lines")

_FEWEST_INK = 8
_MOST_LINES = 5
#: A comment line is no code, and what closes a block is no question.
_NO_HOLE = ("/*", "*", "//", "#")


@dataclass(frozen=True, slots=True)
class Hole:
    """``middle`` was taken out of a function between ``before`` and ``after``, which are the whole file else."""

    kind: Kind
    path: str
    function: str
    before: str
    middle: str
    after: str
    head: str  # of the function, from its beginning to the hole
    tail: str  # and from the hole to its end


def cut_holes(functions: Sequence[NewFunction], count: int, seed: int) -> list[Hole]:
    """So many holes of each kind, one a function and kind, in an order that does not depend on the count."""
    rng = random.Random(seed)
    order = list(functions)
    rng.shuffle(order)
    found: list[Hole] = []
    for kind in KINDS:
        made = (hole for function in order if (hole := _hole(function, kind, rng)) is not None)
        found += [hole for _, hole in zip(range(count), made, strict=False)]
    return found


def _hole(function: NewFunction, kind: Kind, rng: random.Random) -> Hole | None:
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
    """(first ink, end) of the lines of a body that hold code."""
    found = []
    at = text.find("\n", brace) + 1
    while 0 < at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        ink = text[at:end].strip()
        if len(ink) >= _FEWEST_INK and not ink.startswith(_NO_HOLE):
            start = text.index(ink[0], at)
            found.append((start, start + len(ink)))
        at = end + 1
    return found


def _spans(text: str, lines: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Two to five lines, from the first ink of one to the end of another, that close what they open."""
    found = []
    for start, _ in lines:
        end = start
        for count in range(1, _MOST_LINES + 1):
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
