"""Selects the source files that a language model learns from, and removes lookup tables from them."""

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

#: Larger files are tables, whatever their name.
_MAX_BYTES = 400_000
_MIN_BYTES = 200

_SPDX = re.compile(r"SPDX-License-Identifier:\s*([^*\n]+)")
#: Two files are near-duplicates if the Jaccard similarity of their sets of lines is above this.
_MAX_SIMILARITY = 0.7
_PERMUTATIONS = 64
_EMPTY_SIGNATURE = MinHash(num_perm=_PERMUTATIONS, hashfunc=zlib.crc32)

#: A line of only numbers and punctuation: a row of a lookup table.
_TABLE_ROW = re.compile(r"(?:0[xX][0-9a-fA-F]++[uUlL]*+|[\s\d{}(),;+*/|<>~-])*(?:/\*.*\*/\s*)?")
_DIGIT = re.compile(r"\d")
#: Rows of a lookup table that are kept, to show that there is one.
_MAX_TABLE_ROWS = 4
_DEFINE_NUMBER = re.compile(r"#\s*define\s+\w+\s+\(?(?:0[xX][0-9a-fA-F]+|\d+)\b")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file as the model learns it: ``path`` relative to the tree, SPDX licence ("" if it names none), text."""

    path: str
    licence: str
    text: str


def paths(tree: Path, seed: int = 0) -> list[str]:
    """Every C file and header, shuffled; the order depends on the seed alone, on any machine."""
    return sorted(
        c_files(tree), key=lambda path: hashlib.blake2b(f"{seed}/{path}".encode(), digest_size=16).digest()
    )


def read(tree: Path, path: str) -> SourceFile | None:
    """Read a file without its lookup tables. None if it is not UTF-8, too small, too large, or mostly numbers."""
    try:
        data = (tree / path).read_bytes()
        if not _MIN_BYTES <= len(data) <= _MAX_BYTES:
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
    """Cut long runs of rows of numbers down to their first ``_MAX_TABLE_ROWS``."""
    kept: list[str] = []
    rows = 0
    for line in text.splitlines(keepends=True):
        is_row = len(line) < 1000 and _TABLE_ROW.fullmatch(line) is not None and _DIGIT.search(line) is not None
        rows = rows + 1 if is_row else 0
        if rows <= _MAX_TABLE_ROWS:
            kept.append(line)
    return "".join(kept)


def signature(file: SourceFile) -> MinHash:
    """MinHash over the set of a file's lines, to find near-duplicates (Broder 1997)."""
    minhash = _EMPTY_SIGNATURE.copy()
    minhash.update_batch(_lines(file.text))
    return minhash


def distinct(files: Iterable[tuple[Item, MinHash]]) -> Iterator[Item]:
    """Yield the items in order, without near-duplicates of earlier ones."""
    seen = MinHashLSH(threshold=_MAX_SIMILARITY, num_perm=_PERMUTATIONS)
    for number, (item, minhash) in enumerate(files):
        if not seen.query(minhash):
            seen.insert(number, minhash, check_duplication=False)
            yield item


def _lines(text: str) -> list[bytes]:
    return list({stripped.encode() for line in text.splitlines() if len(stripped := line.strip()) > 3})


def is_held_out(path: str) -> bool:
    """True for files that serve for validation only: about one in a hundred, by the hash of the path."""
    return hashlib.sha256(path.encode()).digest()[0] % 100 == 99


def sample(tree: Path, megabytes: float, seed: int = 0) -> Iterator[str]:
    """Yield up to ``megabytes`` of texts from all over a tree, none held out; a tokenizer learns from them."""
    room = megabytes * 1e6
    files = (file for path in paths(tree, seed) if not is_held_out(path) and (file := read(tree, path)) is not None)
    for file in distinct((file, signature(file)) for file in files):
        room -= len(file.text)
        if room < 0:
            return
        yield file.text
