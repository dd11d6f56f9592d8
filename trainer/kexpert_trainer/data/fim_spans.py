"""Where a text is cut for filling in the middle: one hole a window, as serving asks for them."""

from __future__ import annotations

import random
from collections.abc import Callable

from tree_sitter import Node, Parser

from kexpert.core.c.parse import LANGUAGE

Hole = tuple[int, int]  # start and end, in characters
Kind = Callable[[str, random.Random], Hole | None]

#: Longer syntax nodes are no holes: nobody waits for that much to be written.
_MOST_BYTES = 400
_FEWEST_BYTES = 3
_MOST_NODES = 4_000


def choose_hole(text: str, rng: random.Random) -> Hole | None:
    """A hole in a window of a file, or None where there is nothing to cut.

    Seven in ten are what an editor asks for: the rest of a line, a line, two to five lines. Syntax nodes and
    stretches at random characters keep the model from learning that holes end at line ends alone.
    """
    kinds: list[Kind] = [rest_of_line, whole_lines, syntax_node, characters]
    kind = rng.choices(kinds, weights=(40, 30, 20, 10))[0]
    return kind(text, rng)


def rest_of_line(text: str, rng: random.Random) -> Hole | None:
    """From any character of a line's ink to its end."""
    line = _inked_line(text, rng)
    if line is None:
        return None
    return rng.randrange(line[0], line[1]), line[1]


def whole_lines(text: str, rng: random.Random) -> Hole | None:
    """From the first ink of a line to the end of that line (every second time) or of one up to four below."""
    line = _inked_line(text, rng)
    if line is None:
        return None
    start, end = line
    for _ in range(rng.choice((0, 0, 0, 0, 1, 2, 3, 4))):
        below = text.find("\n", end + 1)
        if below < 0:
            break
        end = below
    return start, len(text[:end].rstrip())


def characters(text: str, rng: random.Random) -> Hole | None:
    """Up to a hundred characters anywhere."""
    if len(text) < 2:
        return None
    start = rng.randrange(len(text))
    return start, min(start + 1 + rng.randrange(100), len(text))


def syntax_node(text: str, rng: random.Random) -> Hole | None:
    """A statement, an expression, an argument list, …: a named node of the parse that is not too large."""
    data = text.encode()
    spans = _spans(Parser(LANGUAGE).parse(data).root_node)
    if not spans:
        return None
    start, end = rng.choice(spans)
    before = len(data[:start].decode())
    return before, before + len(data[start:end].decode())


def _spans(root: Node) -> list[Hole]:
    spans = []
    stack = [root]
    seen = 0
    while stack and seen < _MOST_NODES:
        node = stack.pop()
        seen += 1
        if node.is_named and _FEWEST_BYTES <= node.end_byte - node.start_byte <= _MOST_BYTES:
            spans.append((node.start_byte, node.end_byte))
        stack += node.children
    return spans


def _inked_line(text: str, rng: random.Random) -> Hole | None:
    """First ink and end of a line that is not blank, looked for near a random place."""
    at = rng.randrange(len(text) + 1)
    for _ in range(16):
        start = text.rfind("\n", 0, at) + 1
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        line = text[start:end]
        if ink := line.strip():
            start += line.index(ink[0])
            return start, start + len(ink)
        at = end + 1 if end < len(text) else 0
    return None
