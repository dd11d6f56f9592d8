"""Update a symbol index: all files the first time, the changed ones after.

Worker processes parse a batch of files and commit it themselves, so at any moment the database holds whole
files only; after a kill the next run finds by size and mtime what is left to do.
"""

from __future__ import annotations

import contextlib
import gc
import resource
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from kexpert.background.batches import batches
from kexpert.background.database import IndexState, discard
from kexpert.background.file_order import by_priority
from kexpert.background.lock import ProcessMutex
from kexpert.background.process_pool import ProcessPool, default_jobs, end_with_parent, run_here
from kexpert.background.progress import OnProgress, Progress, ignore_progress
from kexpert.background.tree import FileKind, TreeFile, read
from kexpert.core.c.extract import extract
from kexpert.core.c.word_scan import identifiers
from kexpert.core.kernel.kconfig_facts import kconfig_facts
from kexpert.core.symbols import FileFacts
from kexpert.index.made_by_macros import expand_open_calls, is_expansion_due
from kexpert.index.schema import IndexWriteError, SymbolStore
from kexpert.index.update_plan import UpdatePlan

#: Bytes of source in a batch. The first batches are small, so that answers come soon. Later ones are large, because
#: each commit empties the page cache of the other workers. The last are small again, so that no worker waits long.
_MIN_BATCH_BYTES = 1 << 20
_MAX_BATCH_BYTES = 16 << 20
_BATCH_GROWTH = 1.25
#: A batch has at most this part of what is left.
_LAST_SHARE = 6
#: Up to this many files are parsed in this process: starting workers takes longer.
_MAX_FILES_HERE = 48
_WORKER_CACHE_KB = 131_072

#: Files with the ids under which they are stored.
_Batch = list[tuple[int, TreeFile]]


@dataclass(slots=True)
class BuildReport:
    """Results and costs of a run.

    ``files`` and ``symbols`` count what the index then holds. ``common_words_seconds`` follows ``seconds``, after
    which all is known but the stored positions of common words.
    """

    files: int = 0
    symbols: int = 0
    seconds: float = 0.0
    common_words_seconds: float = 0.0
    trigrams_seconds: float = 0.0
    peak_rss_mb: float = 0.0
    db_mb: float = 0.0
    changed: int = 0
    removed: int = 0
    done: int = 0
    notes: list[str] = field(default_factory=list)
    cancelled: bool = False


def prepare(root: Path, database: Path) -> str | None:
    """Make sure that ``database`` is this version's index of this tree; if not, create an empty one.

    Returns a line for the user if an index was thrown away. The caller holds the writer lock.
    """
    state = SymbolStore.state_of(database, root)
    if state in (IndexState.READY, IndexState.PARTIAL):
        return None
    discard(database)
    with contextlib.closing(SymbolStore(database)) as store:
        store.create(root)
    return None if state is IndexState.MISSING else f"{database}: {state.value}; building it anew"


def update(
    root: Path,
    database: Path,
    plan: UpdatePlan,
    *,
    jobs: int | None = None,
    open_paths: Iterable[str] = (),
    on_progress: OnProgress = ignore_progress,
    cancelled: Callable[[], bool] = lambda: False,
) -> BuildReport:
    """Carry out a plan. The caller holds the writer lock. Raises IndexWriteError."""
    began = time.monotonic()
    jobs = jobs or default_jobs()
    store = SymbolStore(database)
    report = BuildReport(changed=len(plan.todo), removed=len(plan.gone), notes=list(plan.notes))
    try:
        if plan.gone:
            store.write([], plan.gone)
        files = list(enumerate(by_priority(plan.todo, open_paths), store.next_id()))
        title = "Indexing" if not store.complete else "Updating the index"
        for batch, notes in _run(root, database, store, files, jobs, cancelled):
            report.notes += notes
            report.done += len(batch)
            on_progress(Progress(title, report.done, len(files)))
        report.cancelled = cancelled()
        if not report.cancelled and not store.complete:
            on_progress(Progress(title, len(files), len(files), "ordering callers"))
            store.finish()
        if not report.cancelled and is_expansion_due(store):
            expand_open_calls(root, store, on_progress, cancelled)
        report.files, report.symbols = store.file_count(), store.symbol_count()
    finally:
        store.close()
    report.seconds = time.monotonic() - began
    measure(report, database, jobs)
    on_progress(Progress(title, len(files), len(files), "", finished=True))
    return report


def measure(report: BuildReport, database: Path, jobs: int | None) -> None:
    """Fill in the sizes on disk and in memory."""
    report.db_mb = sum(file.stat().st_size for file in database.parent.glob(database.name + "*")) / 1e6
    report.peak_rss_mb = _peak_rss_mb(jobs or default_jobs())


def _peak_rss_mb(workers: int) -> float:
    """An upper bound of all processes' peak in MB: this process's, and the largest worker's times their number."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return (own + child * workers) / 1024


def _run(
    root: Path, database: Path, store: SymbolStore, files: _Batch, jobs: int, cancelled: Callable[[], bool]
) -> Iterator[tuple[_Batch, list[str]]]:
    """Index files in batches; yields each batch with notes on files that were left out."""
    total = sum(file.size for _, file in files)

    def max_bytes(done: int, number: int) -> int:
        growing = int(_MIN_BATCH_BYTES * _BATCH_GROWTH ** min(number, 20))
        return max(min(growing, _MAX_BATCH_BYTES, (total - done) // _LAST_SHARE), _MIN_BATCH_BYTES)

    work = batches(files, lambda item: item[1].size, max_bytes)
    if len(files) <= _MAX_FILES_HERE:
        yield from run_here(partial(index_batch, root, store), work, cancelled)
        return
    pool = ProcessPool(_index_in_worker, jobs, _start_worker, (str(root), str(database)), split=_singles)
    for batch, notes in pool.run(work, cancelled):
        died = [f"{file.path}: a worker died while reading it; it is left out" for _, file in batch]
        yield batch, died if notes is None else notes


def _singles(batch: _Batch) -> list[_Batch]:
    return [[item] for item in batch]


# -- in the workers -------------------------------------------------------------------------------

_worker: tuple[Path, SymbolStore, ProcessMutex] | None = None


def _start_worker(root: str, database: str) -> None:
    global _worker
    _worker = Path(root), SymbolStore(Path(database)), ProcessMutex(Path(database).with_name("turn.lock"))
    _worker[1].db.execute(f"PRAGMA cache_size = -{_WORKER_CACHE_KB}")
    gc.disable()  # millions of tuples and no cycles: collecting would only cost time
    end_with_parent()


def _index_in_worker(batch: _Batch) -> list[str]:
    assert _worker is not None
    root, store, mutex = _worker
    return index_batch(root, store, batch, mutex.locked)


def index_batch(
    root: Path,
    store: SymbolStore,
    batch: _Batch,
    write_lock: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
) -> list[str]:
    """Read, extract and commit some files; returns a note on each that could not be read.

    A file that vanished or cannot be read keeps its rows: the next scan drops or replaces them.
    Raises IndexWriteError.
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
        with write_lock():
            store.write(rows)
    except sqlite3.OperationalError as error:
        raise IndexWriteError(f"{store.path}: {error}; free some space or set XDG_CACHE_HOME to another disk") from None
    return notes


def facts_of(file: TreeFile, data: bytes) -> FileFacts:
    """Extract the facts of a file that the index stores."""
    if file.kind is FileKind.KCONFIG:
        return kconfig_facts(file.path, data)
    if file.kind is FileKind.MAKEFILE:
        return FileFacts(identifiers=identifiers(data))
    return extract(file.path, data)

