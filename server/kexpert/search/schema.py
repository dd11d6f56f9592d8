"""The search database: its version, its tables, and the stems under which a chunk is found."""

from __future__ import annotations

from enum import Enum
from itertools import chain

from kexpert.core.retrieval.chunk import Chunk
from kexpert.core.retrieval.words import pieces, stem, stems, words_of

#: Bump when other chunks, words or tables would be stored: older databases are rebuilt. A word that is split
#: otherwise in a query than in the database is never found. tests/search/golden holds what this version stores.
#: 1: first layout.
#: 2: an explicit number instead of a digest of source files; tables use plain names.
#: 3: bodies without comments, which are in the column of documentation; posting lists of code and of comments.
SEARCH_VERSION = 3

#: The file of posting lists beside a search database.
POSTING_LISTS_FILE = "search.postings"


class MatchIn(Enum):
    """What BM25 compares with a query: the value is the weights of the columns name, doc, body and path.

    Code and comments are scored apart: most functions have no comment, and the comments of others must not bury them.
    """

    CODE = (8.0, 0.0, 1.0, 2.0)
    COMMENTS = (0.0, 1.0, 0.0, 0.0)

    @property
    def columns(self) -> tuple[int, ...]:
        """The columns that count, by their number in ``COLUMNS``."""
        return tuple(at for at, weight in enumerate(self.value) if weight)


#: The columns of the table of words.
COLUMNS = ("name", "doc", "body", "path")

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE files (id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, size INTEGER, mtime_ns INTEGER, words TEXT);
CREATE TABLE chunks (id INTEGER PRIMARY KEY AUTOINCREMENT, file INTEGER, kind INTEGER, key BLOB, shard INTEGER,
                     line INTEGER, start INTEGER, end INTEGER, title TEXT, name TEXT, doc TEXT, body TEXT);
CREATE INDEX chunks_by_file ON chunks (file, kind);
CREATE INDEX chunks_by_shard ON chunks (shard);
CREATE TABLE pending_writes (id INTEGER PRIMARY KEY);
CREATE TABLE pending_deletes (id INTEGER PRIMARY KEY, shard INTEGER);
-- vectors: how many a collection was given; dirty: it is being written, or its writer was killed at that
CREATE TABLE shards (number INTEGER PRIMARY KEY, worker INTEGER, vectors INTEGER, dirty INTEGER);
CREATE TABLE frequent (word TEXT PRIMARY KEY, chunks INTEGER) WITHOUT ROWID;
CREATE VIEW texts AS SELECT c.id AS id, c.name AS name, c.doc AS doc, c.body AS body, f.words AS path
                     FROM chunks c JOIN files f ON f.id = c.file;
CREATE VIRTUAL TABLE words USING fts5(name, doc, body, path, content='texts', content_rowid='id', tokenize='ascii');
CREATE VIRTUAL TABLE vocabulary USING fts5vocab(words, 'row');
"""


def stems_of(chunk: Chunk) -> tuple[str, str, str]:
    """(name, comments, body) of a chunk as stems; those of comments and body each once.

    The comment above comes first, then those inside the code. What a function is about does not depend on how often it
    names a variable, and a third of the size is saved.
    """
    body = dict.fromkeys(stem(word) for piece in dict.fromkeys(pieces(chunk.body)) for word in words_of(piece))
    comments = dict.fromkeys(chain(stems(chunk.summary), stems(chunk.inner)))
    return " ".join(stems(chunk.name)), " ".join(comments), " ".join(body)
