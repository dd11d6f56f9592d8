"""Growing selections: the word, then every syntax node around it, up to the file."""

from __future__ import annotations

from kexpert.core.c.source import Source
from kexpert.core.text import identifier_at

#: Deeper nesting breaks JSON parsers of clients; the middle is left out.
MAX_DEPTH = 100


def selections(source: Source, offset: int) -> list[tuple[int, int]]:
    """The (start, end) around ``offset``, smallest first, each strictly inside the next."""
    offset = min(max(offset, 0), len(source.data))
    spans = [(0, len(source.data)), *_nodes_around(source, offset)]
    if word := identifier_at(source.data, offset):
        spans.append(word)
    growing = [spans.pop()]
    for start, end in reversed(spans):
        inner = growing[-1]
        if start <= inner[0] and inner[1] <= end and (start, end) != inner:
            growing.append((start, end))
    if len(growing) > MAX_DEPTH:
        growing = [*growing[: MAX_DEPTH - 1], growing[-1]]
    return growing


def _nodes_around(source: Source, offset: int) -> list[tuple[int, int]]:
    """Spans of the syntax nodes that hold ``offset``, from the file inwards."""
    cursor = source.parsed.tree.walk()
    spans: list[tuple[int, int]] = []
    # At the end of a word the cursor is outside the word's node; the character before is inside.
    at = offset - 1 if offset and _ends_word(source.data, offset) else offset
    while cursor.goto_first_child_for_byte(at) is not None:
        node = cursor.node
        if node is None or not node.start_byte <= offset <= node.end_byte:
            break
        spans.append((node.start_byte, node.end_byte))
    return spans


def _ends_word(data: bytes, offset: int) -> bool:
    word = identifier_at(data, offset)
    return word is not None and word[1] == offset
