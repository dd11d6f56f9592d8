"""Cache of a ``PairCorpus`` on disk, so that a stopped run need not read the tree again.

Reading a tree takes as long as learning from it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kexpert_trainer.data.pairs import PairCorpus, Ragged, sources

_TEXTS = ("words", "paths", "names", "spellings")
_FLAGS = ("functions", "exported")


def tree_identity(root: Path) -> str:
    """A hash of the names, sizes and modification times of a tree's files."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sources(root):
        try:
            stat = (root / path).stat()
        except OSError:
            continue  # a dangling link
        digest.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def save(corpus: PairCorpus, file: Path, identity: str) -> None:
    """Write a corpus; ``identity`` is that of the tree it was read from."""
    from safetensors.numpy import save_file

    tensors: dict[str, NDArray[np.generic]] = {name: getattr(corpus, name) for name in _FLAGS}
    for name in _TEXTS:
        text = "\n".join(getattr(corpus, name)).encode("utf-8", "surrogateescape")
        tensors[name] = np.frombuffer(text, np.uint8)
    for name, field in corpus.fields.items():
        tensors |= {f"{name}.values": field.values, f"{name}.offsets": field.offsets}
    part = file.with_suffix(".part")
    save_file(tensors, part, metadata={"identity": identity, "fields": " ".join(corpus.fields)})
    part.replace(file)


def load(file: Path, identity: str) -> PairCorpus | None:
    """Read a corpus; None if the file is missing, broken or of another tree."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "np") as tensors:
            meta = tensors.metadata() or {}
            if meta.get("identity") != identity:
                return None
            texts = [
                bytes(tensors.get_tensor(name)).decode("utf-8", "surrogateescape").split("\n") for name in _TEXTS
            ]
            functions, exported = (tensors.get_tensor(name) for name in _FLAGS)
            fields = {
                name: Ragged(tensors.get_tensor(f"{name}.values"), tensors.get_tensor(f"{name}.offsets"))
                for name in meta["fields"].split()
            }
    except (OSError, SafetensorError):
        return None
    words, paths, names, spellings = texts
    return PairCorpus(words, paths, names, functions, exported, fields, spellings)
