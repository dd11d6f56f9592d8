"""What a tree itself says where a row claims to come from: the check reads it again, without the miner."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from kexpert.core.c.source import Source
from kexpert.core.docs.kerneldoc import comment_above
from kexpert.core.text import decode
from kexpert_trainer.data.rows import Row

_TEXT_KINDS = ("option", "documentation")
_MAX_TEXT_LINES = 200  # read of an option or a paragraph


@dataclass(frozen=True, slots=True)
class Origin:
    """The symbol at a row's line, and the comment above it. For texts: no symbol, and the lines from there on."""

    name: str
    comment: str
    code: str


@lru_cache(maxsize=2)
def _source(tree: Path, path: str) -> Source | None:
    file = (tree / path).resolve()
    if not file.is_relative_to(tree.resolve()) or not file.is_file():
        return None
    return Source(path, file.read_bytes())


def origin_of(tree: Path, row: Row) -> Origin | None:
    """Read what is at ``row.path:row.line``; None if there is nothing of the row's name. Raises OSError."""
    source = _source(tree, row.path)
    if source is None:
        return None
    if row.kind in _TEXT_KINDS:
        lines = decode(source.data).split("\n")[max(row.line - 1, 0) :][:_MAX_TEXT_LINES]
        return Origin("", "\n".join(lines), "")
    return next(_symbols(source, row), None)


def _symbols(source: Source, row: Row) -> Iterator[Origin]:
    for symbol in source.facts.symbols:
        if symbol.name == row.name and source.data.count(b"\n", 0, symbol.start) + 1 == row.line:
            span = comment_above(source.data, symbol.start)
            comment = decode(source.data[span[0] : span[1]]) if span else ""
            yield Origin(symbol.name, comment, decode(source.data[symbol.start : symbol.end]))
