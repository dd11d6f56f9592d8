"""Bring a store in step with its tree: all files the first time, the changed ones after.

Workers parse a batch of files and commit it themselves, so at any moment the store holds whole
files only; killed at any point, the next run finds by size and mtime what is left to do.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import resource
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from kexpert.background.database import IndexState, discard
from kexpert.background.file_order import by_priority
from kexpert.background.lock import Turn
from kexpert.background.process_pool import default_jobs, end_with_parent
from kexpert.background.progress import Progress
from kexpert.background.tree import MAX_FILE_BYTES, FileKind, TreeFile, look, read, scan
from kexpert.core.c.extract import extract, identifiers
from kexpert.core.kernel.kconfig import parse_kconfig
from kexpert.core.symbols import FileFacts, Kind, Symbol
from kexpert.index.schema import Store

#: Bytes of source that a batch holds. The first are small, so that something is known at once; later ones are large,
#: for each commit of one worker empties the page cache of the others; the last are small again, so that
#: no worker waits long for another.
_SMALL_BATCH_BYTES = 1 << 20
_BATCH_BYTES = 16 << 20
_LAST_SHARE = 6
#: So few files are parsed at once in this process: starting workers takes longer.
_INLINE_FILES = 48


@dataclass(slots=True)
class BuildReport:
    """What a run did and cost. ``files``/``symbols`` count what the store then holds; ``places_seconds`` comes
    after ``seconds``, in which all but the fast answers for common names is there."""

    files: int = 0
    symbols: int = 0
    seconds: float = 0.0
    places_seconds: float = 0.0
    peak_rss_mb: float = 0.0
    db_mb: float = 0.0
    changed: int = 0
    removed: int = 0
    done: int = 0
    notes: list[str] = field(default_factory=list)
    cancelled: bool = False


@dataclass(slots=True)
class Plan:
    """The difference between a tree and its store."""

    todo: list[TreeFile]
    gone: list[str]
    notes: list[str]
    total: int


def plan(root: Path, store: Store, exclude: Iterable[str] = ()) -> Plan:
    """Compare every file's size and mtime with the store's."""
    notes: list[str] = []
    known = store.files()
    todo = []
    total = 0
    for file in scan(root, exclude, notes.append):
        total += 1
        if file.size > MAX_FILE_BYTES:
            notes.append(f"{file.path}: {file.size >> 20} MB, larger than {MAX_FILE_BYTES >> 20} MB, not indexed")
            continue
        if _differs(file, known.pop(file.path, None)):
            todo.append(file)
    return Plan(todo, list(known), notes, total)


def plan_for(root: Path, store: Store, paths: Iterable[str], exclude: Iterable[str] = ()) -> Plan:
    """The same for some paths; one that ends in ``/`` is a folder with all below it."""
    patterns = tuple(exclude)
    todo: list[TreeFile] = []
    gone: list[str] = []
    for path in set(paths):
        if path.endswith("/"):
            known = store.files(under=path)
            there = list(scan(root, patterns, under=path[:-1]))
            gone += known.keys() - {file.path for file in there}
        else:
            row = store.file(path)
            known = {path: row} if row else {}
            file = look(root, path, patterns)
            there = [file] if file else []
            if row and not file:
                gone.append(path)
        todo += [file for file in there if _differs(file, known.get(file.path))]
    unique = {file.path: file for file in todo}
    return Plan(list(unique.values()), sorted(set(gone)), [], len(unique))


def _differs(file: TreeFile, row: tuple[int, int, int] | None) -> bool:
    return file.size <= MAX_FILE_BYTES and (row is None or row[1:] != (file.size, file.mtime_ns))


def prepare(root: Path, database: Path) -> str | None:
    """Make sure that ``database`` is this version's index of this tree, laying an empty one where it
    is not. Returns a line to tell the user when an index was thrown away. The caller holds the lock."""
    state = Store.state_of(database, root)
    if state in (IndexState.READY, IndexState.PARTIAL):
        return None
    discard(database)
    with contextlib.closing(Store(database)) as store:
        store.create(root)
    return None if state is IndexState.MISSING else f"{database}: {state.value}; building it anew"


def update(
    root: Path,
    database: Path,
    work: Plan,
    *,
    jobs: int | None = None,
    near: Iterable[str] = (),
    on_progress: Callable[[Progress], None] = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> BuildReport:
    """Carry out a plan. The caller holds the tree's writer lock."""
    began = time.monotonic()
    store = Store(database)
    report = BuildReport(changed=len(work.todo), removed=len(work.gone), notes=list(work.notes))
    try:
        if work.gone:
            store.write([], work.gone)
        files = by_priority(work.todo, near)
        first = store.next_id()
        numbered = list(enumerate(files, first))
        title = "Indexing" if not store.complete else "Updating the index"
        step = _inline if len(files) <= _INLINE_FILES else _pooled
        for done, notes in step(root, database, store, numbered, jobs, cancelled):
            report.notes.extend(notes)
            report.done = done
            on_progress(Progress(title, done, len(files)))
        report.cancelled = cancelled()
        if not report.cancelled and not store.complete:
            on_progress(Progress(title, len(files), len(files), "ordering callers"))
            store.finish()
        report.files, report.symbols = store.file_count(), store.symbol_count()
    finally:
        store.close()
    report.seconds = time.monotonic() - began
    measure(report, database, jobs)
    on_progress(Progress(title, len(files), len(files), "", finished=True))
    return report


def measure(report: BuildReport, database: Path, jobs: int | None) -> None:
    """Put down what disk and memory it took."""
    report.db_mb = sum(file.stat().st_size for file in database.parent.glob(database.name + "*")) / 1e6
    report.peak_rss_mb = peak_rss_mb(jobs or default_jobs())


def peak_rss_mb(workers: int) -> float:
    """An upper bound of all processes' peak in MB: this one's, and the largest worker's times their number."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return (own + child * workers) / 1024


def _batches(files: list[tuple[int, TreeFile]]) -> Iterator[list[tuple[int, TreeFile]]]:
    batch: list[tuple[int, TreeFile]] = []
    left = sum(file.size for _, file in files)
    size, enough = 0, _SMALL_BATCH_BYTES
    for item in files:
        batch.append(item)
        size += item[1].size
        if size >= enough:
            yield batch
            left -= size
            enough = max(min(enough + enough // 4, _BATCH_BYTES, left // _LAST_SHARE), _SMALL_BATCH_BYTES)
            batch, size = [], 0
    if batch:
        yield batch


def _inline(
    root: Path, database: Path, store: Store, files: list[tuple[int, TreeFile]], jobs: int | None,
    cancelled: Callable[[], bool],
) -> Iterator[tuple[int, list[str]]]:  # fmt: skip
    done = 0
    for batch in _batches(files):
        if cancelled():
            return
        notes = index_batch(root, store, batch)
        done += len(batch)
        yield done, notes


def _pooled(
    root: Path, database: Path, store: Store, files: list[tuple[int, TreeFile]], jobs: int | None,
    cancelled: Callable[[], bool],
) -> Iterator[tuple[int, list[str]]]:  # fmt: skip
    jobs = jobs or default_jobs()
    done = 0
    left = deque(_batches(files))
    suspects: deque[list[tuple[int, TreeFile]]] = deque()
    while (left or suspects) and not cancelled():
        # All that was under way when a worker died is tried again one file at a time, which tells who did it.
        alone = not left
        work, workers, most = (suspects, 1, 1) if alone else (left, jobs, 2 * jobs)
        for batch, notes in _run_pool(root, database, work, workers, most, cancelled):
            if notes is None and not alone:
                suspects.extend([item] for item in batch)
                continue
            done += len(batch)
            died = f"{batch[0][1].path}: a worker died while reading it; it is left out"
            yield done, [died] if notes is None else notes


def _run_pool(
    root: Path,
    database: Path,
    left: deque[list[tuple[int, TreeFile]]],
    jobs: int,
    most: int,
    cancelled: Callable[[], bool],
) -> Iterator[tuple[list[tuple[int, TreeFile]], list[str] | None]]:
    """Take batches off ``left``, ``most`` under way at a time; yields each with its notes, or with None
    where the pool died with it."""
    # spawn: the server has threads, and a fork of it could inherit a held lock
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context, _start_worker, (str(root), str(database)))
    waiting: dict[Future[list[str]], list[tuple[int, TreeFile]]] = {}
    broken = False
    try:
        while not broken:
            while left and len(waiting) < most and not cancelled():
                waiting[pool.submit(_work, left[0])] = left[0]
                left.popleft()
            if not waiting:
                return
            ready, _ = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
            for future in ready:
                batch = waiting.pop(future)
                try:
                    yield batch, future.result()
                except BrokenProcessPool:
                    broken = True
                    yield batch, None
    except BrokenProcessPool:
        pass
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    for batch in waiting.values():
        yield batch, None


_worker: tuple[Path, Store, Turn] | None = None


def _start_worker(root: str, database: str) -> None:
    global _worker
    _worker = Path(root), Store(Path(database)), Turn(Path(database).with_name("turn.lock"))
    _worker[1].db.execute("PRAGMA cache_size = -131072")
    gc.disable()  # millions of tuples and no cycles: the collector would look through them for nothing
    end_with_parent()


def _work(batch: list[tuple[int, TreeFile]]) -> list[str]:
    assert _worker is not None
    root, store, turn = _worker
    return index_batch(root, store, batch, turn.taken)


def index_batch(
    root: Path,
    store: Store,
    batch: list[tuple[int, TreeFile]],
    turn: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
) -> list[str]:
    """Read, extract and commit some files; returns a note on each that could not be read.

    A file that vanished or cannot be read keeps the rows it had: the next scan drops or mends them.
    """
    notes: list[str] = []
    rows = []
    for file_id, file in batch:
        data = read(root, file.path)
        if data is None:
            notes.append(f"{file.path}: cannot be read, not indexed")
            continue
        rows.append((file_id, file, facts_of(file, data)))
    try:
        with turn():
            store.write(rows)
    except sqlite3.OperationalError as error:
        raise IndexWriteError(f"{store.path}: {error}; free some space or set XDG_CACHE_HOME to another disk") from None
    return notes


class IndexWriteError(Exception):
    """The store cannot be written (a full disk, no rights); the message says what and where."""


def facts_of(file: TreeFile, data: bytes) -> FileFacts:
    """What the index keeps of a file, by its kind."""
    if file.kind is FileKind.KCONFIG:
        return FileFacts(symbols=_config_symbols(file.path, data), identifiers=identifiers(data))
    if file.kind is FileKind.MAKEFILE:
        return FileFacts(identifiers=identifiers(data))
    return extract(file.path, data)


def _config_symbols(path: str, data: bytes) -> list[Symbol]:
    return [
        Symbol(
            f"CONFIG_{entry.name}", Kind.CONFIG, path, entry.line,
            data.index(entry.name.encode(), entry.start), entry.start, entry.end,
        )
        for entry in parse_kconfig(data, path).entries
        if entry.name
    ]  # fmt: skip
