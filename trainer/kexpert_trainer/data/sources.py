"""Which files of a kernel tree are worth learning from, and what is left out of those that are."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from datasketch import MinHash, MinHashLSH

from kexpert_trainer.data.tree import c_files

Item = TypeVar("Item")

#: Larger files are tables, whatever they are called.
_MOST_BYTES = 400_000
_FEWEST_BYTES = 200

_SPDX = re.compile(r"SPDX-License-Identifier:\s*([^*\n]+)")
#: Lines of a file that two near-duplicates have in common: this share of all that either has.
_SIMILARITY = 0.7
_PERMUTATIONS = 64
_NO_LINES = MinHash(num_perm=_PERMUTATIONS, hashfunc=zlib.crc32)

#: A line of numbers and signs alone: a row of a lookup table.
_ROW = re.compile(r"(?:0[xX][0-9a-fA-F]++[uUlL]*+|[\s\d{}(),;+*/|<>~-])*(?:/\*.*\*/\s*)?")
_DIGIT = re.compile(r"\d")
#: Of a longer table only so many rows stay: enough to show that there is one.
_MOST_ROWS = 4
_DEFINE_NUMBER = re.compile(r"#\s*define\s+\w+\s+\(?(?:0[xX][0-9a-fA-F]+|\d+)\b")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file as it is learnt: ``path`` relative to the tree, its SPDX licence ("" when it names none), its text."""

    path: str
    licence: str
    text: str


def paths(tree: Path, seed: int = 0) -> list[str]:
    """Every C file and header but the generated ones, shuffled the same way for the same seed on any machine."""
    return sorted(
        c_files(tree), key=lambda path: hashlib.blake2b(f"{seed}/{path}".encode(), digest_size=16).digest()
    )


def read(tree: Path, path: str) -> SourceFile | None:
    """A file without its lookup tables; None for what teaches nothing: not text, too large, nothing but numbers."""
    try:
        data = (tree / path).read_bytes()
        if not _FEWEST_BYTES <= len(data) <= _MOST_BYTES:
            return None
        text = data.decode()
    except (OSError, UnicodeDecodeError):
        return None
    if "\r" in text or "\0" in text:
        return None
    text = without_tables(text)
    lines = text.count("\n")
    if lines > 100 and 2 * len(_DEFINE_NUMBER.findall(text)) > lines:
        return None  # register numbers of one chip
    spdx = _SPDX.search(text[:2000])
    return SourceFile(path, spdx[1].strip() if spdx else "", text)


def without_tables(text: str) -> str:
    """The text with long runs of rows of numbers cut down to their first few."""
    kept: list[str] = []
    rows = 0
    for line in text.splitlines(keepends=True):
        is_row = len(line) < 1000 and _ROW.fullmatch(line) is not None and _DIGIT.search(line) is not None
        rows = rows + 1 if is_row else 0
        if rows <= _MOST_ROWS:
            kept.append(line)
    return "".join(kept)


def signature(file: SourceFile) -> MinHash:
    """What tells whether a file is nearly another one: MinHash over its lines."""
    made = _NO_LINES.copy()
    made.update_batch(_lines(file.text))
    return made


def distinct(files: Iterable[tuple[Item, MinHash]]) -> Iterator[Item]:
    """What comes with a signature, in its order, without what is nearly something that came before."""
    seen = MinHashLSH(threshold=_SIMILARITY, num_perm=_PERMUTATIONS)
    for number, (item, made) in enumerate(files):
        if not seen.query(made):
            seen.insert(number, made, check_duplication=False)
            yield item


def _lines(text: str) -> list[bytes]:
    return list({stripped.encode() for line in text.splitlines() if len(stripped := line.strip()) > 3})


def is_held_out(path: str) -> bool:
    """Whether a file serves for validation alone: one in a hundred, by its name."""
    return hashlib.sha256(path.encode()).digest()[0] % 100 == 99


def sample(tree: Path, megabytes: float, seed: int = 0) -> Iterator[str]:
    """Texts of files from all over a tree, none held out, for a tokenizer to learn from."""
    room = megabytes * 1e6
    files = (file for path in paths(tree, seed) if not is_held_out(path) and (file := read(tree, path)) is not None)
    for file in distinct((file, signature(file)) for file in files):
        room -= len(file.text)
        if room < 0:
            return
        yield file.text
