"""A corpus of pairs on disk: reading a tree takes as long as learning from it, and a stopped run goes on."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kexpert_trainer.data.pairs import Corpus, Ragged, sources

_TEXTS = ("words", "paths", "names", "spellings")
_FLAGS = ("functions", "exported")


def identity(root: Path) -> str:
    """What tells one state of a tree from another: its files' names, sizes and times."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sources(root):
        try:
            stat = (root / path).stat()
        except OSError:
            continue  # a link to nowhere
        digest.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def save(corpus: Corpus, file: Path, told: str) -> None:
    """``told``: the identity of the tree it was read from."""
    from safetensors.numpy import save_file

    tensors: dict[str, NDArray[np.generic]] = {name: getattr(corpus, name) for name in _FLAGS}
    for name in _TEXTS:
        text = "\n".join(getattr(corpus, name)).encode("utf-8", "surrogateescape")
        tensors[name] = np.frombuffer(text, np.uint8)
    for name, field in corpus.fields.items():
        tensors |= {f"{name}.values": field.values, f"{name}.offsets": field.offsets}
    part = file.with_suffix(".part")
    save_file(tensors, part, metadata={"identity": told, "fields": " ".join(corpus.fields)})
    part.replace(file)


def load(file: Path, told: str) -> Corpus | None:
    """None where there is none of this tree."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "np") as held:
            meta = held.metadata() or {}
            if meta.get("identity") != told:
                return None
            texts = [bytes(held.get_tensor(name)).decode("utf-8", "surrogateescape").split("\n") for name in _TEXTS]
            functions, exported = (held.get_tensor(name) for name in _FLAGS)
            fields = {
                name: Ragged(held.get_tensor(f"{name}.values"), held.get_tensor(f"{name}.offsets"))
                for name in meta["fields"].split()
            }
    except (OSError, SafetensorError):
        return None
    words, paths, names, spellings = texts
    return Corpus(words, paths, names, functions, exported, fields, spellings)
