"""Parsing and reparsing of kernel C with tree-sitter. Never raises."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import tree_sitter_c
from tree_sitter import Language, Node, Parser, Tree

from kexpert.core.c.editing import Editor
from kexpert.core.c.masking import mask
from kexpert.core.c.repair import FIXES, cost, errors, windows, without_errors
from kexpert.core.text import changed_range

LANGUAGE = Language(tree_sitter_c.language())

_MAX_ROUNDS = 4  # fixes applied one after the other
_MAX_REPARSED_BYTES = 1_500_000  # by the repair of one file
_MAX_REPAIRED_FILE_BYTES = 1_000_000  # larger files are tables and generated code


@dataclass(frozen=True, slots=True)
class Parsed:
    """A text, the masked text that was parsed (same length, same lines), and the tree.

    Offsets and points of the tree are valid for ``data``; read names and text from ``data``.
    """

    data: bytes
    masked: bytes
    tree: Tree
    #: True if repair changed ``masked`` after masking.
    repaired: bool = False

    @property
    def has_error(self) -> bool:
        return self.tree.root_node.has_error


def parse(data: bytes, previous: Parsed | None = None) -> Parsed:
    """Parse kernel C. With ``previous``, the parse of a similar text, only the changed part is parsed."""
    masked = mask(data)
    if previous is not None and not previous.repaired and not previous.has_error:
        tree = _reparse(Parser(LANGUAGE), masked, previous)
        # A tree with errors depends on the edits that led to it, so only a tree without errors is used.
        if not tree.root_node.has_error:
            return Parsed(data, masked, tree)
    parser = Parser(LANGUAGE)
    tree = parser.parse(masked)
    if tree.root_node.has_error and len(data) <= _MAX_REPAIRED_FILE_BYTES:
        masked, tree = _repair(masked, tree, _MAX_ROUNDS, parser)
        return Parsed(data, masked, tree, repaired=True)
    return Parsed(data, masked, tree)


def parse_compact(text: bytes) -> Tree:
    """Mask and parse what indexing reads of a file, with at most one round of repair."""
    masked = mask(text)
    parser = Parser(LANGUAGE)
    tree = parser.parse(masked)
    if tree.root_node.has_error and len(masked) <= _MAX_REPAIRED_FILE_BYTES:
        return _repair(masked, tree, 1, parser)[1]
    return tree


def _repair(masked: bytes, tree: Tree, rounds: int, parser: Parser) -> tuple[bytes, Tree]:
    """Apply fixes that reduce the errors, until there are none or no fix helps."""
    found = errors(tree.root_node)
    attempts = max(_MAX_REPARSED_BYTES // (len(masked) + 1), 6)
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
    """Parse incrementally: the edit is the range between the common prefix and suffix of both texts."""
    old = previous.masked
    start, old_end, new_end = changed_range(old, masked)
    tree = previous.tree.copy()
    tree.edit(start, old_end, new_end, _point(old, start), _point(old, old_end), _point(masked, new_end))
    return parser.parse(masked, tree)


def _point(text: bytes, offset: int) -> tuple[int, int]:
    return text.count(b"\n", 0, offset), offset - (text.rfind(b"\n", 0, offset) + 1)
