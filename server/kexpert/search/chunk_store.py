"""The chunks of a tree and their words in ``search.db``: SQLite FTS5 over split identifiers.

The database also knows the file of each chunk, the ChromaDB collection ("shard") of its vector, and which vectors
are still to be written (``pending_writes``) or deleted (``pending_deletes``). Both are recorded in the transaction
that changes the chunks and removed when ChromaDB has done it, so after a kill the next start knows what is left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from kexpert.background.database import Database
from kexpert.background.file_identity import FileIdentity
from kexpert.core.retrieval.chunk import Chunk, ChunkKind
from kexpert.core.retrieval.words import stems
from kexpert.search import schema as search_schema
from kexpert.search.schema import COLUMNS, MatchIn, stems_of

#: Rows that FTS5 may score for one query: about 30 ms.
_MAX_SCORED_ROWS = 20_000
#: The frequencies of words in more chunks are stored: counting a long posting list means walking it.
_MIN_FREQUENT_CHUNKS = 2_000
#: Parameters of one SQL statement.
_MAX_PARAMETERS = 500
#: Characters of a comment's stems that hold its first sentence.
_OPENING_CHARACTERS = 240
#: Chunks of which the average length is taken.
_SAMPLE_CHUNKS = 50_000

#: Meta entry: what the names of the collections in the tree's own folders begin with, if not with the tree's id.
COLLECTIONS_KEY = "collections"

_KINDS = {int(kind): kind for kind in ChunkKind}


class FileChunks(NamedTuple):
    """A file of the tree and its chunks."""

    path: str
    identity: FileIdentity
    chunks: list[Chunk]


class NewChunk(NamedTuple):
    """A chunk whose vector is to be written, with its number and the collection for the vector."""

    id: int
    shard: int
    chunk: Chunk


class Shard(NamedTuple):
    """A ChromaDB collection. ``vectors``: how many it was given. ``dirty``: its writer may have been killed."""

    number: int
    vectors: int
    dirty: bool


@dataclass(frozen=True, slots=True)
class VectorChanges:
    """Vectors to write, and (number, collection) of vectors to delete."""

    new: list[NewChunk]
    deletes: list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """A stored chunk with its stems, as its file was when it was indexed."""

    id: int
    path: str
    kind: ChunkKind
    line: int  # 0-based
    start: int
    end: int
    title: str
    name: str
    doc: str
    body: str
    path_words: str
    identity: FileIdentity


class ChunkStore(Database):
    """One connection to a tree's search database. Not shared between threads."""

    schema = search_schema.SCHEMA
    tables = ("chunks",)

    @classmethod
    def version(cls) -> str:
        return str(search_schema.SEARCH_VERSION)

    def finish(self) -> None:
        """Mark the database as complete, and store the frequencies of frequent words."""
        self.db.execute("BEGIN IMMEDIATE")
        self.db.execute("DELETE FROM frequent")
        self.db.execute(f"INSERT INTO frequent SELECT term, doc FROM vocabulary WHERE doc >= {_MIN_FREQUENT_CHUNKS}")
        self.set_meta("complete", "1")
        self.db.execute("COMMIT")
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    # -- files ----------------------------------------------------------------------------------

    def files(self) -> dict[str, FileIdentity]:
        """Every file by path, with its identity when it was read."""
        return {
            path: FileIdentity(size, mtime_ns)
            for path, size, mtime_ns in self.db.execute("SELECT path, size, mtime_ns FROM files")
        }

    def file(self, path: str) -> FileIdentity | None:
        row = self.db.execute("SELECT size, mtime_ns FROM files WHERE path = ?", (path,)).fetchone()
        return FileIdentity(*row) if row else None

    def unfinished(self) -> list[str]:
        """Paths of files with vectors that are still to be written."""
        return [
            row[0]
            for row in self.db.execute(
                "SELECT DISTINCT f.path FROM pending_writes p JOIN chunks c ON c.id = p.id"
                " JOIN files f ON f.id = c.file"
            )
        ]

    def write(self, batch: Iterable[FileChunks], gone: Iterable[str], worker: int, capacity: int) -> VectorChanges:
        """Replace the chunks of some files and drop those of others, all or nothing.

        An unchanged chunk keeps its number and its vector. Returns what is to be done in ChromaDB, which stays
        recorded until ``settle``. ``capacity``: vectors of one collection. Nothing is deleted from a full one.
        """
        new: list[NewChunk] = []
        deletes: list[tuple[int, int]] = []
        self.db.execute("BEGIN IMMEDIATE")
        try:
            shards = _ShardAllocator(self, worker, capacity)
            for path in gone:
                deletes += self._drop_file(path)
            for file in batch:
                self._write_file(file, new, deletes, shards)
            self.db.executemany("INSERT OR IGNORE INTO pending_writes VALUES (?)", [(chunk.id,) for chunk in new])
            self.db.executemany("INSERT OR IGNORE INTO pending_deletes VALUES (?, ?)", deletes)
            full = self.full_shards(capacity)
            deletes = [delete for delete in deletes if delete[1] not in full]
            self.db.executemany(
                "UPDATE shards SET dirty = 1 WHERE number = ?",
                [(shard,) for shard in {chunk.shard for chunk in new} | {shard for _, shard in deletes}],
            )
            self.db.execute("COMMIT")
        except BaseException:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise
        return VectorChanges(new, deletes)

    def settle(self, changes: VectorChanges) -> None:
        """Record that ChromaDB has made these changes."""
        self.db.execute("BEGIN IMMEDIATE")
        self.db.executemany("DELETE FROM pending_writes WHERE id = ?", [(chunk.id,) for chunk in changes.new])
        self.db.executemany("DELETE FROM pending_deletes WHERE id = ?", [(number,) for number, _ in changes.deletes])
        counts = Counter(chunk.shard for chunk in changes.new)
        for number in {*counts, *(shard for _, shard in changes.deletes)}:
            self.db.execute(
                "UPDATE shards SET dirty = 0, vectors = vectors + ? WHERE number = ?", (counts[number], number)
            )
        self.db.execute("COMMIT")

    def _write_file(
        self, file: FileChunks, new: list[NewChunk], deletes: list[tuple[int, int]], shards: _ShardAllocator
    ) -> None:
        """Write one file, adding to the vectors to write and to delete."""
        db = self.db
        row = db.execute("SELECT id FROM files WHERE path = ?", (file.path,)).fetchone()
        if row is None:
            words = " ".join(stems(file.path))
            number = db.execute(
                "INSERT INTO files (path, size, mtime_ns, words) VALUES (?, ?, ?, ?)",
                (file.path, *file.identity, words),
            ).lastrowid
            old: dict[bytes, tuple[int, int, bool]] = {}
        else:
            (number,) = row
            db.execute("UPDATE files SET size = ?, mtime_ns = ? WHERE id = ?", (*file.identity, number))
            (words,) = db.execute("SELECT words FROM files WHERE id = ?", (number,)).fetchone()
            old = {
                key: (chunk, shard, pending is not None)
                for chunk, key, shard, pending in db.execute(
                    "SELECT c.id, c.key, c.shard, p.id FROM chunks c LEFT JOIN pending_writes p ON p.id = c.id"
                    " WHERE c.file = ?",
                    (number,),
                )
            }
        for chunk in file.chunks:
            key = bytes.fromhex(chunk.id)
            known = old.pop(key, None)
            if known is None:
                texts = stems_of(chunk)
                shard = shards.take()
                held = db.execute(
                    "INSERT INTO chunks (file, kind, key, shard, line, start, end, title, name, doc, body)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (number, int(chunk.kind), key, shard, chunk.line, chunk.start, chunk.end, chunk.name, *texts),
                ).lastrowid
                assert held is not None
                db.execute(
                    "INSERT INTO words (rowid, name, doc, body, path) VALUES (?, ?, ?, ?, ?)", (held, *texts, words)
                )
                new.append(NewChunk(held, shard, chunk))
            else:
                held, shard, is_pending = known
                db.execute(
                    "UPDATE chunks SET line = ?, start = ?, end = ? WHERE id = ?",
                    (chunk.line, chunk.start, chunk.end, held),
                )
                if is_pending:
                    new.append(NewChunk(held, shard, chunk))
        if old:
            self._drop_chunks([held for held, _, _ in old.values()])
            deletes += [(held, shard) for held, shard, _ in old.values()]

    def _drop_file(self, path: str) -> list[tuple[int, int]]:
        """Drop a file; returns (number, collection) of the vectors to delete."""
        row = self.db.execute("SELECT id FROM files WHERE path = ?", (path,)).fetchone()
        if row is None:
            return []
        held = self.db.execute("SELECT id, shard FROM chunks WHERE file = ?", row).fetchall()
        self._drop_chunks([number for number, _ in held])
        self.db.execute("DELETE FROM files WHERE id = ?", row)
        return held

    def _drop_chunks(self, numbers: list[int]) -> None:
        rows = [(number,) for number in numbers]
        self.db.executemany(
            "INSERT INTO words (words, rowid, name, doc, body, path)"
            " SELECT 'delete', id, name, doc, body, path FROM texts WHERE id = ?",
            rows,
        )
        self.db.executemany("DELETE FROM chunks WHERE id = ?", rows)
        self.db.executemany("DELETE FROM pending_writes WHERE id = ?", rows)

    # -- collections of vectors ----------------------------------------------------------------

    @property
    def collections_prefix(self) -> str:
        """What the names of the collections in the tree's own folders begin with."""
        return self.meta(COLLECTIONS_KEY) or tree_prefix(self.path.parent)

    def shards(self, worker: int | None = None) -> list[Shard]:
        """The collections of a worker, or all."""
        rows = self.db.execute(
            "SELECT number, vectors, dirty FROM shards WHERE worker = coalesce(?, worker) ORDER BY number", (worker,)
        )
        return [Shard(number, vectors, bool(dirty)) for number, vectors, dirty in rows]

    def full_shards(self, capacity: int) -> set[int]:
        """The collections whose files are not written any more, so that trees may share them: their superseded
        vectors stay."""
        return {row[0] for row in self.db.execute("SELECT number FROM shards WHERE vectors >= ?", (capacity,))}

    def superseded_share(self) -> float:
        """The share of all vectors that are superseded and were not deleted."""
        row = self.db.execute(
            "SELECT (SELECT count(*) FROM pending_deletes), (SELECT coalesce(sum(vectors), 0) FROM shards)"
        ).fetchone()
        return min(1.0, int(row[0]) / max(int(row[1]), 1))

    def vectors_in(self, shard: int) -> int:
        """The number of vectors that a collection should hold."""
        row = self.db.execute(
            "SELECT count(*) - count(p.id) FROM chunks c LEFT JOIN pending_writes p ON p.id = c.id WHERE c.shard = ?",
            (shard,),
        ).fetchone()
        return int(row[0])

    def pending_deletes(self, worker: int) -> list[tuple[int, int]]:
        """(number, collection) of a worker's vectors that are still to be deleted."""
        return self.db.execute(
            "SELECT d.id, d.shard FROM pending_deletes d JOIN shards s ON s.number = d.shard WHERE s.worker = ?",
            (worker,),
        ).fetchall()

    def mark_missing(self, numbers: Collection[int]) -> None:
        """Record that these collections are gone: all their vectors are to be written again."""
        marks = ",".join("?" * len(numbers))
        self.db.execute("BEGIN IMMEDIATE")
        self.db.execute(
            f"INSERT OR IGNORE INTO pending_writes SELECT id FROM chunks WHERE shard IN ({marks})", [*numbers]
        )
        self.db.execute(f"DELETE FROM pending_deletes WHERE shard IN ({marks})", [*numbers])
        self.db.execute(f"UPDATE shards SET dirty = 0, vectors = 0 WHERE number IN ({marks})", [*numbers])
        self.db.execute("COMMIT")

    def mark_clean(self, numbers: Iterable[int]) -> None:
        """Record that the writer of these collections stopped in good order."""
        self.db.executemany("UPDATE shards SET dirty = 0 WHERE number = ?", [(number,) for number in numbers])

    def counts(self) -> tuple[int, int]:
        """(number of chunks, number of their vectors that are still to be written)"""
        row = self.db.execute("SELECT (SELECT count(*) FROM chunks), (SELECT count(*) FROM pending_writes)").fetchone()
        return int(row[0]), int(row[1])

    # -- queries --------------------------------------------------------------------------------

    def chunks(self, numbers: Sequence[int]) -> dict[int, StoredChunk]:
        """Chunks by number; those that are gone are left out."""
        query = (
            "SELECT c.id, f.path, c.kind, c.line, c.start, c.end, c.title, c.name, c.doc, c.body, f.words,"
            " f.size, f.mtime_ns FROM chunks c JOIN files f ON f.id = c.file WHERE c.id IN (%s)"
        )
        found: dict[int, StoredChunk] = {}
        for row in self._select(query, numbers):
            fields: list[Any] = [*row[:2], _KINDS[row[2]], *row[3:11], FileIdentity(*row[11:])]
            found[row[0]] = StoredChunk(*fields)
        return found

    def places(self, numbers: Sequence[int]) -> dict[int, tuple[str, ChunkKind]]:
        """(path, kind) of chunks by number; those that are gone are left out."""
        query = "SELECT c.id, f.path, c.kind FROM chunks c JOIN files f ON f.id = c.file WHERE c.id IN (%s)"
        return {number: (path, _KINDS[kind]) for number, path, kind in self._select(query, numbers)}

    def openings(self, numbers: Sequence[int]) -> dict[int, str]:
        """The first stems of the comments of chunks, by number; those that are gone are left out."""
        query = f"SELECT id, substr(doc, 1, {_OPENING_CHARACTERS}) FROM chunks WHERE id IN (%s)"
        return {row[0]: row[1] for row in self._select(query, numbers)}

    def _select(self, query: str, numbers: Sequence[int]) -> Iterator[tuple[Any, ...]]:
        """The rows of a query in which ``%s`` stands for the numbers of chunks."""
        for start in range(0, len(numbers), _MAX_PARAMETERS):
            part = numbers[start : start + _MAX_PARAMETERS]
            yield from self.db.execute(query % ",".join("?" * len(part)), part)

    def paths(self, glob: str) -> list[str]:
        """Paths of files that match an SQL GLOB."""
        return [row[0] for row in self.db.execute("SELECT path FROM files WHERE path GLOB ?", (glob,))]

    def chunks_of(self, paths: Collection[str], kinds: Collection[ChunkKind], limit: int) -> list[int]:
        """Numbers of the chunks of some files, at most ``limit``; of ``kinds`` only, if any."""
        of_kind = f"AND kind IN ({','.join(str(int(kind)) for kind in kinds)})" if kinds else ""
        found: list[int] = []
        wanted = list(paths)
        for start in range(0, len(wanted), _MAX_PARAMETERS):
            part = wanted[start : start + _MAX_PARAMETERS]
            marks = ",".join("?" * len(part))
            rows = self.db.execute(
                f"SELECT id FROM chunks WHERE file IN (SELECT id FROM files WHERE path IN ({marks})) {of_kind} LIMIT ?",
                (*part, limit - len(found)),
            )
            found += [row[0] for row in rows]
            if len(found) >= limit:
                break
        return found

    def average_length(self, match_in: MatchIn) -> float:
        """The average number of words in some columns of the chunks that have any there, estimated from the number of
        spaces."""
        columns = [COLUMNS[at] for at in match_in.columns]
        words = " + ".join(f"length({each}) - length(replace({each}, ' ', '')) + ({each} != '')" for each in columns)
        row = self.db.execute(
            f"SELECT avg(words) FROM (SELECT {words} AS words FROM texts LIMIT ?) WHERE words > 0", (_SAMPLE_CHUNKS,)
        ).fetchone()
        return float(row[0] or 0.0)

    def texts(self, after: int, limit: int) -> list[tuple[int, str, str, str, str]]:
        """(number, name, doc, body, path) of the chunks with higher numbers than ``after``, as stems."""
        return self.db.execute(
            "SELECT id, name, doc, body, path FROM texts WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
        ).fetchall()

    def last(self) -> int:
        """The highest number of a chunk; 0 if there is none."""
        return int(self.db.execute("SELECT coalesce(max(id), 0) FROM chunks").fetchone()[0])

    def frequency(self, word: str) -> int:
        """The number of chunks that hold a word (for a frequent one: when the tree was first read)."""
        row = self.db.execute("SELECT chunks FROM frequent WHERE word = ?", (word,)).fetchone()
        if row is None:
            row = self.db.execute("SELECT doc FROM vocabulary WHERE term = ?", (word,)).fetchone()
        return row[0] if row else 0

    def match(
        self,
        words: Iterable[str],
        limit: int,
        within: Sequence[int] = (),
        after: int = 0,
        match_in: MatchIn = MatchIn.CODE,
    ) -> list[tuple[int, float]]:
        """(chunk, BM25) of the best matches, best first; only chunks in ``within``, if any, and above ``after``.

        FTS5 scores each row that holds a word. Without ``within`` and ``after``, which bound the rows, the rarest
        words choose the candidates.
        """
        known = sorted((count, word) for word in dict.fromkeys(words) if (count := self.frequency(word)))
        if not known:
            return []
        chosen: list[str] = []
        scored = 0
        for count, word in known:
            if chosen and not (within or after) and scored + count > _MAX_SCORED_ROWS:
                break
            chosen.append(word)
            scored += count
        expression = " OR ".join(f'"{word}"' for word in chosen)
        if scored > _MAX_SCORED_ROWS and not (within or after) and len(known) > 1:
            expression = f'"{known[0][1]}" AND "{known[1][1]}"'
        columns = " ".join(COLUMNS[at] for at in match_in.columns)
        expression = f"{{{columns}}} : ({expression})"
        weights = ", ".join(map(str, match_in.value))
        only = f"AND +rowid IN ({','.join(map(str, within))})" if within else ""
        if after:
            only += f" AND rowid > {after:d}"
        return [
            (number, -score)
            for number, score in self.db.execute(
                f"SELECT rowid, bm25(words, {weights}) AS score FROM words WHERE words MATCH ?"
                f" {only} ORDER BY score LIMIT ?",
                (expression, limit),
            )
        ]


def tree_prefix(directory: Path) -> str:
    """What the names of a tree's collections begin with on a server, which several trees may use."""
    return directory.name[-80:].strip("._-")


class _ShardAllocator:
    """Gives new vectors a place: in a worker's last collection, then in new ones. Used inside a transaction."""

    def __init__(self, store: ChunkStore, worker: int, capacity: int) -> None:
        self._db, self._worker, self._capacity = store.db, worker, capacity
        row = self._db.execute(
            "SELECT number, vectors FROM shards WHERE worker = ? ORDER BY number DESC LIMIT 1", (worker,)
        ).fetchone()
        self._shard: int = row[0] if row else 0
        self._left: int = capacity - row[1] if row else 0

    def take(self) -> int:
        """The collection for one more vector."""
        if self._left <= 0:
            number = self._db.execute(
                "INSERT INTO shards (worker, vectors, dirty) VALUES (?, 0, 0)", (self._worker,)
            ).lastrowid
            assert number is not None
            self._shard, self._left = number, self._capacity
        self._left -= 1
        return self._shard
