"""tree-sitter parse and reparse of kernel C. Never raises on any bytes."""

from __future__ import annotations

from dataclasses import dataclass

import tree_sitter_c
from tree_sitter import Language, Parser, Tree

LANGUAGE = Language(tree_sitter_c.language())


@dataclass(frozen=True, slots=True)
class Parsed:
    data: bytes
    masked: bytes
    tree: Tree


def parse(data: bytes, previous: Parsed | None = None) -> Parsed:
    return Parsed(data, data, Parser(LANGUAGE).parse(data))
