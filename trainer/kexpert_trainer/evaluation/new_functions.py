"""Functions that a model cannot know: a later tree has them, the tree it learnt from has not."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kexpert.core.c.extract import extract
from kexpert.core.symbols import Kind
from kexpert_trainer.data.tree import c_files

#: A file is for evaluation if the SHA-256 of its path begins with one of these; the other half stays free for tuning.
_EVALUATION_DIGITS = "89abcdef"
_MAX_BYTES = 300_000
_WORD = re.compile(rb"[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True)
class NewFunction:
    """``data`` is the whole file; ``start`` and ``end`` are byte offsets in it."""

    path: str
    name: str
    data: bytes
    start: int
    end: int


def is_for_evaluation(path: str) -> bool:
    """True if a file, by its path in the tree, is for evaluation."""
    return hashlib.sha256(path.encode()).hexdigest()[0] in _EVALUATION_DIGITS


def new_functions(newer: Path, older: Path, files: int, seed: int) -> list[NewFunction]:
    """The functions of ``files`` random evaluation files whose names are no word of the older tree."""
    candidates = [path for path in c_files(newer) if path.endswith(".c") and is_for_evaluation(path)]
    chosen = random.Random(seed).sample(candidates, min(files, len(candidates)))
    found = [function for path in chosen for function in functions_of(newer, path)]
    known = names_in_tree(older, {function.name.encode() for function in found})
    return [function for function in found if function.name.encode() not in known]


def functions_of(tree: Path, path: str) -> Iterator[NewFunction]:
    """Yield the functions of one file; none of a file larger than ``_MAX_BYTES``."""
    data = (tree / path).read_bytes()
    if len(data) > _MAX_BYTES:
        return
    for symbol in extract(path, data).symbols:
        if symbol.kind is Kind.FUNCTION:
            yield NewFunction(path, symbol.name, data, symbol.start, symbol.end)


def names_in_tree(tree: Path, names: set[bytes], files: Iterable[str] | None = None) -> set[bytes]:
    """The names that are a word in some C file or header of a tree. Reads the whole tree (half a minute)."""
    found: set[bytes] = set()
    for path in files if files is not None else c_files(tree):
        found |= names.intersection(_WORD.findall((tree / path).read_bytes()))
        if len(found) == len(names):
            break
    return found
