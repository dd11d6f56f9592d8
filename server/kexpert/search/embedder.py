"""Text -> vector: static word embeddings that ship with the package, or another model by name.

The shipped model is a folder in model2vec's format (``model2vec.StaticModel`` loads it):
``model.safetensors`` with ``embeddings`` (int8, one row a word family), ``mapping`` (word -> row) and
``weights`` (word -> factor), and a ``tokenizer.json`` whose vocabulary is words. Besides, it holds
``query_weights`` and ``worth`` for each word, and in ``config.json`` how much each field of a chunk
counts. It is read here with numpy: ``kexpert.core.retrieval.words`` cuts text several times as fast.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from kexpert.core.retrieval.chunk import Chunk
from kexpert.core.retrieval.words import pieces, stem, words_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    Ints = NDArray[np.int64]

SHIPPED = Path(__file__).resolve().parent.parent / "data" / "embedder"
#: The fields of a chunk that a static model weighs.
FIELDS = ("name", "path", "summary", "body")

_BATCH = 512  # chunks embedded at once: their gathered rows stay in the cache
_KNOWN = 1 << 19  # pieces of text whose rows are remembered
_READING = 2  # bump when the same weights make other vectors of a text
_TEXT = 4_000  # characters of a chunk that a model reading plain text is given


class EmbedderError(Exception):
    """A model that cannot be loaded; the text is for the user."""


class Embedder(Protocol):
    """What turns chunks and questions into unit vectors of one space."""

    #: Name and digest of the weights: vectors of another identity are stale.
    identity: str
    dimensions: int

    def encode_chunks(self, chunks: Sequence[Chunk]) -> Vectors: ...

    def encode_query(self, text: str) -> Vectors: ...


def load_embedder(name: str = "", dimensions: int = 0) -> Embedder:
    """The shipped model (""), a folder in its or in model2vec's format, or a sentence-transformers model.

    ``dimensions`` cuts the vectors of a Matryoshka model to its first so many; 0 keeps them all.
    Raises EmbedderError.
    """
    folder = Path(name).expanduser() if name else SHIPPED
    if (folder / "model.safetensors").is_file() and (folder / "config.json").is_file():
        config = _json(folder / "config.json")
        if "kexpert" in config:
            return StaticEmbedder(folder, dimensions)
        if config.get("model_type") == "model2vec":
            return _model2vec(folder, dimensions)
    if not name:
        raise EmbedderError(f"{folder}: the package's own embedder is missing; install kexpert again")
    return _sentence_transformers(name, dimensions)


@lru_cache(maxsize=1)
def shipped() -> StaticEmbedder:
    """The package's own embedder, loaded once."""
    return StaticEmbedder(SHIPPED)


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise EmbedderError(f"{path}: {error}") from error
    if not isinstance(value, dict):
        raise EmbedderError(f"{path}: not a JSON object")
    return value


def _field(rows: Sequence[Sequence[Any]], row_of: dict[str, int] | None = None) -> tuple[Ints, Ints]:
    """Rows (or words, with where they are) of some chunks -> all in one array, and how many each has."""
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    flat: Iterable[int] = chain.from_iterable(rows)
    if row_of is not None:
        flat = map(row_of.get, flat, repeat(-1))  # type: ignore[arg-type]
    return np.fromiter(flat, np.int64, int(lengths.sum())), lengths


def _unit(rows: Vectors) -> Vectors:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(length > 0, length, 1)).astype(np.float32)


# -- static --------------------------------------------------------------------------------------


class _Rows(dict[bytes, tuple[int, ...]]):
    """Piece of text -> the rows of its words. Filled as pieces occur; emptied when it grows too large."""

    def __init__(self, row_of: Callable[[str], int]) -> None:
        super().__init__()
        self._row_of = row_of

    def __missing__(self, piece: bytes) -> tuple[int, ...]:
        if len(self) >= _KNOWN:
            self.clear()
        rows = self[piece] = tuple(row for word in words_of(piece) if (row := self._row_of(word)) >= 0)
        return rows


class StaticEmbedder:
    """The weighted sum of the vectors of a text's different words, scaled to unit length."""

    def __init__(self, folder: Path, dimensions: int = 0) -> None:
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            data = (folder / "model.safetensors").read_bytes()
            tokenizer = (folder / "tokenizer.json").read_bytes()
            settings = _json(folder / "config.json")["kexpert"]["fields"]
            self._fields = {field: float(settings[field]) for field in FIELDS}
            self._load(load(data), json.loads(tokenizer)["model"]["vocab"], dimensions)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
            raise EmbedderError(f"{folder}: not an embedder of kexpert's: {error}") from error
        digest = hashlib.blake2b(data + tokenizer + repr(self._fields).encode(), digest_size=8).hexdigest()
        self.identity = f"static-{self.dimensions}-{_READING}-{digest}"

    def _load(self, tensors: dict[str, NDArray[Any]], vocabulary: dict[str, int], dimensions: int) -> None:
        rows, words = tensors["embeddings"], len(vocabulary)
        mapping = tensors["mapping"].astype(np.int64)
        each = [tensors[name].astype(np.float32) for name in ("weights", "query_weights", "worth")]
        if rows.ndim != 2 or set(vocabulary.values()) != set(range(words)):
            raise ValueError("the vocabulary has gaps")
        fits = all(len(values) == words for values in (mapping, *each))
        if not fits or not 0 <= mapping.min() <= mapping.max() < len(rows):
            raise ValueError("tensors and vocabulary do not match")
        weights, asked, self._worth = (np.zeros(len(rows), np.float32) for _ in each)
        weights[mapping], asked[mapping], self._worth[mapping] = each
        self.dimensions = min(dimensions, rows.shape[1]) if dimensions > 0 else rows.shape[1]
        self._table = rows[:, : self.dimensions] * weights[:, None]
        self._directions = _unit(self._table)
        self._asked = np.divide(asked, weights, out=np.zeros_like(asked), where=weights > 0)
        self._strange = float(self._worth.max(initial=1.0))  # what a word is worth that no tree of the training had
        self._row_of = {word: int(mapping[at]) for word, at in vocabulary.items() if word.isalnum()}
        self._rows = _Rows(self._row)

    def _row(self, word: str) -> int:
        """The row of a word's family, -1 when it is not known: ``register`` is of ``reg``, whatever rare family
        (of ``registerer``) is spelled like it."""
        return self._row_of.get(stem(word), -1)

    def encode_chunks(self, chunks: Sequence[Chunk]) -> Vectors:
        """(n, dimensions), rows of unit length; a chunk without a known word gives zeros."""
        parts = []
        for at in range(0, len(chunks), _BATCH):
            batch = chunks[at : at + _BATCH]
            paths = [chunk.path.rpartition(".")[0] or chunk.path for chunk in batch]
            texts = ([c.name for c in batch], paths, [c.summary for c in batch], [c.body for c in batch])
            parts.append(self._sum([_field([self._rows_in(text) for text in field]) for field in texts]))
        return np.concatenate(parts) if parts else np.zeros((0, self.dimensions), np.float32)

    def encode_stems(self, fields: Sequence[Sequence[Sequence[str]]]) -> Vectors:
        """The same for chunks given as stems: for each of FIELDS, the stems of every chunk."""
        return self._sum([_field(field, self._row_of) for field in fields])

    def encode_query(self, text: str) -> Vectors:
        """(dimensions,), of unit length; zeros when no word is known."""
        rows, counts = np.unique(np.array(self._rows_in(text), np.int64), return_counts=True)
        weights = (self._asked[rows] * counts).astype(np.float32)
        return _unit((weights @ self._table[rows])[None])[0]

    def lexicon(self, words: Sequence[str]) -> tuple[Vectors, Vectors]:
        """Stems -> (their unit vectors, zeros for the unknown; what each is worth)."""
        rows = np.fromiter(map(self._row_of.get, words, repeat(-1)), np.int64, len(words))
        known = rows >= 0
        vectors = self._directions[rows]
        vectors[~known] = 0
        worth = np.where(known, self._worth[rows], np.float32(self._strange))
        return vectors, worth.astype(np.float32)

    def _rows_in(self, text: str) -> list[int]:
        return list(chain.from_iterable(map(self._rows.__getitem__, pieces(text))))

    def _sum(self, fields: Sequence[tuple[Ints, Ints]]) -> Vectors:
        """Unit vectors of chunks whose rows (-1: unknown) are given field by field, all chunks' in one array
        and how many each has; a word counts once a field."""
        count, size = len(fields[0][1]), len(self._table)
        keys, weights = [], []
        for name, (rows, lengths) in zip(FIELDS, fields, strict=True):
            owner = np.repeat(np.arange(count), lengths)
            known = rows >= 0
            key = np.unique(owner[known] * size + rows[known])
            keys.append(key)
            weights.append(np.full(len(key), self._fields[name]))
        key, place = np.unique(np.concatenate(keys), return_inverse=True)
        weight = np.bincount(place, np.concatenate(weights), len(key)).astype(np.float32)
        owner, rows = np.divmod(key, size)
        starts = np.searchsorted(owner, np.arange(count + 1))
        out = np.zeros((count, self.dimensions), np.float32)
        for at in range(count):
            mine = slice(starts[at], starts[at + 1])
            out[at] = weight[mine] @ self._table[rows[mine]]
        return _unit(out)


# -- models that read text ------------------------------------------------------------------------


class TextEmbedder:
    """A model that takes text: a chunk is its path, its name, what is said of it and its code."""

    def __init__(
        self,
        name: str,
        dimensions: int,
        digest: str,
        documents: Callable[[list[str]], Any],
        questions: Callable[[list[str]], Any],
    ) -> None:
        self.dimensions = dimensions
        self.identity = f"{name}-{dimensions}-{digest}"
        self._documents, self._questions = documents, questions

    def encode_chunks(self, chunks: Sequence[Chunk]) -> Vectors:
        texts = [f"{chunk.path}\n{chunk.name}\n{chunk.summary}\n{chunk.body}"[:_TEXT] for chunk in chunks]
        return self._rows(self._documents, texts)

    def encode_query(self, text: str) -> Vectors:
        return self._rows(self._questions, [text])[0]

    def _rows(self, encode: Callable[[list[str]], Any], texts: list[str]) -> Vectors:
        if not texts:
            return np.zeros((0, self.dimensions), np.float32)
        cleaned = [text.encode("utf-8", "replace").decode() for text in texts]
        return _unit(np.asarray(encode(cleaned), np.float32)[:, : self.dimensions])


def _model2vec(folder: Path, dimensions: int) -> TextEmbedder:
    from model2vec import StaticModel

    try:
        model = StaticModel.from_pretrained(folder, dimensionality=dimensions or None)
        digest = hashlib.blake2b((folder / "model.safetensors").read_bytes(), digest_size=8).hexdigest()
    except Exception as error:  # the library raises whatever its parts do
        raise EmbedderError(f"{folder}: {error}") from error
    return TextEmbedder(folder.name, model.dim, digest, model.encode, model.encode)


def _sentence_transformers(name: str, dimensions: int) -> TextEmbedder:
    """Loaded when named and not before: it brings torch."""
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise EmbedderError(
            f"{name}: no such folder, and sentence-transformers, which could load a model of that name, is not"
            " installed (pip install sentence-transformers)"
        ) from error
    try:
        model = SentenceTransformer(name, trust_remote_code=False, truncate_dim=dimensions or None)
        width = int(model.get_embedding_dimension() or 0)
    except Exception as error:  # the library raises whatever its parts do
        raise EmbedderError(f"{name}: {error}") from error
    return TextEmbedder(name, width, _digest(model), model.encode_document, model.encode_query)


def _digest(model: Any) -> str:
    """Of the weights, so that a model changed under its name makes its old vectors stale."""
    digest = hashlib.blake2b(digest_size=8)
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()
