"""Search by meaning: words and vectors find candidates, ranking puts them in order."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kexpert.core.retrieval.abbreviations import candidate_abbreviations
from kexpert.core.retrieval.chunk import CODE_KINDS, Chunk, ChunkKind
from kexpert.core.retrieval.words import query_stems
from kexpert.search.chunk_store import POSTINGS, ChunkStore, Row
from kexpert.search.filters import Question, allowed, files_meant, parse
from kexpert.view import Hit, SearchMethod

if TYPE_CHECKING:
    from kexpert.search.posting_lists import Postings
    from kexpert.search.reranker import Candidate

#: Candidates of each kind that ranking sees.
_CANDIDATES = 100
#: And where filters are applied to what was found, because they leave too much to be named.
_WIDE = 500
#: So many chunks are named one by one in a search among them alone.
_NAMED = 4000
#: Vectors that are not there by then are done without: seconds.
_PATIENCE = 2.0
#: Chunks whose neighbours are remembered, and for how long.
_REMEMBERED = 256
_REMEMBERED_SECONDS = 60.0


class Near(Protocol):
    """Who knows the vectors."""

    def near(
        self, what: str | Chunk, limit: int, within: Sequence[int] = (), timeout: float = 5.0
    ) -> list[tuple[int, float]]: ...


class Facts(Protocol):
    """What ranking and filters ask of the symbol index; ``index.query.View`` answers it."""

    def data(self, path: str) -> bytes | None: ...
    def files_mentioning(self, name: str) -> list[str]: ...
    def exported(self, names: Sequence[str]) -> set[str]: ...


class Searcher:
    """Searches of one tree, from any thread."""

    def __init__(
        self,
        database: Path,
        vectors: Near | None = None,
        on_damage: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._vectors = vectors
        self._on_damage = on_damage
        self._local = threading.local()
        self._lock = threading.Lock()
        self._mapped: tuple[str, Postings | None] = ("", None)
        self._remembered: OrderedDict[tuple[bytes, int], tuple[Future[list[tuple[int, float]]], float]] = OrderedDict()
        self._asking = ThreadPoolExecutor(2, thread_name_prefix="kexpert-near")

    def close(self) -> None:
        self._asking.shutdown(wait=False, cancel_futures=True)

    @staticmethod
    def warm() -> None:
        """Load what ranking needs, so that the first search does not wait for it."""
        from kexpert.search.embedder import EmbedderError
        from kexpert.search.reranker import Candidate, rerank

        with contextlib.suppress(EmbedderError, OSError):
            rerank("warm up", [Candidate("warm", ChunkKind.FUNCTION, "warm.c")])

    def find(self, facts: Facts, query: str, limit: int = 20, method: SearchMethod | None = None) -> list[Hit]:
        """The chunks that a question means, best first. Raises FilterError."""
        question = parse(query)
        store = self._store()
        if store is None or not question.text:
            return []
        try:
            return self._find(store, facts, question, limit, method or SearchMethod.RERANKED)
        except sqlite3.OperationalError:
            self._local.store = None
            return []
        except sqlite3.DatabaseError:
            self._local.store = None
            self._on_damage()
            return []

    def similar(self, chunk: Chunk, limit: int, other_files: bool = False, timeout: float = _PATIENCE) -> list[Hit]:
        """The code that a piece of code is most like, itself left out; ``other_files``: its whole file. Nothing
        where that takes longer than ``timeout``: it is remembered then, and there when it is asked for again."""
        store = self._store()
        if store is None or self._vectors is None:
            return []
        try:
            near = self._neighbours(chunk, 4 * limit + 20).result(timeout)
            rows = store.rows([number for number, _ in near])
        except (TimeoutError, sqlite3.Error):
            return []
        found = []
        for number, score in near:
            row = rows.get(number)
            if row is None or row.kind not in CODE_KINDS or (other_files and row.path == chunk.path):
                continue
            if row.path == chunk.path and row.start < chunk.end and chunk.start < row.end:
                continue
            found.append(_hit(row, score))
        return found[:limit]

    def _neighbours(self, chunk: Chunk, limit: int) -> Future[list[tuple[int, float]]]:
        """What is near a chunk, asked for now or, not long ago, before."""
        assert self._vectors is not None
        key = (chunk.content, limit)
        with self._lock:
            held = self._remembered.pop(key, None)
            if held is None or (held[0].done() and time.monotonic() - held[1] > _REMEMBERED_SECONDS):
                held = self._asking.submit(self._vectors.near, chunk, limit, (), _PATIENCE), time.monotonic()
            self._remembered[key] = held
            while len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)
        return held[0]

    def _store(self) -> ChunkStore | None:
        """This thread's connection, to the database that is there now."""
        try:
            inode = self._database.stat().st_ino
        except OSError:
            return None
        held: tuple[int, ChunkStore] | None = getattr(self._local, "store", None)
        if held is None or held[0] != inode:
            try:
                store = ChunkStore(self._database, readonly=True)
                store.db.execute("PRAGMA cache_size = -32000")
            except sqlite3.Error:
                return None
            held = self._local.store = (inode, store)
        return held[1]

    def _find(self, store: ChunkStore, facts: Facts, question: Question, limit: int, method: SearchMethod) -> list[Hit]:
        files = files_meant(question, store.paths, facts.data, facts.files_mentioning)
        within: list[int] = []
        if files is not None:
            within = store.chunks_of(files, question.kinds, _NAMED + 1)
            if not within:
                return []
        exact = 0 < len(within) <= _NAMED
        wide = _WIDE if (question.kinds or files is not None) and not exact else max(_CANDIDATES, limit)
        asked = None
        if self._vectors is not None and method is not SearchMethod.BM25:
            asked = self._asking.submit(self._vectors.near, question.text, wide, within if exact else (), _PATIENCE)
        words = query_stems(question.text)
        lexical = self._match(store, words, wide, within if exact else ()) if method is not SearchMethod.VECTORS else []
        rows = store.rows([number for number, _ in lexical])  # while the vectors are compared elsewhere
        near = asked.result() if asked else []
        rows |= store.rows([number for number, _ in near if number not in rows])
        if not exact:
            keep = {number for number, row in rows.items() if allowed(row.path, row.kind, files, question.kinds)}
            lexical = [one for one in lexical if one[0] in keep][: max(_CANDIDATES, limit)]
            near = [one for one in near if one[0] in keep][: max(_CANDIDATES, limit)]
        lexical = [one for one in lexical if one[0] in rows]
        near = [one for one in near if one[0] in rows]
        if method in (SearchMethod.BM25, SearchMethod.VECTORS):
            chosen = lexical if method is SearchMethod.BM25 else near
            return [_hit(rows[number], score) for number, score in chosen[:limit]]
        from kexpert.search.embedder import EmbedderError
        from kexpert.search.reranker import fuse, rerank

        candidates = self._candidates(facts, rows, dict(lexical), dict(near))
        try:
            ranked = fuse(candidates) if method is SearchMethod.FUSED else rerank(question.text, candidates)
        except (EmbedderError, OSError):  # the package's own data are missing, which `kexpert doctor` says
            ranked = fuse(candidates)
        return [_hit(rows[candidate.key], score) for score, candidate in ranked[:limit]]

    def _match(
        self, store: ChunkStore, words: Sequence[str], limit: int, within: Sequence[int]
    ) -> list[tuple[int, float]]:
        """(chunk, BM25): of the posting lists where they are there, and what is newer of the database, which cannot
        weigh words: abbreviations count there as much as what is asked itself."""
        also = candidate_abbreviations(words)
        postings = self._postings(store)
        if postings is None:
            return store.match([*words, *also], limit, within)
        found = postings.match(words, limit, within, also)
        if postings.last < store.last():
            newer = store.match([*words, *also], limit, within, after=postings.last)
            found = sorted([*found, *newer], key=lambda one: -one[1])
        return found[:limit]

    def _postings(self, store: ChunkStore) -> Postings | None:
        """The posting lists that belong to this database; they are mapped when first wanted."""
        wanted = store.meta("postings") or ""
        with self._lock:
            if wanted and self._mapped[0] != wanted:
                from kexpert.search.posting_lists import Postings, identity

                path = self._database.with_name(POSTINGS)
                self._mapped = (wanted, None)
                if identity(path) == wanted:
                    with contextlib.suppress(OSError, ValueError):
                        self._mapped = (wanted, Postings(path))
            return self._mapped[1] if wanted else None

    def _candidates(
        self, facts: Facts, rows: dict[int, Row], lexical: dict[int, float], near: dict[int, float]
    ) -> list[Candidate]:
        from kexpert.search.reranker import Candidate

        numbers = list(dict.fromkeys([*lexical, *near]))
        names = list({rows[number].title for number in numbers if rows[number].kind is ChunkKind.FUNCTION})
        exported = facts.exported(names)
        return [
            Candidate(
                name=row.title,
                kind=row.kind,
                path=row.path,
                words=row.body,
                summary=row.doc,
                exported=row.title in exported,
                lexical=lexical.get(number, 0.0),
                vector=near.get(number, 0.0),
                key=number,
            )
            for number in numbers
            for row in (rows[number],)
        ]


def _hit(row: Row, score: float) -> Hit:
    return Hit(row.path, row.kind, row.title, row.line, row.start, row.end, score, (row.size, row.mtime_ns))
