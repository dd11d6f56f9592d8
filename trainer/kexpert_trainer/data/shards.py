"""Token shards on disk, and the manifest of a folder of them.

A shard is a stream of little-endian uint16 ids, xz-compressed: documents end to end, each with ``<|endoftext|>`` at its
end. ``pretrain`` needs only the shards, ``corpus.json`` and ``tokenizer.json``; the lists of source files beside them
(see ``corpus``) need not travel to another machine.
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

from kexpert.prompt.fim import PROMPT_VERSION
from kexpert_trainer.errors import UserError

TokenIds = NDArray[np.uint16]

MANIFEST = "corpus.json"
SPLITS = ("train", "held-out")
#: Ids take two bytes; contexts of two bytes (pb, lp) compress better.
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6, "lc": 0, "lp": 1, "pb": 1, "dict_size": 64 << 20}]


@dataclass(frozen=True, slots=True)
class CorpusManifest:
    """The contents of ``corpus.json``."""

    tokenizer: str  # its identity
    prompt_version: int
    sequence: int  # maximum tokens of a document
    end: int  # id that ends a document
    shards: dict[str, list[str]]  # split -> file names
    tokens: dict[str, int]  # split -> tokens
    bytes: dict[str, int]  # split -> bytes of the text that the tokens encode
    provenance: dict[str, Any]  # tree, licences, settings

    @property
    def identity(self) -> str:
        """A hash that differs between corpora."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    @property
    def summary(self) -> dict[str, Any]:
        """The summary that commands print."""
        return {"shards": len(self.shards["train"]), "tokens": self.tokens, "bytes": self.bytes}


def write_shard(path: Path, documents: Iterable[list[int]]) -> None:
    """Write documents (each with its end id) in one atomic step."""
    stream = b"".join(np.asarray(ids, dtype="<u2").tobytes() for ids in documents)
    part = path.with_suffix(".part")
    part.write_bytes(lzma.compress(stream, format=lzma.FORMAT_XZ, filters=_FILTERS))
    part.replace(path)


def read_shard(path: Path) -> TokenIds:
    """All ids of a shard."""
    return np.frombuffer(lzma.decompress(path.read_bytes()), dtype="<u2")


def write_manifest(folder: Path, manifest: CorpusManifest) -> None:
    (folder / MANIFEST).write_text(json.dumps(asdict(manifest), indent=2) + "\n")


def read_manifest(folder: Path) -> CorpusManifest:
    """Read ``corpus.json``. Raises UserError if the folder holds no corpus, or one of another prompt version."""
    try:
        manifest = CorpusManifest(**json.loads((folder / MANIFEST).read_text()))
    except (OSError, TypeError, ValueError) as problem:
        raise UserError(f"{folder} holds no corpus ({problem}); make one with kexpert-train corpus") from None
    if manifest.prompt_version != PROMPT_VERSION:
        raise UserError(
            f"{folder}: the corpus has prompt version {manifest.prompt_version}, this kexpert serves version "
            f"{PROMPT_VERSION}; make it again with kexpert-train corpus"
        )
    return manifest


def load(folder: Path, split: str) -> TokenIds:
    """All ids of one split, in memory. Raises UserError if the split is empty."""
    names = read_manifest(folder).shards[split]
    if not names:
        raise UserError(f"{folder}: the corpus has no {split} shard; use more of the tree (--megabytes)")
    return np.concatenate([read_shard(folder / name) for name in names])
