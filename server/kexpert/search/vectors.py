"""Vectors in ChromaDB; no other module knows it.

ChromaDB holds the interpreter lock while it works (half a second for some thousand vectors), keeps an index in
memory, and must not have one folder open in two processes. So a ``VectorStore`` lives in a process of its own
(``search.worker``), one for each folder.

The cost of a collection grows with its size: adding 100,000 vectors of 256 dimensions to one collection with
ChromaDB's default settings takes 1.1 ms each; adding vectors of 128 dimensions to collections of 45,000 with the
settings below takes a quarter of that. A query asks every collection at the same cost, so fewer, larger collections
answer faster. The caller chooses the collection ("shard") of a vector.
"""

from __future__ import annotations

import contextlib
import heapq
import shutil
import sqlite3
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Maximum number of vectors in one collection.
SHARD_CAPACITY = 80_000
#: Stored dimensions of a vector: the first, which carry most in Matryoshka embeddings.
DIMENSIONS = 128
#: Fewer neighbours and a shorter construction than ChromaDB's 16 and 100, for speed; a wider search makes up for it.
#: Recall of the 100 nearest to a question, which is unlike any chunk: 0.68 with ef_search 100, 0.89 with 400.
_HNSW: Any = {
    "space": "ip",
    "max_neighbors": 8,
    "ef_construction": 40,
    "ef_search": 400,
    "num_threads": 1,
    "batch_size": 100,
    # Changes after which the index is written to disk; later ones are read from a log at the next start.
    "sync_threshold": 2000,
    "resize_factor": 1.2,
}
#: Vectors written in one call: a query waits for at most one call.
BATCH = 256
#: Ids in one query or deletion: each is a parameter of an SQL statement.
_MAX_IDS = 5000


class VectorsUnavailable(Exception):
    """ChromaDB does not answer, or its files cannot be used; the message says which."""


class VectorStore:
    """Vectors of unit length by number, in collections of bounded size."""

    def __init__(self, place: Path | str, prefix: str = "kexpert") -> None:
        """``place``: a folder that no other process opens, or the URL of a Chroma server. ``prefix`` begins the names
        of collections, so that trees on one server do not mix. Raises VectorsUnavailable."""
        import chromadb
        from chromadb.api.shared_system_client import SharedSystemClient
        from chromadb.config import Settings

        self._prefix = prefix
        self._collections: dict[int, Any] = {}
        settings = Settings(anonymized_telemetry=False)
        try:
            if isinstance(place, Path):
                place.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._client = chromadb.PersistentClient(str(place), settings)
            else:
                url = urlsplit(place)
                secure = url.scheme == "https"
                self._client = chromadb.HttpClient(
                    url.hostname or "127.0.0.1", url.port or (443 if secure else 8000), ssl=secure, settings=settings
                )
        except Exception as error:  # the bindings raise exceptions of many kinds
            # chromadb caches a client that failed to open, by its path
            SharedSystemClient.clear_system_cache()
            raise VectorsUnavailable(f"{place}: {_one_line(error)}") from error

    def close(self) -> None:
        """Close the files."""
        self._collections.clear()
        client: Any = self._client
        client.close()

    def count(self, shard: int) -> int:
        """The number of vectors in a collection. Runs a query, so that damage shows here."""
        collection = self._existing(shard)
        if collection is None:
            return 0
        try:
            found = int(collection.count())
            if found:
                sample = collection.get(limit=1, include=["embeddings"])["embeddings"]
                collection.query(query_embeddings=sample, n_results=1, include=["distances"])
        except Exception as error:
            raise VectorsUnavailable(f"collection {shard}: {_one_line(error)}") from error
        return found

    def upsert(self, shard: int, numbers: Sequence[int], vectors: NDArray[np.float32]) -> None:
        """Write or replace vectors, shape (n, dimensions)."""
        import numpy as np

        kept = np.ascontiguousarray(vectors[:, :DIMENSIONS], dtype=np.float32)
        lengths = np.linalg.norm(kept, axis=1, keepdims=True)
        kept = kept / np.maximum(lengths, 1e-12)
        for start in range(0, len(numbers), BATCH):
            names = [format(number, "x") for number in numbers[start : start + BATCH]]
            self._call(shard, "upsert", ids=names, embeddings=kept[start : start + BATCH])

    def delete(self, shard: int, numbers: Sequence[int]) -> None:
        """Delete vectors; missing ones are ignored."""
        if self._existing(shard) is None:
            return
        for start in range(0, len(numbers), _MAX_IDS):
            self._call(shard, "delete", ids=[format(number, "x") for number in numbers[start : start + _MAX_IDS]])

    def drop(self, shard: int) -> None:
        """Delete a collection, in whatever state it is."""
        self._collections.pop(shard, None)
        try:
            self._client.delete_collection(self._name(shard))
        except ValueError:
            return
        except Exception as error:
            if type(error).__name__ != "NotFoundError":
                raise VectorsUnavailable(f"collection {shard}: {_one_line(error)}") from error

    def nearest(
        self, shards: Collection[int], vector: NDArray[np.float32], limit: int, within: Collection[int] = ()
    ) -> list[tuple[int, float]]:
        """(number, cosine) of the nearest vectors, nearest first; only numbers in ``within``, if any."""
        import numpy as np

        query = np.asarray(vector[:DIMENSIONS], dtype=np.float32)
        length = float(np.linalg.norm(query))
        if not length:
            return []
        unit = [query / length]
        found: list[tuple[int, float]] = []
        names = [format(number, "x") for number in within]
        for shard in shards:
            if self._existing(shard) is None:
                continue
            limits = {"ids": names[:_MAX_IDS]} if names else {}
            answer = self._call(shard, "query", query_embeddings=unit, n_results=limit, include=["distances"], **limits)
            found += [
                (int(name, 16), 1.0 - float(distance))
                for name, distance in zip(answer["ids"][0], answer["distances"][0], strict=True)
            ]
        return heapq.nlargest(limit, found, key=lambda scored: scored[1])

    def held(self, shard: int) -> dict[int, NDArray[np.float32]]:
        """Every vector of a collection, by number."""
        collection = self._existing(shard)
        if collection is None:
            return {}
        got = collection.get(include=["embeddings"])
        return {int(name, 16): vector for name, vector in zip(got["ids"], got["embeddings"], strict=True)}

    def _name(self, shard: int) -> str:
        return f"{self._prefix}-{shard}"

    def _existing(self, shard: int) -> Any:
        """A collection; None if it was never created."""
        if shard not in self._collections:
            try:
                self._collections[shard] = self._client.get_collection(self._name(shard), embedding_function=None)
            except ValueError:
                return None
            except Exception as error:
                if type(error).__name__ == "NotFoundError":
                    return None
                raise VectorsUnavailable(f"collection {shard}: {_one_line(error)}") from error
        return self._collections[shard]

    def _call(self, shard: int, method: str, **arguments: Any) -> Any:
        try:
            if self._existing(shard) is None:
                self._collections[shard] = self._client.create_collection(
                    self._name(shard), configuration={"hnsw": _HNSW}, embedding_function=None
                )
            return getattr(self._collections[shard], method)(**arguments)
        except Exception as error:
            raise VectorsUnavailable(f"collection {shard}: {_one_line(error)}") from error


def collection_folders(place: Path) -> dict[str, Path]:
    """The folder of each collection's index, by the name of the collection; empty where that cannot be told.

    As ChromaDB 1 stores them: a folder for each vector segment, named after it.
    """
    sql = "SELECT c.name, s.id FROM segments s JOIN collections c ON s.collection = c.id WHERE s.scope = 'VECTOR'"
    database = f"file:{quote(str(place))}/chroma.sqlite3?mode=ro"
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(database, uri=True)) as db:
        return {name: place / segment for name, segment in db.execute(sql) if (place / segment).is_dir()}
    return {}


def discard(place: Path) -> None:
    """Remove a folder of vectors."""
    shutil.rmtree(place, ignore_errors=True)


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."
