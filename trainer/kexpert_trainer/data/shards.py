"""Token streams on disk.

A shard is little-endian uint16 ids, xz-compressed: documents one behind the other, each ending in
``<|endoftext|>``. Nothing else is needed for training, so shards and ``tokenizer.json`` are what travels to
another machine; where each document comes from stands beside them (see ``corpus``).
"""

from __future__ import annotations

import hashlib
import json
import lzma
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.uint16]

MANIFEST = "corpus.json"
SPLITS = ("train", "held-out")
#: Ids are two bytes: a filter that looks two bytes back and aligns to two finds more.
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6, "lc": 0, "lp": 1, "pb": 1, "dict_size": 64 << 20}]


@dataclass(frozen=True, slots=True)
class Corpus:
    """What ``corpus.json`` says of a folder of shards."""

    tokenizer: str  # its identity
    prompt_version: int
    sequence: int  # no document is longer, in tokens
    end: int  # the id that ends a document
    shards: dict[str, list[str]]  # split -> file names
    tokens: dict[str, int]  # split -> how many
    bytes: dict[str, int]  # split -> bytes of text that these stand for
    provenance: dict[str, Any]  # tree, licences, settings

    @property
    def identity(self) -> str:
        """What tells one corpus from another."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def write_shard(path: Path, documents: Iterable[list[int]]) -> None:
    """Write documents (each with its end) so that the file is there whole or not at all."""
    stream = b"".join(np.asarray(ids, dtype="<u2").tobytes() for ids in documents)
    part = path.with_suffix(".part")
    part.write_bytes(lzma.compress(stream, format=lzma.FORMAT_XZ, filters=_FILTERS))
    part.replace(path)


def read_shard(path: Path) -> Tokens:
    """All ids of a shard."""
    return np.frombuffer(lzma.decompress(path.read_bytes()), dtype="<u2")


def write_corpus(folder: Path, corpus: Corpus) -> None:
    (folder / MANIFEST).write_text(json.dumps(asdict(corpus), indent=2) + "\n")


def read_corpus(folder: Path) -> Corpus:
    """What a corpus folder says of itself. Raises ValueError when it is not one."""
    try:
        return Corpus(**json.loads((folder / MANIFEST).read_text()))
    except (OSError, TypeError, ValueError) as problem:
        raise ValueError(f"{folder} holds no corpus: {problem}") from None


def load(folder: Path, split: str) -> Tokens:
    """All ids of one split, in memory."""
    return np.concatenate([read_shard(folder / name) for name in read_corpus(folder).shards[split]])
