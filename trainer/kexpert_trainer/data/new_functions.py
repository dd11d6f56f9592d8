"""What a model cannot have seen: functions that a later tree has and the tree it learnt from has not."""

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

#: Hex digits with which the SHA-256 of a path begins whose file is for measuring; the rest is kept for others.
MEASURED = "89abcdef"
_MOST_BYTES = 300_000
_WORD = re.compile(rb"[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True)
class NewFunction:
    """``start``/``end`` are bytes of ``data``, the whole file."""

    path: str
    name: str
    data: bytes
    start: int
    end: int


def is_measured(path: str) -> bool:
    """Whether a file, by its path in the tree, is for measuring."""
    return hashlib.sha256(path.encode()).hexdigest()[0] in MEASURED


def new_functions(newer: Path, older: Path, files: int, seed: int) -> list[NewFunction]:
    """Functions of so many measured files (a random choice) whose names the older tree does not hold as a word."""
    measured = [path for path in c_files(newer) if path.endswith(".c") and is_measured(path)]
    chosen = random.Random(seed).sample(measured, min(files, len(measured)))
    found = [function for path in chosen for function in functions_of(newer, path)]
    known = occurring(older, {function.name.encode() for function in found})
    return [function for function in found if function.name.encode() not in known]


def functions_of(tree: Path, path: str) -> Iterator[NewFunction]:
    """The functions of one file, none of a very large one."""
    data = (tree / path).read_bytes()
    if len(data) > _MOST_BYTES:
        return
    for symbol in extract(path, data).symbols:
        if symbol.kind is Kind.FUNCTION:
            yield NewFunction(path, symbol.name, data, symbol.start, symbol.end)


def occurring(tree: Path, names: set[bytes], files: Iterable[str] | None = None) -> set[bytes]:
    """Those of the names that some C file or header of a tree holds as a word. Reads the tree: half a minute."""
    found: set[bytes] = set()
    for path in files if files is not None else c_files(tree):
        found |= names.intersection(_WORD.findall((tree / path).read_bytes()))
        if len(found) == len(names):
            break
    return found
