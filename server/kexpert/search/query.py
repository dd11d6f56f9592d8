"""Search by meaning: words of code, words of comments and vectors find candidates, a ranker sorts them."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kexpert.core.retrieval.abbreviations import candidate_abbreviations
from kexpert.core.retrieval.chunk import CODE_KINDS, Chunk, ChunkKind
from kexpert.core.retrieval.words import query_stems
from kexpert.search.chunk_store import ChunkStore, StoredChunk
from kexpert.search.filters import ParsedQuery, allowed, matching_files, parse
from kexpert.search.schema import POSTING_LISTS_FILE, MatchIn
from kexpert.view import Hit, SearchMethod

if TYPE_CHECKING:
    from kexpert.search.posting_lists import PostingLists
    from kexpert.search.reranker import Candidate

#: Candidates that are ranked: of each retriever that compares code, and of the one that compares comments.
_CANDIDATES, _COMMENT_CANDIDATES = 100, 50
#: Candidates of each retriever if filters are applied to them afterwards.
_FILTERED_CANDIDATES = 500
#: Comments found by BM25 of which those with the best openings are ranked (as in training); the second is with filters.
_COMMENTS_COMPARED, _FILTERED_COMMENTS = 400, 800
#: Filters that leave at most this many chunks are applied beforehand: only these chunks are searched.
_MAX_CHUNKS_WITHIN = 4000
#: Longest wait for vectors; a search without them compares words.
_VECTOR_SECONDS = 2.0
#: Chunks whose neighbours are cached, and for how long.
_MAX_CACHED_CHUNKS = 256
_CACHE_SECONDS = 60.0


#: (number of a chunk, score), best first.
_Scored = list[tuple[int, float]]


class VectorIndex(Protocol):
    """The vectors of a tree."""

    def nearest(
        self, query: str | Chunk, limit: int, within: Sequence[int] = (), timeout: float = 5.0
    ) -> list[tuple[int, float]]: ...


class SymbolFacts(Protocol):
    """The part of a ``View`` that the ranker and the filters use."""

    def data(self, path: str) -> bytes | None: ...
    def files_mentioning(self, name: str) -> list[str]: ...
    def exported(self, names: Sequence[str]) -> set[str]: ...


class Searcher:
    """Searches of one tree, from any thread."""

    def __init__(
        self,
        database: Path,
        vectors: VectorIndex | None = None,
        on_damage: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._vectors = vectors
        self._on_damage = on_damage
        self._local = threading.local()
        self._lock = threading.Lock()
        self._mapped: tuple[str, PostingLists | None] = ("", None)
        self._neighbours_cache: OrderedDict[tuple[bytes, int], tuple[Future[_Scored], float]] = OrderedDict()
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="kexpert-nearest")

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    @staticmethod
    def warm() -> None:
        """Load the ranker, so that the first search does not wait for it."""
        from kexpert.search.embedder import EmbedderError
        from kexpert.search.reranker import Candidate, rerank

        with contextlib.suppress(EmbedderError, OSError):
            rerank("warm up", [Candidate("warm", ChunkKind.FUNCTION, "warm.c")])

    def find(self, facts: SymbolFacts, query: str, limit: int = 20, method: SearchMethod | None = None) -> list[Hit]:
        """The chunks that answer a query, best first. Raises FilterError."""
        parsed = parse(query)
        store = self._store()
        if store is None or not parsed.text:
            return []
        try:
            return self._find(store, facts, parsed, limit, method or SearchMethod.RERANKED)
        except sqlite3.OperationalError:
            self._local.store = None
            return []
        except sqlite3.DatabaseError:
            self._local.store = None
            self._on_damage()
            return []

    def similar(
        self, chunk: Chunk, limit: int, other_files: bool = False, timeout: float = _VECTOR_SECONDS
    ) -> list[Hit]:
        """Code most similar to ``chunk``, without itself (``other_files``: without its file).

        Empty if that takes longer than ``timeout`` seconds; the result is then cached for the next call.
        """
        store = self._store()
        if store is None or self._vectors is None:
            return []
        try:
            near = self._neighbours(chunk, 4 * limit + 20).result(timeout)
            rows = store.chunks([number for number, _ in near])
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

    def _neighbours(self, chunk: Chunk, limit: int) -> Future[_Scored]:
        """The nearest chunks of a chunk, from the cache or to come."""
        assert self._vectors is not None
        key = (chunk.content, limit)
        with self._lock:
            held = self._neighbours_cache.pop(key, None)
            if held is None or (held[0].done() and time.monotonic() - held[1] > _CACHE_SECONDS):
                held = self._threads.submit(self._vectors.nearest, chunk, limit, (), _VECTOR_SECONDS), time.monotonic()
            self._neighbours_cache[key] = held
            while len(self._neighbours_cache) > _MAX_CACHED_CHUNKS:
                self._neighbours_cache.popitem(last=False)
        return held[0]

    def _store(self) -> ChunkStore | None:
        """This thread's connection to the current database; None if there is none."""
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

    def _find(
        self, store: ChunkStore, facts: SymbolFacts, parsed: ParsedQuery, limit: int, method: SearchMethod
    ) -> list[Hit]:
        files = matching_files(parsed, store.paths, facts.data, facts.files_mentioning)
        within: list[int] = []
        if files is not None:
            within = store.chunks_of(files, parsed.kinds, _MAX_CHUNKS_WITHIN + 1)
            if not within:
                return []
        exact = 0 < len(within) <= _MAX_CHUNKS_WITHIN
        wide = _FILTERED_CANDIDATES if (parsed.kinds or files is not None) and not exact else max(_CANDIDATES, limit)
        answer = None
        if self._vectors is not None and method is not SearchMethod.BM25:
            ids = within if exact else ()
            answer = self._threads.submit(self._vectors.nearest, parsed.text, wide, ids, _VECTOR_SECONDS)
        lexical: _Scored = []
        comments: _Scored = []
        if method is not SearchMethod.VECTORS:
            words = query_stems(parsed.text)
            lexical = self._match(store, words, wide, within if exact else (), MatchIn.CODE)
            if method is SearchMethod.RERANKED:
                comments = self._comments_to_rank(store, parsed, words, files, within if exact else (), limit)
            else:
                many_comments = max(wide * _COMMENT_CANDIDATES // _CANDIDATES, limit)
                comments = self._match(store, words, many_comments, within if exact else (), MatchIn.COMMENTS)
        # read while the vectors are compared elsewhere
        rows = store.chunks(list({number: None for number, _ in (*lexical, *comments)}))
        near = answer.result() if answer else []
        rows |= store.chunks([number for number, _ in near if number not in rows])
        keep = {number for number, row in rows.items() if exact or allowed(row.path, row.kind, files, parsed.kinds)}
        many = max(_CANDIDATES, limit)
        lexical, comments, near = (
            [scored for scored in found if scored[0] in keep][:count]
            for found, count in ((lexical, many), (comments, max(_COMMENT_CANDIDATES, limit)), (near, many))
        )
        if method in (SearchMethod.BM25, SearchMethod.VECTORS):
            chosen = _summed(lexical, comments) if method is SearchMethod.BM25 else near
            return [_hit(rows[number], score) for number, score in chosen[:limit]]
        from kexpert.search.embedder import EmbedderError
        from kexpert.search.reranker import fuse, rerank

        candidates = self._candidates(facts, rows, dict(lexical), dict(comments), dict(near))
        try:
            ranked = fuse(candidates) if method is SearchMethod.FUSED else rerank(parsed.text, candidates)
        except (EmbedderError, OSError):  # the package's own data are missing; `kexpert doctor` says so
            ranked = fuse(candidates)
        return [_hit(rows[candidate.key], score) for score, candidate in ranked[:limit]]

    def _comments_to_rank(
        self,
        store: ChunkStore,
        parsed: ParsedQuery,
        words: Sequence[str],
        files: Collection[str] | None,
        within: Sequence[int],
        limit: int,
    ) -> _Scored:
        """Of the comments that BM25 finds and the filters allow, those whose opening answers best, in BM25's order."""
        from kexpert.search.embedder import EmbedderError
        from kexpert.search.reranker import best_comments

        filtered = not within and (bool(parsed.kinds) or files is not None)
        many = max(_FILTERED_COMMENTS if filtered else _COMMENTS_COMPARED, limit)
        found = self._match(store, words, many, within, MatchIn.COMMENTS)
        if filtered:
            places = store.places([number for number, _ in found])
            found = [each for each in found if each[0] in places and allowed(*places[each[0]], files, parsed.kinds)]
        count = max(_COMMENT_CANDIDATES, limit)
        if len(found) <= count:
            return found
        openings = store.openings([number for number, _ in found])
        try:
            best = best_comments(parsed.text, [openings.get(number, "") for number, _ in found], count)
        except (EmbedderError, OSError):  # the package's own data are missing
            best = list(range(count))
        return [found[at] for at in sorted(best)]

    def _match(
        self, store: ChunkStore, words: Sequence[str], limit: int, within: Sequence[int], match_in: MatchIn
    ) -> _Scored:
        """(chunk, BM25) from the posting lists, if any, and for newer chunks from FTS5, which cannot weigh words:
        there abbreviations count as much as the words of the query. Comments do not abbreviate."""
        also = candidate_abbreviations(words) if match_in is MatchIn.CODE else []
        lists = self._posting_lists(store)
        if lists is None:
            return store.match([*words, *also], limit, within, match_in=match_in)
        found = lists.match(words, limit, within, also, match_in)
        if lists.last < store.last():
            newer = store.match([*words, *also], limit, within, lists.last, match_in)
            found = sorted([*found, *newer], key=lambda scored: -scored[1])
        return found[:limit]

    def _posting_lists(self, store: ChunkStore) -> PostingLists | None:
        """The posting lists that belong to this database, mapped on first use; None if there are none."""
        wanted = store.meta("postings") or ""
        with self._lock:
            if wanted and self._mapped[0] != wanted:
                from kexpert.search.posting_lists import PostingLists, identity_of

                path = self._database.with_name(POSTING_LISTS_FILE)
                self._mapped = (wanted, None)
                if identity_of(path) == wanted:
                    with contextlib.suppress(OSError, ValueError):
                        self._mapped = (wanted, PostingLists(path))
            return self._mapped[1] if wanted else None

    def _candidates(
        self,
        facts: SymbolFacts,
        rows: dict[int, StoredChunk],
        lexical: dict[int, float],
        comments: dict[int, float],
        near: dict[int, float],
    ) -> list[Candidate]:
        from kexpert.search.reranker import Candidate

        numbers = list(dict.fromkeys([*lexical, *comments, *near]))
        names = list({rows[number].title for number in numbers if rows[number].kind is ChunkKind.FUNCTION})
        exported = facts.exported(names)
        return [
            Candidate(
                name=row.title,
                kind=row.kind,
                path=row.path,
                name_words=row.name,
                path_words=row.path_words,
                words=row.body,
                comment=row.doc,
                exported=row.title in exported,
                lexical=lexical.get(number, 0.0),
                comment_lexical=comments.get(number, 0.0),
                vector=near.get(number, 0.0),
                key=number,
            )
            for number in numbers
            for row in (rows[number],)
        ]


def _summed(lexical: _Scored, comments: _Scored) -> _Scored:
    """The sums of both scores, best first."""
    scores = dict(lexical)
    for number, score in comments:
        scores[number] = scores.get(number, 0.0) + score
    return sorted(scores.items(), key=lambda scored: (-scored[1], scored[0]))


def _hit(row: StoredChunk, score: float) -> Hit:
    return Hit(row.path, row.kind, row.title, row.line, row.start, row.end, score, row.identity)
