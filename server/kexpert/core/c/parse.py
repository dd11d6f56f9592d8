"""tree-sitter parse and reparse of kernel C. Never raises on any bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import tree_sitter_c
from tree_sitter import Language, Node, Parser, Range, Tree

from kexpert.core.c.editing import Editor
from kexpert.core.c.masking import mask
from kexpert.core.c.repair import FIXES, cost, errors, windows, without_errors
from kexpert.core.text import changed_range

LANGUAGE = Language(tree_sitter_c.language())

_ROUNDS = 4
_EFFORT = 1_500_000  # bytes that repair of one file may parse again
_REPAIR_LIMIT = 1_000_000  # bytes; larger files are tables and generated code


@dataclass(frozen=True, slots=True)
class Parsed:
    """A text, what was parsed in its place (same length, same lines), and the tree.

    Offsets and points of the tree are true for ``data``; read names and text from ``data``.
    """

    data: bytes
    masked: bytes
    tree: Tree
    #: Whether ``masked`` holds more than ``mask`` does by itself.
    repaired: bool = False

    @property
    def has_error(self) -> bool:
        return self.tree.root_node.has_error


def parse(data: bytes, previous: Parsed | None = None) -> Parsed:
    """Parse kernel C; with the parse of a similar text at hand, only what changed is read again."""
    masked = mask(data)
    if previous is not None and not previous.repaired and not previous.has_error:
        tree = _reparse(Parser(LANGUAGE), masked, previous)
        # Where there are errors a tree depends on how it was reached: only a clean one is taken.
        if not tree.root_node.has_error:
            return Parsed(data, masked, tree)
    parser = Parser(LANGUAGE)
    tree = parser.parse(masked)
    if tree.root_node.has_error and len(data) <= _REPAIR_LIMIT:
        masked, tree = _repair(masked, tree, _ROUNDS, parser)
        return Parsed(data, masked, tree, repaired=True)
    return Parsed(data, masked, tree)


def parse_ranges(masked: bytes, ranges: list[Range]) -> Tree:
    """One parse of some ranges of a masked text and one round of repair at most: for indexing."""
    parser = Parser(LANGUAGE, included_ranges=ranges)
    tree = parser.parse(masked)
    if tree.root_node.has_error and len(masked) <= _REPAIR_LIMIT:
        return _repair(masked, tree, 1, parser)[1]
    return tree


def _repair(masked: bytes, tree: Tree, rounds: int, parser: Parser) -> tuple[bytes, Tree]:
    """Apply what makes the errors fewer, until there are none or nothing helps."""
    found = errors(tree.root_node)
    attempts = max(_EFFORT // (len(masked) + 1), 6)
    attempts = min(attempts, 40)
    for _ in range(rounds):
        best = cost(found)
        for candidate in _candidates(masked, found):
            if candidate == masked:
                continue
            attempts -= 1
            if attempts < 0:
                return masked, tree
            attempt = _reparse(parser, candidate, Parsed(masked, masked, tree))
            left = errors(attempt.root_node) if attempt.root_node.has_error else []
            if cost(left) < cost(found):
                masked, tree, found = candidate, attempt, left
                break
        if not found or cost(found) == best:
            break
    return masked, tree


def _candidates(masked: bytes, found: list[Node]) -> Iterator[bytes]:
    places = windows(masked, found)
    for fix in FIXES:
        edit = Editor(masked)
        for place in places:
            fix(edit, *place)
        yield bytes(edit.out)
    for fix in FIXES if len(places) > 1 else ():
        for place in places[:8]:
            edit = Editor(masked)
            fix(edit, *place)
            yield bytes(edit.out)
    yield without_errors(masked, found)


def _reparse(parser: Parser, masked: bytes, previous: Parsed) -> Tree:
    """Parse with the old tree, told of one edit: what lies between the common ends of the two texts."""
    old = previous.masked
    start, old_end, new_end = changed_range(old, masked)
    tree = previous.tree.copy()
    tree.edit(start, old_end, new_end, _point(old, start), _point(old, old_end), _point(masked, new_end))
    return parser.parse(masked, tree)


def _point(text: bytes, offset: int) -> tuple[int, int]:
    return text.count(b"\n", 0, offset), offset - (text.rfind(b"\n", 0, offset) + 1)
