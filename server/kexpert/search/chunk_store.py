"""The chunks of a tree and the words they hold: SQLite FTS5 over split identifiers, in ``search.db``.

It lies beside the symbol index and knows which file each chunk is from, in which collection of
ChromaDB its vector belongs, and which vectors are still to be written (``pending``) or removed
(``doomed``). Both are recorded in the transaction that changes the chunks and taken back when ChromaDB has
them, so that after a kill the next start knows what is left to do.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from kexpert.background.database import Database
from kexpert.core.retrieval import chunk as chunk_module
from kexpert.core.retrieval import words as words_module
from kexpert.core.retrieval.chunk import Chunk, ChunkKind
from kexpert.core.retrieval.words import pieces, stem, stems, words_of

#: Bump when what is stored changes: older databases are rebuilt.
#: 1: first layout.
SEARCH_VERSION = 1

#: The file of posting lists beside a search database.
POSTINGS = "search.postings"
#: Weights of the columns name, doc, body, path in bm25.
WEIGHTS = (8.0, 2.0, 1.0, 2.0)
#: Rows that one query may have scored: some 30 ms.
_SCORED = 20_000
#: From here on a word's frequency is looked up in a table: to count a long posting list is to walk it.
_FREQUENT = 2_000

_KINDS = {int(kind): kind for kind in ChunkKind}

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE files (id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, size INTEGER, mtime_ns INTEGER, words TEXT);
CREATE TABLE chunks (id INTEGER PRIMARY KEY AUTOINCREMENT, file INTEGER, kind INTEGER, key BLOB, shard INTEGER,
                     line INTEGER, start INTEGER, end INTEGER, title TEXT, name TEXT, doc TEXT, body TEXT);
CREATE INDEX chunks_by_file ON chunks (file, kind);
CREATE INDEX chunks_by_shard ON chunks (shard);
CREATE TABLE pending (id INTEGER PRIMARY KEY);
CREATE TABLE doomed (id INTEGER PRIMARY KEY, shard INTEGER);
-- vectors: how many a collection was given; torn: it is being written, or its writer was killed at that
CREATE TABLE shards (number INTEGER PRIMARY KEY, lane INTEGER, vectors INTEGER, torn INTEGER);
CREATE TABLE frequent (word TEXT PRIMARY KEY, chunks INTEGER) WITHOUT ROWID;
CREATE VIEW texts AS SELECT c.id AS id, c.name AS name, c.doc AS doc, c.body AS body, f.words AS path
                     FROM chunks c JOIN files f ON f.id = c.file;
CREATE VIRTUAL TABLE words USING fts5(name, doc, body, path, content='texts', content_rowid='id', tokenize='ascii');
CREATE VIRTUAL TABLE vocabulary USING fts5vocab(words, 'row');
"""


class FileChunks(NamedTuple):
    """A file of the tree and what it is cut into; no chunks for one that is gone."""

    path: str
    size: int
    mtime_ns: int
    chunks: list[Chunk]


class NewChunk(NamedTuple):
    """A chunk whose vector is to be written, with the number under which it is stored."""

    id: int
    shard: int
    chunk: Chunk


@dataclass(frozen=True, slots=True)
class Row:
    """A stored chunk, with its words as they were when its file was indexed."""

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
    size: int
    mtime_ns: int


class ChunkStore(Database):
    """One connection to a tree's search database. Not shared between threads."""

    schema = _SCHEMA
    tables = ("chunks",)

    @classmethod
    def version(cls) -> str:
        return version()

    def finish(self) -> None:
        """The tree is read: note the frequent words, so that no query walks their lists to count them."""
        self.db.execute("BEGIN IMMEDIATE")
        self.db.execute("DELETE FROM frequent")
        self.db.execute(f"INSERT INTO frequent SELECT term, doc FROM vocabulary WHERE doc >= {_FREQUENT}")
        self.set_meta("complete", "1")
        self.db.execute("COMMIT")
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    # -- files ----------------------------------------------------------------------------------

    def files(self) -> dict[str, tuple[int, int]]:
        """path -> (size, mtime_ns) of every file as it was when it was read."""
        return {row[0]: row[1:] for row in self.db.execute("SELECT path, size, mtime_ns FROM files")}

    def file(self, path: str) -> tuple[int, int] | None:
        row = self.db.execute("SELECT size, mtime_ns FROM files WHERE path = ?", (path,)).fetchone()
        return tuple(row) if row else None

    def unfinished(self) -> list[str]:
        """Files some of whose vectors are not written yet."""
        return [
            row[0]
            for row in self.db.execute(
                "SELECT DISTINCT f.path FROM pending p JOIN chunks c ON c.id = p.id JOIN files f ON f.id = c.file"
            )
        ]

    def write(self, batch: Iterable[FileChunks], gone: Iterable[str], lane: int, capacity: int) -> Changes:
        """Replace some files' chunks and drop other files', all or nothing. A chunk that is as it was
        keeps its number and its vector; what is to be done in ChromaDB is returned, and recorded until
        ``settle`` says that it is done."""
        new: list[NewChunk] = []
        doomed: list[tuple[int, int]] = []
        self.db.execute("BEGIN IMMEDIATE")
        try:
            room = _Room(self, lane, capacity)
            for path in gone:
                doomed += self._drop_file(path)
            for file in batch:
                self._write_file(file, new, doomed, room)
            self.db.executemany("INSERT OR IGNORE INTO pending VALUES (?)", [(one.id,) for one in new])
            self.db.executemany("INSERT OR IGNORE INTO doomed VALUES (?, ?)", doomed)
            self.db.executemany(
                "UPDATE shards SET torn = 1 WHERE number = ?",
                [(shard,) for shard in {one.shard for one in new} | {shard for _, shard in doomed}],
            )
            self.db.execute("COMMIT")
        except BaseException:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise
        return Changes(new, doomed)

    def settle(self, changes: Changes) -> None:
        """ChromaDB has these changes."""
        self.db.execute("BEGIN IMMEDIATE")
        self.db.executemany("DELETE FROM pending WHERE id = ?", [(one.id,) for one in changes.new])
        self.db.executemany("DELETE FROM doomed WHERE id = ?", [(number,) for number, _ in changes.doomed])
        counts = Counter(one.shard for one in changes.new)
        for number in {*counts, *(shard for _, shard in changes.doomed)}:
            self.db.execute(
                "UPDATE shards SET torn = 0, vectors = vectors + ? WHERE number = ?", (counts[number], number)
            )
        self.db.execute("COMMIT")

    def _write_file(self, file: FileChunks, new: list[NewChunk], doomed: list[tuple[int, int]], room: _Room) -> None:
        db = self.db
        row = db.execute("SELECT id FROM files WHERE path = ?", (file.path,)).fetchone()
        if row is None:
            words = " ".join(stems(file.path))
            number = db.execute(
                "INSERT INTO files (path, size, mtime_ns, words) VALUES (?, ?, ?, ?)",
                (file.path, file.size, file.mtime_ns, words),
            ).lastrowid
            old: dict[bytes, tuple[int, int, bool]] = {}
        else:
            (number,) = row
            db.execute("UPDATE files SET size = ?, mtime_ns = ? WHERE id = ?", (file.size, file.mtime_ns, number))
            (words,) = db.execute("SELECT words FROM files WHERE id = ?", (number,)).fetchone()
            old = {
                key: (chunk, shard, waits is not None)
                for chunk, key, shard, waits in db.execute(
                    "SELECT c.id, c.key, c.shard, p.id FROM chunks c LEFT JOIN pending p ON p.id = c.id"
                    " WHERE c.file = ?",
                    (number,),
                )
            }
        for chunk in file.chunks:
            key = bytes.fromhex(chunk.id)
            known = old.pop(key, None)
            if known is None:
                texts = texts_of(chunk)
                shard = room.take()
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
                held, shard, waits = known
                db.execute(
                    "UPDATE chunks SET line = ?, start = ?, end = ? WHERE id = ?",
                    (chunk.line, chunk.start, chunk.end, held),
                )
                if waits:
                    new.append(NewChunk(held, shard, chunk))
        if old:
            self._drop_chunks([held for held, _, _ in old.values()])
            doomed += [(held, shard) for held, shard, _ in old.values()]

    def _drop_file(self, path: str) -> list[tuple[int, int]]:
        row = self.db.execute("SELECT id FROM files WHERE path = ?", (path,)).fetchone()
        if row is None:
            return []
        held = self.db.execute("SELECT id, shard FROM chunks WHERE file = ?", row).fetchall()
        self._drop_chunks([number for number, _ in held])
        self.db.execute("DELETE FROM files WHERE id = ?", row)
        return held

    def _drop_chunks(self, numbers: list[int]) -> None:
        one = [(number,) for number in numbers]
        self.db.executemany(
            "INSERT INTO words (words, rowid, name, doc, body, path)"
            " SELECT 'delete', id, name, doc, body, path FROM texts WHERE id = ?",
            one,
        )
        self.db.executemany("DELETE FROM chunks WHERE id = ?", one)
        self.db.executemany("DELETE FROM pending WHERE id = ?", one)

    # -- which collection holds what ------------------------------------------------------------

    def shards(self, lane: int) -> list[tuple[int, int, bool]]:
        """(number, how many vectors it was given, whether its writer was killed) of a lane's collections."""
        rows = self.db.execute("SELECT number, vectors, torn FROM shards WHERE lane = ? ORDER BY number", (lane,))
        return [(number, vectors, bool(torn)) for number, vectors, torn in rows]

    def vectors_in(self, shard: int) -> int:
        """How many vectors a collection should hold."""
        row = self.db.execute(
            "SELECT count(*) - count(p.id) FROM chunks c LEFT JOIN pending p ON p.id = c.id WHERE c.shard = ?", (shard,)
        ).fetchone()
        return int(row[0])

    def doomed(self, lane: int) -> list[tuple[int, int]]:
        """(number, collection) of vectors of a lane that are still to be removed."""
        return self.db.execute(
            "SELECT d.id, d.shard FROM doomed d JOIN shards s ON s.number = d.shard WHERE s.lane = ?", (lane,)
        ).fetchall()

    def lose(self, numbers: Collection[int]) -> None:
        """The vectors of these collections are no more: all of them are to be written again."""
        marks = ",".join("?" * len(numbers))
        self.db.execute("BEGIN IMMEDIATE")
        self.db.execute(f"INSERT OR IGNORE INTO pending SELECT id FROM chunks WHERE shard IN ({marks})", [*numbers])
        self.db.execute(f"DELETE FROM doomed WHERE shard IN ({marks})", [*numbers])
        self.db.execute(f"UPDATE shards SET torn = 0, vectors = 0 WHERE number IN ({marks})", [*numbers])
        self.db.execute("COMMIT")

    def mend(self, numbers: Iterable[int]) -> None:
        """These collections' writer stopped in good order, whatever it left to do."""
        self.db.executemany("UPDATE shards SET torn = 0 WHERE number = ?", [(number,) for number in numbers])

    def counts(self) -> tuple[int, int]:
        """How many chunks there are, and how many of their vectors are still to be written."""
        row = self.db.execute("SELECT (SELECT count(*) FROM chunks), (SELECT count(*) FROM pending)").fetchone()
        return int(row[0]), int(row[1])

    # -- asking ---------------------------------------------------------------------------------

    def rows(self, numbers: Sequence[int]) -> dict[int, Row]:
        """Chunks by number; those that are gone are left out."""
        found: dict[int, Row] = {}
        for start in range(0, len(numbers), 500):
            part = numbers[start : start + 500]
            for row in self.db.execute(
                "SELECT c.id, f.path, c.kind, c.line, c.start, c.end, c.title, c.name, c.doc, c.body, f.size,"
                f" f.mtime_ns FROM chunks c JOIN files f ON f.id = c.file WHERE c.id IN ({','.join('?' * len(part))})",
                part,
            ):
                found[row[0]] = Row(row[0], row[1], _KINDS[row[2]], *row[3:])
        return found

    def paths(self, glob: str) -> list[str]:
        """Paths of files that match a GLOB."""
        return [row[0] for row in self.db.execute("SELECT path FROM files WHERE path GLOB ?", (glob,))]

    def chunks_of(self, paths: Collection[str], kinds: Collection[ChunkKind], limit: int) -> list[int]:
        """Numbers of the chunks of some files, of some kinds if any are named, up to a number."""
        of_kind = f"AND kind IN ({','.join(str(int(kind)) for kind in kinds)})" if kinds else ""
        found: list[int] = []
        wanted = list(paths)
        for start in range(0, len(wanted), 500):
            part = wanted[start : start + 500]
            marks = ",".join("?" * len(part))
            rows = self.db.execute(
                f"SELECT id FROM chunks WHERE file IN (SELECT id FROM files WHERE path IN ({marks})) {of_kind} LIMIT ?",
                (*part, limit - len(found)),
            )
            found += [row[0] for row in rows]
            if len(found) >= limit:
                break
        return found

    def average_length(self) -> float:
        """Words of a chunk on average, near enough."""
        row = self.db.execute(
            "SELECT avg(length(name) - length(replace(name, ' ', '')) + length(doc) - length(replace(doc, ' ', ''))"
            " + length(body) - length(replace(body, ' ', ''))) FROM (SELECT * FROM chunks LIMIT 50000)"
        ).fetchone()
        return float(row[0] or 0.0) + 8.0  # as many spaces are left out as there are columns, and the path

    def texts(self, after: int, limit: int) -> list[tuple[int, str, str, str, str]]:
        """(number, name, doc, body, path) of the chunks that follow a number, as words."""
        return self.db.execute(
            "SELECT id, name, doc, body, path FROM texts WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
        ).fetchall()

    def last(self) -> int:
        """The highest number of a chunk."""
        return int(self.db.execute("SELECT coalesce(max(id), 0) FROM chunks").fetchone()[0])

    def frequency(self, word: str) -> int:
        """In how many chunks a word stands (for a frequent one, stood when the tree was first read)."""
        row = self.db.execute("SELECT chunks FROM frequent WHERE word = ?", (word,)).fetchone()
        if row is None:
            row = self.db.execute("SELECT doc FROM vocabulary WHERE term = ?", (word,)).fetchone()
        return row[0] if row else 0

    def match(
        self, words: Iterable[str], limit: int, within: Sequence[int] = (), after: int = 0
    ) -> list[tuple[int, float]]:
        """(chunk, score) of the best matches by BM25, best first; ``within``, if any, are the only ones looked at,
        and only numbers above ``after``.

        Each row that holds a word is scored. Where these are all rows, and posting lists (``index.postings``) are
        not there yet, the rarest words choose the candidates, up to a bound."""
        known = sorted((count, word) for word in dict.fromkeys(words) if (count := self.frequency(word)))
        if not known:
            return []
        chosen: list[str] = []
        scored = 0
        for count, word in known:
            if chosen and not (within or after) and scored + count > _SCORED:
                break
            chosen.append(word)
            scored += count
        expression = " OR ".join(f'"{word}"' for word in chosen)
        if scored > _SCORED and not (within or after) and len(known) > 1:
            expression = f'"{known[0][1]}" AND "{known[1][1]}"'
        weights = ", ".join(map(str, WEIGHTS))
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


class _Room:
    """The places left in the collection that a lane fills, and in new ones behind it. Inside a transaction."""

    def __init__(self, store: ChunkStore, lane: int, capacity: int) -> None:
        self._db, self._lane, self._capacity = store.db, lane, capacity
        row = self._db.execute(
            "SELECT number, vectors FROM shards WHERE lane = ? ORDER BY number DESC LIMIT 1", (lane,)
        ).fetchone()
        self._shard: int = row[0] if row else 0
        self._left: int = capacity - row[1] if row else 0

    def take(self) -> int:
        """The collection for one more vector."""
        if self._left <= 0:
            number = self._db.execute(
                "INSERT INTO shards (lane, vectors, torn) VALUES (?, 0, 0)", (self._lane,)
            ).lastrowid
            assert number is not None
            self._shard, self._left = number, self._capacity
        self._left -= 1
        return self._shard


@dataclass(frozen=True, slots=True)
class Changes:
    """What ChromaDB is to be told: vectors to write, and (number, collection) of those to remove."""

    new: list[NewChunk]
    doomed: list[tuple[int, int]]


@lru_cache(maxsize=1)
def version() -> str:
    """What a database must have been made by: its layout, and the very code that cuts files and words. A stem
    that is cut otherwise in a question than in the database is never found."""
    digest = hashlib.blake2b(digest_size=8)
    for module in (chunk_module, words_module):
        with contextlib.suppress(OSError, TypeError):
            digest.update(Path(module.__file__ or "").read_bytes())
    return f"{SEARCH_VERSION}-{digest.hexdigest()}"


def texts_of(chunk: Chunk) -> tuple[str, str, str]:
    """The stems of a chunk's name, and those of its documentation and body each once: what a function is
    about does not depend on how often it names a variable, and a third of the size is saved."""
    body = dict.fromkeys(stem(word) for piece in dict.fromkeys(pieces(chunk.body)) for word in words_of(piece))
    return " ".join(stems(chunk.name)), " ".join(dict.fromkeys(stems(chunk.summary))), " ".join(body)
