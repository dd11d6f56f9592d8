"""Where the commonest words stand in the code, written down: references to ``NULL`` need not read half the tree.

The symbol index knows which files hold a word. For the few hundred words that thousands of files
hold, a pass of its own stores every place as well, once the symbol index is complete. It goes
through the files in the order of their ids and commits part by part. A part says which files it
covers and stays true for ever, because an id is one state of one file: what changes gets a new id
and waits for a later part. Files that no part covers are searched as for any other word, so no
answer depends on how far the pass has come.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sqlite3
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from kexpert.background.process_pool import default_jobs, end_with_parent
from kexpert.background.progress import Progress
from kexpert.background.tree import FileKind, read
from kexpert.core.c.extract import identifiers
from kexpert.core.c.keywords import KEYWORDS
from kexpert.core.c.lex import blank_comments
from kexpert.index.position_codec import Part, places_in
from kexpert.index.schema import FILE_SHIFT, Store

#: A word that more files hold is common: to read so many takes a tenth of a second.
MANY_FILES = 1000
#: So many files that are not covered yet are worth a pass.
_LATE = 1000
#: Files in which words are counted.
_SAMPLE = 1500
_PART_BYTES = 8 << 20
#: Larger files are not covered: a text of nothing but words takes some twenty times its size.
_LARGEST = 4 << 20
#: So few files are looked through in this process: starting workers takes longer.
_INLINE_FILES = 48
#: How long something more urgent may have to wait, and by how much it goes before a worker.
_HEED_SECONDS = 0.05
_NICE = 10
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
#: A register header has no row in ``symbols``; nobody asks there for what is common elsewhere.
_WAITING = f"""SELECT id, path, size, mtime_ns FROM files f WHERE id > ? AND NOT (kind = {int(FileKind.HEADER)}
    AND NOT EXISTS (SELECT 1 FROM symbols s WHERE s.id >= f.id << {FILE_SHIFT} AND s.id < (f.id + 1) << {FILE_SHIFT}))
    ORDER BY id"""

_File = tuple[int, str, int, int]  # id, path, size, mtime in ns
_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


class _Submit(Protocol):
    def __call__(self, work: Callable[[_Task], _Result], task: _Task, /) -> Future[_Result]: ...


def is_behind(store: Store) -> bool:
    """Whether so many files are not covered that the pass pays."""
    try:
        late = store.db.execute("SELECT count(*) FROM files WHERE id > (SELECT coalesce(max(id), 0) FROM place_parts)")
    except sqlite3.OperationalError:  # it was never begun
        return store.file_count() > MANY_FILES
    return int(late.fetchone()[0]) > _LATE


def follow(
    root: Path,
    database: Path,
    *,
    many: int = MANY_FILES,
    jobs: int | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    interrupted: Callable[[], bool] = lambda: False,
) -> bool:
    """Cover the files that are not covered yet. The caller holds the tree's writer lock.

    ``many``: words that more files hold are common. Gives way at once when ``interrupted``; what is
    committed stays, and the next call goes on behind it. Returns whether it came to its end.
    """
    done, jobs = 0, jobs or default_jobs()
    with contextlib.closing(Store(database)) as store:
        waiting: list[_File] = store.db.execute(_WAITING, (_prepare(store),)).fetchall()
        with _workers(jobs if len(waiting) > _INLINE_FILES else 0, interrupted) as submit:
            words = _common_words(root, store, waiting, many, submit, interrupted)
            work = partial(_look_through, str(root), words or [])
            batches = _batches(waiting) if words is not None else ()
            for batch, part in _in_order(submit, work, batches, 2 * jobs, interrupted):
                # what kills a worker is passed over, or it would do so again and again
                _write(store, batch[-1][0], part or (b"", []))
                done += len(batch)
                on_progress(Progress(_TITLE, done, len(waiting)))
    on_progress(Progress(_TITLE, done, len(waiting), "", finished=True))
    return done == len(waiting)


def _prepare(store: Store) -> int:
    """Lay the tables, and empty them where most of what they hold is of files that are gone. Returns
    the highest file id that was looked at."""
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


def _write(store: Store, last: int, part: Part) -> None:
    covered, found = part
    store.db.execute("BEGIN IMMEDIATE")
    store.db.execute("INSERT INTO place_parts VALUES (?, ?)", (last, covered))
    store.db.executemany("INSERT INTO places VALUES (?, ?, ?)", [(word, last, packed) for word, packed in found])
    store.db.execute("COMMIT")


def _common_words(
    root: Path, store: Store, files: list[_File], many: int, submit: _Submit, interrupted: Callable[[], bool]
) -> list[bytes] | None:
    """The words that the parts are about: of a sample of the files where there are no parts yet. (That
    a part says nothing of a word means that it is not there, so all parts are about the same words.)"""
    known = store.meta(_WORDS_KEY)
    if known is not None:
        return known.encode().split()
    sample = [path for _, path, _, _ in files[:: len(files) // _SAMPLE + 1]]
    work = partial(_frequent, str(root), many * len(sample) / max(len(files), 1))
    for _, words in _in_order(submit, work, [sample], 1, interrupted):
        if words is not None:
            store.set_meta(_WORDS_KEY, b" ".join(words).decode())
            return words
    return None


def _batches(files: Iterable[_File]) -> Iterator[list[_File]]:
    batch: list[_File] = []
    held = 0
    for file in files:
        batch.append(file)
        held += min(file[2], _LARGEST)
        if held >= _PART_BYTES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


# -- in the workers ---------------------------------------------------------------------------------


def _frequent(root: str, least: float, paths: Sequence[str]) -> list[bytes]:
    """Words that more than ``least`` of the files hold, keywords left out."""
    count: Counter[bytes] = Counter()
    for path in paths:
        count.update(identifiers(blank_comments(read(root, path, _LARGEST) or b"")))
    nameless = {word.encode() for word in KEYWORDS | _DIRECTIVES}
    return sorted(word for word, files in count.items() if files > least and word not in nameless)


def _look_through(root: str, words: Sequence[bytes], files: Sequence[_File]) -> Part:
    """The part of these files; those that are no more what the symbol index read are not in it."""
    ids, texts = [], []
    for file_id, path, size, mtime_ns in files:
        data = read(root, path, _LARGEST)
        if data is not None and len(data) == size and _is_still(root, path, size, mtime_ns):
            ids.append(file_id)
            texts.append(data)
    return places_in(ids, texts, words)


def _is_still(root: str, path: str, size: int, mtime_ns: int) -> bool:
    try:
        stat = os.stat(f"{root}/{path}")
    except OSError:
        return False
    return (stat.st_size, stat.st_mtime_ns) == (size, mtime_ns)


# -- workers ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def _workers(jobs: int, interrupted: Callable[[], bool]) -> Iterator[_Submit]:
    """What has work done by processes of its own; by this one for no ``jobs``."""
    if not jobs:
        yield _at_once
        return
    # spawn: the server has threads, and a fork of it could inherit a held lock
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _start_worker)
    try:
        yield pool.submit
    finally:
        pool.shutdown(wait=not interrupted(), cancel_futures=True)


def _at_once(work: Callable[[_Task], _Result], task: _Task, /) -> Future[_Result]:
    future: Future[_Result] = Future()
    future.set_result(work(task))
    return future


def _start_worker() -> None:
    os.nice(_NICE)
    end_with_parent()


def _in_order(
    submit: _Submit,
    work: Callable[[_Task], _Result],
    tasks: Iterable[_Task],
    most: int,
    interrupted: Callable[[], bool],
) -> Iterator[tuple[_Task, _Result | None]]:
    """Each task with its result, ``most`` under way at a time. Ends early when interrupted, and behind
    the first task that was under way when a worker died: its result is None."""
    left = iter(tasks)
    waiting: deque[tuple[_Task, Future[_Result]]] = deque()
    with contextlib.suppress(BrokenProcessPool):
        while not interrupted():
            while len(waiting) < most and (task := next(left, None)) is not None:
                waiting.append((task, submit(work, task)))
            if not waiting:
                return
            task, future = waiting[0]
            if not future.done():
                wait([future], _HEED_SECONDS)
                continue
            waiting.popleft()
            error = future.exception()
            if isinstance(error, BrokenProcessPool):
                yield task, None
                return
            yield task, future.result()
