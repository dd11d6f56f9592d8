"""Writers of a one-line summary that need no language model, and ranks by the embedder that ships with kexpert."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kexpert.core.retrieval.words import split_words
from kexpert_trainer.data.rows import Row
from kexpert_trainer.errors import UserError

Floats = NDArray[np.float32]

_MAX_CODE_CHARS = 2_000
_MIN_STORED = 1_000  # functions


def name_in_words(row: Row) -> str:
    """``foo_dev_start`` -> "foo dev start"."""
    return " ".join(split_words(row.name)) or row.name


def neighbour_of_file(row: Row) -> str:
    """The brief of the documented function nearby whose name is most alike; the name in words without any."""
    return row.neighbours[0][1] if row.neighbours else name_in_words(row)


class Embeddings:
    """Unit vectors of functions and texts, by the static embedder in a folder of model2vec's format.

    ``store``: a folder that keeps the vectors of many functions, for later.
    """

    def __init__(self, folder: Path, store: Path | None = None) -> None:
        from model2vec import StaticModel

        self._folder = folder
        self._store = store
        if not (folder / "model.safetensors").is_file():
            raise UserError(f"{folder}: no embedder; give --embedder the folder server/kexpert/data/embedder")
        self._model: Any = StaticModel.from_pretrained(folder)

    def of_functions(self, rows: Sequence[Row]) -> Floats:
        """(n, dimensions): a function's path, name twice, and code. Comments above it are no part of its code."""
        texts = [f"{row.path} {row.name} {row.name} {row.code[:_MAX_CODE_CHARS]}" for row in rows]
        if self._store is None or len(texts) < _MIN_STORED:
            return self.of_texts(texts)
        size = (self._folder / "model.safetensors").stat().st_size
        digest = hashlib.sha256("\0".join([str(size), *texts]).encode("utf-8", "surrogatepass")).hexdigest()
        path = self._store / f"vectors-{digest[:16]}.npy"
        if path.is_file():
            found: Floats = np.load(path, allow_pickle=False)
            return found
        found = self.of_texts(texts)
        np.save(path, found, allow_pickle=False)
        return found

    def of_texts(self, texts: Sequence[str]) -> Floats:
        found: Floats = np.asarray(self._model.encode(list(texts)), dtype=np.float32)
        norms = np.linalg.norm(found, axis=1, keepdims=True)
        unit: Floats = found / np.maximum(norms, 1e-9)
        return unit


def shipped_embedder() -> Path:
    """The folder of the embedder that ships with kexpert."""
    return Path(str(files("kexpert"))) / "data" / "embedder"


def nearest(functions: Floats, excluded: Sequence[Sequence[int]], pool: Floats) -> tuple[list[int], list[float]]:
    """For each function, the row of ``pool`` that is most like it, and their cosine.

    ``excluded``: for each function, the rows that are not chosen: its own, copies of it.
    """
    rows: list[int] = []
    cosines: list[float] = []
    for vector, left_out in zip(functions, excluded, strict=True):
        scores = pool @ vector
        scores[list(left_out)] = -2.0
        best = int(scores.argmax())
        rows.append(best)
        cosines.append(float(scores[best]))
    return rows, cosines


def ranks_of_true(answers: Floats, functions: Floats, among: int = 100) -> list[int]:
    """The rank of each answer's own function among it and others of the set (1: the first), by cosine.

    The others of function i are the next ``among`` - 1 of the set, cyclically. An empty answer (a zero vector) is last.
    """
    count = len(functions)
    size = min(among, count)
    ranks = []
    for at in range(count):
        others = [(at + step) % count for step in range(1, size)]
        own = float(functions[at] @ answers[at])
        scores = functions[others] @ answers[at]
        ranks.append(1 + int((scores >= own).sum()) if answers[at].any() else size)
    return ranks
