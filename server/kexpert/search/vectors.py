"""Vectors in ChromaDB: nothing else of kexpert knows it.

ChromaDB does its work while it holds the interpreter (half a second for some thousand vectors), keeps an index in
memory, and must not have one folder open in two processes. So a ``VectorStore`` lives in a process of its own
(``index.lane``), of which each folder has one.

What one collection costs grows with its size: adding 100,000 vectors of 256 numbers to one collection with
ChromaDB's own settings takes 1.1 ms each, adding vectors of 128 to collections of 45,000 with the settings below a
quarter of that. A query asks all collections, and each costs as much, so that fewer, larger ones are quicker to ask.
The caller says which collection ("shard") a vector belongs in.
"""

from __future__ import annotations

import heapq
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Vectors of one collection.
SHARD_CAPACITY = 80_000
#: Numbers of a vector that are stored: the first ones, which an embedder of Matryoshka's kind makes the weightiest.
DIMENSIONS = 128
#: Fewer neighbours and a shorter construction than ChromaDB's 16 and 100, for speed; a wider search makes up for it. Of
#: the 100 nearest to a question, which is unlike any chunk, a search of 100 finds 0.68 and one of 400 finds 0.89.
_HNSW: Any = {
    "space": "ip",
    "max_neighbors": 8,
    "ef_construction": 40,
    "ef_search": 400,
    "num_threads": 1,
    "batch_size": 100,
    # After so many changes the index is written to disk; what is not is read from a log at the next start.
    "sync_threshold": 2000,
    "resize_factor": 1.2,
}
#: Vectors given to ChromaDB at a time: a question waits for no more than these.
BATCH = 256
#: Numbers named in one query or deletion: each is a parameter of an SQL statement.
_MAX_NAMED = 5000


class VectorsUnavailable(Exception):
    """ChromaDB does not answer, or what it has on disk cannot be used; the message says which."""


class VectorStore:
    """Vectors of unit length by number, in collections of bounded size."""

    def __init__(self, place: Path | str, prefix: str = "kexpert") -> None:
        """``place``: a folder of this process alone, or the URL of a Chroma server, where ``prefix`` keeps the
        trees apart. Raises VectorsUnavailable."""
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
        except Exception as error:  # the bindings raise what they like
            # What could not be opened is kept under its path, and would be given out again.
            SharedSystemClient.clear_system_cache()
            raise VectorsUnavailable(f"{place}: {_brief(error)}") from error

    def close(self) -> None:
        """Let go of the files."""
        self._collections.clear()
        client: Any = self._client
        client.close()

    def count(self, shard: int) -> int:
        """How many vectors a collection holds; its index is loaded and asked, so that damage shows here."""
        collection = self._existing(shard)
        if collection is None:
            return 0
        try:
            found = int(collection.count())
            if found:
                sample = collection.get(limit=1, include=["embeddings"])["embeddings"]
                collection.query(query_embeddings=sample, n_results=1, include=["distances"])
        except Exception as error:
            raise VectorsUnavailable(f"collection {shard}: {_brief(error)}") from error
        return found

    def upsert(self, shard: int, numbers: Sequence[int], vectors: NDArray[np.float32]) -> None:
        """Write some vectors; one that is there is replaced."""
        import numpy as np

        kept = np.ascontiguousarray(vectors[:, :DIMENSIONS], dtype=np.float32)
        lengths = np.linalg.norm(kept, axis=1, keepdims=True)
        kept = kept / np.maximum(lengths, 1e-12)
        for start in range(0, len(numbers), BATCH):
            names = [format(number, "x") for number in numbers[start : start + BATCH]]
            self._do(shard, "upsert", ids=names, embeddings=kept[start : start + BATCH])

    def delete(self, shard: int, numbers: Sequence[int]) -> None:
        """Remove some vectors; those that are not there are no mistake."""
        if self._existing(shard) is None:
            return
        for start in range(0, len(numbers), _MAX_NAMED):
            self._do(shard, "delete", ids=[format(number, "x") for number in numbers[start : start + _MAX_NAMED]])

    def drop(self, shard: int) -> None:
        """Remove a collection, whatever state it is in."""
        self._collections.pop(shard, None)
        try:
            self._client.delete_collection(self._name(shard))
        except ValueError:
            return
        except Exception as error:
            if type(error).__name__ != "NotFoundError":
                raise VectorsUnavailable(f"collection {shard}: {_brief(error)}") from error

    def nearest(
        self, shards: Collection[int], vector: NDArray[np.float32], limit: int, within: Collection[int] = ()
    ) -> list[tuple[int, float]]:
        """(number, cosine) of the nearest vectors, nearest first; ``within``, if any, are the only ones looked at."""
        import numpy as np

        asked = np.asarray(vector[:DIMENSIONS], dtype=np.float32)
        length = float(np.linalg.norm(asked))
        if not length:
            return []
        wanted = [(asked / length)]
        found: list[tuple[int, float]] = []
        names = [format(number, "x") for number in within]
        for shard in shards:
            if self._existing(shard) is None:
                continue
            limits = {"ids": names[:_MAX_NAMED]} if names else {}
            answer = self._do(shard, "query", query_embeddings=wanted, n_results=limit, include=["distances"], **limits)
            found += [
                (int(name, 16), 1.0 - float(distance))
                for name, distance in zip(answer["ids"][0], answer["distances"][0], strict=True)
            ]
        return heapq.nlargest(limit, found, key=lambda one: one[1])

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
        """A collection, None if it was never made."""
        if shard not in self._collections:
            try:
                self._collections[shard] = self._client.get_collection(self._name(shard), embedding_function=None)
            except ValueError:
                return None
            except Exception as error:
                if type(error).__name__ == "NotFoundError":
                    return None
                raise VectorsUnavailable(f"collection {shard}: {_brief(error)}") from error
        return self._collections[shard]

    def _do(self, shard: int, what: str, **arguments: Any) -> Any:
        try:
            if self._existing(shard) is None:
                self._collections[shard] = self._client.create_collection(
                    self._name(shard), configuration={"hnsw": _HNSW}, embedding_function=None
                )
            return getattr(self._collections[shard], what)(**arguments)
        except Exception as error:
            raise VectorsUnavailable(f"collection {shard}: {_brief(error)}") from error


def discard(place: Path) -> None:
    """Remove a folder of vectors that cannot be used."""
    shutil.rmtree(place, ignore_errors=True)


def _brief(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."
