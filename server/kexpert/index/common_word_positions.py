"""Stored positions of common words: references to ``NULL`` need not read half the tree.

The symbol index knows which files hold a word. For the few hundred words that thousands of files hold, a pass
after the first indexing also stores every position. It goes through the files by id and commits part by part.
A part lists the files that it covers and never becomes wrong, because an id is one state of one file: a changed
file gets a new id and a later part. Files that no part covers are searched as for any other word, so no answer
depends on how far the pass has come.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from kexpert.background.batches import batches
from kexpert.background.progress import OnProgress, Progress, ignore_progress
from kexpert.background.tree import FileKind, read
from kexpert.core.c.keywords import KEYWORDS
from kexpert.core.c.lex import blank_comments
from kexpert.core.c.word_scan import identifiers
from kexpert.index.file_pass import PassFile, jobs_for, pass_files, run_tasks, singles, unchanged_texts
from kexpert.index.position_codec import COMMON_FILES, Part, find_positions
from kexpert.index.schema import FILE_SHIFT, SymbolStore

#: Run a pass when more files than this are not covered.
_MAX_UNCOVERED_FILES = 1000
#: Files in which words are counted.
_SAMPLE_FILES = 1500
_PART_BYTES = 8 << 20
#: Larger files are not covered: a text of nothing but words takes about twenty times its size in memory.
_MAX_FILE_BYTES = 4 << 20
#: Words of the preprocessor that name nothing.
_DIRECTIVES = frozenset({"include", "define", "undef", "ifdef", "ifndef", "elif", "endif", "defined"})
_TITLE = "Noting common names"

_TABLES = (
    # ``id`` is the highest file id that was looked at, ``files`` the ids that are covered (int64)
    "CREATE TABLE IF NOT EXISTS place_parts (id INTEGER PRIMARY KEY, files BLOB)",
    "CREATE TABLE IF NOT EXISTS places (word TEXT, part INTEGER, packed BLOB)",
    "CREATE INDEX IF NOT EXISTS places_by_word ON places (word, part)",
)
_WORDS_KEY = "common_words"
#: Files to cover. A register header has no row in ``symbols``; nobody asks there for words that are common elsewhere.
_UNCOVERED = f"""SELECT id, path, size, mtime_ns FROM files f WHERE id > ? AND NOT (kind = {int(FileKind.HEADER)}
    AND NOT EXISTS (SELECT 1 FROM symbols s WHERE s.id >= f.id << {FILE_SHIFT} AND s.id < (f.id + 1) << {FILE_SHIFT}))
    ORDER BY id"""

def is_pass_due(store: SymbolStore) -> bool:
    """True if more than ``_MAX_UNCOVERED_FILES`` files are not covered."""
    try:
        late = store.db.execute("SELECT count(*) FROM files WHERE id > (SELECT coalesce(max(id), 0) FROM place_parts)")
    except sqlite3.OperationalError:  # no pass has begun
        return store.file_count() > COMMON_FILES
    return int(late.fetchone()[0]) > _MAX_UNCOVERED_FILES


def cover_files(
    root: Path,
    database: Path,
    *,
    common_files: int = COMMON_FILES,
    jobs: int | None = None,
    on_progress: OnProgress = ignore_progress,
    interrupted: Callable[[], bool] = lambda: False,
) -> bool:
    """Run the pass over all files that are not covered. Returns whether it finished. The caller holds the writer lock.

    ``common_files``: words in more files are common. Returns at once when ``interrupted``; what is committed stays,
    and the next call goes on after it.
    """
    done = 0
    with contextlib.closing(SymbolStore(database)) as store:
        rows = store.db.execute(_UNCOVERED, (_create_tables(store),))
        files = pass_files(rows)
        jobs = jobs_for(files, jobs)
        words = _common_words(root, store, files, common_files, jobs, interrupted)
        work = partial(_part_of, str(root), words or [])
        for batch, part in run_tasks(work, _batches(files) if words is not None else (), jobs, interrupted, singles):
            # a file that killed its worker is passed over, or it would do so again and again
            _write(store, batch[-1].id, part or (b"", []))
            done += len(batch)
            on_progress(Progress(_TITLE, done, len(files)))
    on_progress(Progress(_TITLE, done, len(files), "", finished=True))
    return done == len(files)


def _create_tables(store: SymbolStore) -> int:
    """Create the tables; empty them if most covered files are superseded. Returns the highest id that was covered."""
    db = store.db
    db.execute("BEGIN IMMEDIATE")
    for statement in _TABLES:
        db.execute(statement)
    row = db.execute("SELECT coalesce(sum(length(files)), 0) / 8, coalesce(max(id), 0) FROM place_parts").fetchone()
    covered, last = row
    if covered > 2 * store.file_count():
        db.execute("DELETE FROM place_parts")
        db.execute("DELETE FROM places")
        db.execute("DELETE FROM meta WHERE key = ?", (_WORDS_KEY,))
        last = 0
    db.execute("COMMIT")
    return int(last)


def _write(store: SymbolStore, last: int, part: Part) -> None:
    covered, found = part
    store.db.execute("BEGIN IMMEDIATE")
    store.db.execute("INSERT INTO place_parts VALUES (?, ?)", (last, covered))
    store.db.executemany("INSERT INTO places VALUES (?, ?, ?)", [(word, last, packed) for word, packed in found])
    store.db.execute("COMMIT")


def _common_words(
    root: Path, store: SymbolStore, files: list[PassFile], common_files: int, jobs: int, interrupted: Callable[[], bool]
) -> list[bytes] | None:
    """The words that the parts are about; None if interrupted.

    All parts are about the same words, because a word that a part leaves out is not in its files. They are
    counted in a sample of the files before the first part.
    """
    known = store.meta(_WORDS_KEY)
    if known is not None:
        return known.encode().split()
    sample = [file.path for file in files[:: len(files) // _SAMPLE_FILES + 1]]
    work = partial(_frequent_words, str(root), common_files * len(sample) / max(len(files), 1))
    for _, words in run_tasks(work, [sample], min(jobs, 1), interrupted):
        if words is not None:
            store.set_meta(_WORDS_KEY, b" ".join(words).decode())
            return words
    return None


def _batches(files: Iterable[PassFile]) -> Iterator[list[PassFile]]:
    return batches(files, lambda file: min(file.identity.size, _MAX_FILE_BYTES), lambda before, number: _PART_BYTES)


# -- in the workers ---------------------------------------------------------------------------------


def _frequent_words(root: str, min_files: float, paths: Sequence[str]) -> list[bytes]:
    """Words in more than ``min_files`` of the files, without keywords."""
    count: Counter[bytes] = Counter()
    for path in paths:
        count.update(identifiers(blank_comments(read(root, path, _MAX_FILE_BYTES) or b"")))
    nameless = {word.encode() for word in KEYWORDS | _DIRECTIVES}
    return sorted(word for word, files in count.items() if files > min_files and word not in nameless)


def _part_of(root: str, words: Sequence[bytes], files: Sequence[PassFile]) -> Part:
    """The part of these files, without those that changed since the symbol index read them."""
    ids, texts = [], []
    for number, data in unchanged_texts(root, files, _MAX_FILE_BYTES):
        ids.append(number)
        texts.append(data)
    return find_positions(ids, texts, words)
