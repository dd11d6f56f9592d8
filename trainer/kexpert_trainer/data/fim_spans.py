"""Spans that are cut out of a text for filling in the middle (FIM, Bavarian et al. 2022), one a window.

Seven in ten spans are of the form that an editor asks for: the rest of a line, a line, two to five lines. Syntax nodes
and spans at random characters keep the model from learning that spans always end at line ends. Offsets are characters.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from tree_sitter import Node, Parser

from kexpert.core.c.parse import LANGUAGE

Span = tuple[int, int]  # start and end, in characters
SpanKind = Callable[[str, random.Random], Span | None]

#: Bounds of syntax nodes that become spans; nobody waits for a longer completion.
_MAX_BYTES = 400
_MIN_BYTES = 3
_MAX_NODES = 4_000


def choose_span(text: str, rng: random.Random) -> Span | None:
    """Choose a span of a random kind in a window of a file. None if the window has nothing to cut."""
    kinds: list[SpanKind] = [rest_of_line, whole_lines, syntax_node, characters]
    kind = rng.choices(kinds, weights=(40, 30, 20, 10))[0]
    return kind(text, rng)


def rest_of_line(text: str, rng: random.Random) -> Span | None:
    """From any character of a line that is not indentation to its end."""
    line = _random_line(text, rng)
    if line is None:
        return None
    return rng.randrange(line[0], line[1]), line[1]


def whole_lines(text: str, rng: random.Random) -> Span | None:
    """From the end of a line's indentation to its end (half of the time) or to the end of up to four lines more."""
    line = _random_line(text, rng)
    if line is None:
        return None
    start, end = line
    for _ in range(rng.choice((0, 0, 0, 0, 1, 2, 3, 4))):
        below = text.find("\n", end + 1)
        if below < 0:
            break
        end = below
    return start, len(text[:end].rstrip())


def characters(text: str, rng: random.Random) -> Span | None:
    """Up to a hundred characters anywhere."""
    if len(text) < 2:
        return None
    start = rng.randrange(len(text))
    return start, min(start + 1 + rng.randrange(100), len(text))


def syntax_node(text: str, rng: random.Random) -> Span | None:
    """A named node of the parse tree (statement, expression, argument list, …) of limited size."""
    data = text.encode()
    spans = _node_spans(Parser(LANGUAGE).parse(data).root_node)
    if not spans:
        return None
    start, end = rng.choice(spans)
    before = len(data[:start].decode())
    return before, before + len(data[start:end].decode())


def _node_spans(root: Node) -> list[Span]:
    """Byte spans of the named nodes within the bounds, of the first ``_MAX_NODES`` nodes."""
    spans = []
    stack = [root]
    seen = 0
    while stack and seen < _MAX_NODES:
        node = stack.pop()
        seen += 1
        if node.is_named and _MIN_BYTES <= node.end_byte - node.start_byte <= _MAX_BYTES:
            spans.append((node.start_byte, node.end_byte))
        stack += node.children
    return spans


def _random_line(text: str, rng: random.Random) -> Span | None:
    """A line that is not blank, without its indentation, near a random offset."""
    at = rng.randrange(len(text) + 1)
    for _ in range(16):
        start = text.rfind("\n", 0, at) + 1
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        line = text[start:end]
        if code := line.strip():
            start += line.index(code[0])
            return start, start + len(code)
        at = end + 1 if end < len(text) else 0
    return None
