"""Embeddings of text: static word embeddings that ship with the package, or another model by name.

The shipped model is a folder in model2vec's format (``model2vec.StaticModel`` loads it):
``model.safetensors`` with ``embeddings`` (int8, one row a word family), ``mapping`` (word -> row) and
``weights`` (word -> factor), and a ``tokenizer.json`` whose vocabulary is words. It also holds
``query_weights`` and ``worth`` (importance for the ranker) of each word, and in ``config.json`` the weight of each
field of a chunk. It is read here with numpy, because ``kexpert.core.retrieval.words`` splits text several times as
fast as model2vec.
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

from kexpert.core.retrieval.chunk import CODE_KINDS, Chunk
from kexpert.core.retrieval.words import pieces, stem, words_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    Ints = NDArray[np.int64]

SHIPPED = Path(__file__).resolve().parent.parent / "data" / "embedder"
#: The fields of a chunk to which a static model gives weights.
FIELDS = ("name", "path", "summary", "body")

#: Chunks embedded at once: their gathered rows stay in the processor's cache.
_BATCH_CHUNKS = 512
#: Pieces of text whose rows are cached.
_MAX_CACHED_PIECES = 1 << 19
#: Bump when the same weights make other vectors of a text.
_ENCODING_VERSION = 3
#: Characters of a chunk that are given to a model that reads plain text.
_MAX_TEXT = 4_000


class EmbedderError(Exception):
    """A model that cannot be loaded; the text is for the user."""


class Embedder(Protocol):
    """Turns chunks and questions into unit vectors of one space."""

    #: Name and digest of the weights; vectors of another identity cannot be compared.
    identity: str
    dimensions: int

    def encode_chunks(self, chunks: Sequence[Chunk]) -> Vectors:
        """Float32, shape (n, dimensions)."""
        ...

    def encode_query(self, text: str) -> Vectors:
        """Float32, shape (dimensions,)."""
        ...


def load_embedder(name: str = "", dimensions: int = 0) -> Embedder:
    """Load the shipped model (""), a folder in its or in model2vec's format, or a sentence-transformers model.

    ``dimensions``: keep only the first of a Matryoshka model's dimensions; 0 keeps all. Raises EmbedderError.
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


@lru_cache(maxsize=2)
def shipped(dimensions: int = 0) -> StaticEmbedder:
    """The shipped embedder, loaded once; only the first ``dimensions``, if given. Raises EmbedderError."""
    return StaticEmbedder(SHIPPED, dimensions)


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise EmbedderError(f"{path}: {error}") from error
    if not isinstance(value, dict):
        raise EmbedderError(f"{path}: not a JSON object")
    return value


def _field(rows: Sequence[Sequence[Any]], row_of: dict[str, int] | None = None) -> tuple[Ints, Ints]:
    """(rows of all chunks in one array, number of rows of each chunk); ``row_of`` maps words to rows, unknown to -1."""
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
    """Cache: piece of text -> the rows of its words. Emptied when it grows too large."""

    def __init__(self, row_of: Callable[[str], int]) -> None:
        super().__init__()
        self._row_of = row_of

    def __missing__(self, piece: bytes) -> tuple[int, ...]:
        if len(self) >= _MAX_CACHED_PIECES:
            self.clear()
        rows = self[piece] = tuple(row for word in words_of(piece) if (row := self._row_of(word)) >= 0)
        return rows


class StaticEmbedder:
    """Embeds a text as the weighted sum of the vectors of its distinct words, scaled to unit length."""

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
        self.identity = f"static-{self.dimensions}-{_ENCODING_VERSION}-{digest}"

    def _load(self, tensors: dict[str, NDArray[Any]], vocabulary: dict[str, int], dimensions: int) -> None:
        rows, words = tensors["embeddings"], len(vocabulary)
        mapping = tensors["mapping"].astype(np.int64)
        each = [tensors[name].astype(np.float32) for name in ("weights", "query_weights", "worth")]
        if rows.ndim != 2 or set(vocabulary.values()) != set(range(words)):
            raise ValueError("the vocabulary has gaps")
        fits = len(mapping) == words and all(len(values) == words for values in each)
        if not fits or not 0 <= mapping.min() <= mapping.max() < len(rows):
            raise ValueError("tensors and vocabulary do not match")
        weights, query_weights, self._worth = (np.zeros(len(rows), np.float32) for _ in each)
        weights[mapping], query_weights[mapping], self._worth[mapping] = each
        self.dimensions = min(dimensions, rows.shape[1]) if dimensions > 0 else rows.shape[1]
        self._table = rows[:, : self.dimensions] * weights[:, None]
        self._directions = _unit(self._table)
        self._query_factors = np.divide(query_weights, weights, out=np.zeros_like(query_weights), where=weights > 0)
        self._unknown_worth = float(self._worth.max(initial=1.0))
        self._row_of = {word: int(mapping[at]) for word, at in vocabulary.items() if word.isalnum()}
        self._rows = _Rows(self._row)

    def _row(self, word: str) -> int:
        """The row of a word by its stem, -1 if unknown: ``register`` has the row of ``reg``."""
        return self._row_of.get(stem(word), -1)

    def encode_chunks(self, chunks: Sequence[Chunk]) -> Vectors:
        """Float32, shape (n, dimensions), rows of unit length; zeros for a chunk without a known word."""
        parts = []
        for at in range(0, len(chunks), _BATCH_CHUNKS):
            batch = chunks[at : at + _BATCH_CHUNKS]
            paths = [chunk.path.rpartition(".")[0] or chunk.path for chunk in batch]
            # Comments are compared as words (see ``schema.MatchIn``): in a vector, they would move commented code away
            # from code of the same meaning.
            summaries = ["" if c.kind in CODE_KINDS else c.summary for c in batch]
            texts = ([c.name for c in batch], paths, summaries, [c.body for c in batch])
            parts.append(self._sum([_field([self._rows_in(text) for text in field]) for field in texts]))
        return np.concatenate(parts) if parts else np.zeros((0, self.dimensions), np.float32)

    def encode_stems(self, fields: Sequence[Sequence[Sequence[str]]]) -> Vectors:
        """As ``encode_chunks``, for chunks given as stems: for each of FIELDS, the stems of every chunk."""
        return self._sum([_field(field, self._row_of) for field in fields])

    def encode_query(self, text: str) -> Vectors:
        """Float32, shape (dimensions,), of unit length; zeros if no word is known."""
        rows, counts = np.unique(np.array(self._rows_in(text), np.int64), return_counts=True)
        weights = (self._query_factors[rows] * counts).astype(np.float32)
        vector: Vectors = _unit((weights @ self._table[rows])[None])[0]
        return vector

    def lexicon(self, words: Sequence[str]) -> tuple[Vectors, Vectors]:
        """Stems -> (unit vectors, shape (n, dimensions), zeros for unknown words; worth, shape (n,))."""
        rows = np.fromiter(map(self._row_of.get, words, repeat(-1)), np.int64, len(words))
        known = rows >= 0
        vectors = self._directions[rows]
        vectors[~known] = 0
        worth = np.where(known, self._worth[rows], np.float32(self._unknown_worth))
        return vectors, worth.astype(np.float32)

    def importance(self, words: Sequence[str]) -> Vectors:
        """Stems -> the length of each one's part in the vector of a question, shape (n,); 1 for unknown words."""
        rows = np.fromiter(map(self._row_of.get, words, repeat(-1)), np.int64, len(words))
        lengths = self._query_factors[rows] * np.linalg.norm(self._table[rows], axis=1)
        return np.where(rows >= 0, lengths, 1.0).astype(np.float32)

    def _rows_in(self, text: str) -> list[int]:
        return list(chain.from_iterable(map(self._rows.__getitem__, pieces(text))))

    def _sum(self, fields: Sequence[tuple[Ints, Ints]]) -> Vectors:
        """Unit vectors of chunks, shape (n, dimensions). ``fields``: for each of FIELDS, (rows of all chunks, -1 for
        unknown; number of rows of each chunk). A word counts once in each field."""
        count, size = len(fields[0][1]), len(self._table)
        keys, weights = [], []
        for name, (rows, lengths) in zip(FIELDS, fields, strict=True):
            owner = np.repeat(np.arange(count), lengths)
            known = rows >= 0
            key = np.unique(owner[known] * size + rows[known])
            keys.append(key)
            weights.append(np.full(len(key), self._fields[name]))
        key, inverse = np.unique(np.concatenate(keys), return_inverse=True)
        weight = np.bincount(inverse, np.concatenate(weights), len(key)).astype(np.float32)
        owner, rows = np.divmod(key, size)
        starts = np.searchsorted(owner, np.arange(count + 1))
        out = np.zeros((count, self.dimensions), np.float32)
        for at in range(count):
            words = slice(starts[at], starts[at + 1])
            out[at] = weight[words] @ self._table[rows[words]]
        return _unit(out)


# -- models that read text ------------------------------------------------------------------------


class TextEmbedder:
    """A model that takes text: the path, name, documentation and code of a chunk."""

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
        texts = [f"{c.path}\n{c.name}\n{c.summary}\n{c.body}\n{c.inner}"[:_MAX_TEXT] for c in chunks]
        return self._rows(self._documents, texts)

    def encode_query(self, text: str) -> Vectors:
        vector: Vectors = self._rows(self._questions, [text])[0]
        return vector

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
    except Exception as error:  # the library raises exceptions of many kinds
        raise EmbedderError(f"{folder}: {error}") from error
    return TextEmbedder(folder.name, model.dim, digest, model.encode, model.encode)


def _sentence_transformers(name: str, dimensions: int) -> TextEmbedder:
    """Load a sentence-transformers model; its import loads torch."""
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
    except Exception as error:  # the library raises exceptions of many kinds
        raise EmbedderError(f"{name}: {error}") from error
    return TextEmbedder(name, width, _digest(model), model.encode_document, model.encode_query)


def _digest(model: Any) -> str:
    """Digest of the weights, so that changed weights under the same name make old vectors stale."""
    digest = hashlib.blake2b(digest_size=8)
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()
