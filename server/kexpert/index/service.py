"""The index as a running server uses it: opened at once, filled and kept fresh in the background."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from kexpert.background.database import IndexState, cache_directory, discard
from kexpert.background.lock import WriterLock
from kexpert.background.progress import Progress
from kexpert.core.c.source import Source
from kexpert.index import common_word_positions as places
from kexpert.index.builder import BuildReport, IndexWriteError, measure, plan, plan_for, prepare, update
from kexpert.index.compaction import compact
from kexpert.index.disk_view import DiskView, Searcher
from kexpert.index.reader import Reader
from kexpert.index.schema import Store
from kexpert.index.watcher import Watcher

#: Changes told by the system come in bursts (git switch): wait until none came for this long.
_QUIET_SECONDS = 0.25
_QUIET_LIMIT = 3.0
#: So many changed files are a new tree rather than a save: compare everything instead.
_RESCAN = 1500
#: How often a follower tries to become the writer, and how often one without inotify looks around.
_PATIENCE_SECONDS = 3.0
_OPEN_FILES = 16
#: Superseded files cost a query time; past this share they are cleared away when nothing else is to do.
_DEAD_SHARE = 0.5


class IndexService:
    """One tree's index. ``start`` returns at once; ``view`` answers from what is there.

    Of several processes on a tree one holds the writer lock and writes; the others read the same
    database, see each commit, and one of them takes over when the writer goes.
    """

    def __init__(
        self,
        root: Path,
        *,
        jobs: int | None = None,
        watch: bool = True,
        exclude: Iterable[str] = (),
        searcher: Searcher | None = None,
        on_updated: Callable[[Iterable[str] | None, Iterable[str]], None] | None = None,
        on_progress: Callable[[Progress], None] = lambda _: None,
        on_message: Callable[[str], None] = lambda _: None,
    ) -> None:
        """``searcher`` answers searches by meaning in views. ``on_updated(changed_paths, open_paths)`` is called
        after each update of a complete index, with None for any path; it must not block."""
        self.root = root
        self.directory = cache_directory(root)
        self.database = self.directory / "index.db"
        self.writer = False
        self._jobs = jobs
        self._exclude = tuple(exclude)
        self._on_progress = on_progress
        self._on_message = on_message
        self._lock = WriterLock(self.directory / "writer.lock")
        self._reader = Reader(root, self.database, self._damaged)
        self._watcher = Watcher(root, self._watched, on_message) if watch else None
        self._searcher = searcher
        self._on_updated = on_updated
        self._wake = threading.Condition()
        self._saved: set[str] = set()
        self._seen: set[str] = set()
        self._near: tuple[str, ...] = ()
        self._rescan = True
        self._rebuild = False
        self._stopping = False
        self._cancelled = False
        self._idle = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kexpert-index", daemon=True)

    def start(self) -> None:
        """Begin: take the writer's part if it is free, then catch up with the tree and watch it."""
        self._thread.start()
        if self._watcher is not None:
            self._watcher.start()

    def close(self) -> None:
        """Stop; what is half done is dropped and done again by the next run."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        if self._watcher is not None:
            self._watcher.close()
        if self._thread.is_alive():
            self._thread.join(timeout=30)
        self._lock.release()
        self._reader.close()

    def view(
        self, overlay: Mapping[str, Source] | None = None, unchanged: Mapping[str, Source] | None = None
    ) -> DiskView:
        """The index as it is now under the given open buffers (path -> text). Buffers that say what
        their file says are ``unchanged``: what was parsed of them is used, their rows stay."""
        self._reader.refresh()
        return DiskView(self._reader, overlay, unchanged, lambda path: self.files_changed([path]), self._searcher)

    def files_changed(self, paths: Iterable[str]) -> None:
        """Look at these files again, at once. Never blocks."""
        with self._wake:
            self._saved.update(paths)
            self._idle.clear()
            self._wake.notify_all()

    def prioritise(self, paths: Iterable[str]) -> None:
        """These files are open: index them and what lies beside them first. The last few are kept."""
        with self._wake:
            self._near = tuple(dict.fromkeys([*paths, *self._near]))[:_OPEN_FILES]

    def rescan(self) -> None:
        """Compare the whole tree with the index, in the background."""
        with self._wake:
            self._rescan = True
            self._idle.clear()
            self._wake.notify_all()

    def cancel(self) -> None:
        """Stop the running update; what it committed stays, the rest waits for the next one."""
        self._cancelled = True

    def wait_idle(self, timeout: float) -> bool:
        """Wait until nothing is left to index; False when the time is over first."""
        return self._idle.wait(timeout)

    # -- the background thread ------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            try:
                if not self.writer and not self._become_writer():
                    self._idle.set()
                    with self._wake:
                        self._wake.wait(_PATIENCE_SECONDS)
                        self._saved.clear()
                        self._seen.clear()
                    continue
                self._step()
            except (IndexWriteError, OSError, RuntimeError, sqlite3.Error) as error:
                self._on_message(_one_line(error, self.database))
                with self._wake:
                    self._wake.wait(_PATIENCE_SECONDS)

    def _become_writer(self) -> bool:
        if not self._lock.acquire():
            return False
        message = prepare(self.root, self.database)
        if message:
            self._on_message(message)
        self.writer = True
        self._rescan = True
        return True

    def _step(self) -> None:
        """Wait for something to do and do it."""
        with self._wake:
            if not (self._saved or self._seen or self._rescan or self._rebuild or self._stopping):
                self._idle.set()
                self._wake.wait()
            if self._stopping:
                return
            self._idle.clear()
            quiet = time.monotonic() + _QUIET_LIMIT
            while self._seen and not (self._saved or self._rescan or self._stopping) and time.monotonic() < quiet:
                before = len(self._seen)
                self._wake.wait(_QUIET_SECONDS)
                if len(self._seen) == before:
                    break
            changed, self._saved, self._seen = self._saved | self._seen, set(), set()
            whole, self._rescan = self._rescan or len(changed) > _RESCAN or "/" in changed, False
            rebuild, self._rebuild = self._rebuild, False
        if self._stopping:
            return
        if rebuild:
            self._on_message(f"{self.database}: the index is damaged; building it anew")
            discard(self.database)
            prepare(self.root, self.database)
            whole = True
        self._update(changed, whole)
        if self._on_updated is not None and self._reader.complete:
            self._on_updated(None if whole else changed, self._near)
        if self._overdue():
            compact(self.root, self.database, self._wanted_elsewhere)
        if self._places_behind():
            places.follow(
                self.root,
                self.database,
                jobs=self._jobs,
                on_progress=self._on_progress,
                interrupted=lambda: self._cancelled or self._wanted_elsewhere(),
            )

    def _update(self, changed: set[str], whole: bool) -> None:
        self._cancelled = False
        with contextlib.closing(Store(self.database)) as store:
            complete = store.complete
            if whole:
                work = plan(self.root, store, self._exclude)
            else:
                work = plan_for(self.root, store, changed, self._exclude)
        if whole:
            for note in work.notes[:20]:
                self._on_message(note)
        if not (work.todo or work.gone) and complete:
            return
        loud = whole and len(work.todo) > 20
        report = update(
            self.root,
            self.database,
            work,
            jobs=self._jobs,
            near=self._near,
            on_progress=self._on_progress if loud else lambda _: None,
            cancelled=lambda: self._cancelled or self._stopping,
        )
        if report.cancelled and not self._stopping:
            left = report.changed - report.done
            self._on_message(f"indexing stopped on request, {left} files left; the next start goes on with them")

    def _overdue(self) -> bool:
        with contextlib.closing(Store(self.database)) as store:
            return store.dead_share() > _DEAD_SHARE

    def _places_behind(self) -> bool:
        with contextlib.closing(Store(self.database)) as store:
            return store.complete and places.is_behind(store)

    def _wanted_elsewhere(self) -> bool:
        """Whether something came that is more urgent than tidying up."""
        return self._stopping or self._rescan or self._rebuild or bool(self._saved or self._seen)

    def _watched(self, paths: Iterable[str]) -> None:
        with self._wake:
            self._seen.update(paths)
            self._idle.clear()
            self._wake.notify_all()

    def _damaged(self) -> None:
        """A reader met a damaged page: whoever writes builds the index anew."""
        with self._wake:
            self._rebuild = True
            self._idle.clear()
            self._wake.notify_all()


class IndexUnavailable(Exception):
    """There is no index that could answer; the message says why and what to do."""


def open_view(root: Path, searcher: Searcher | None = None) -> DiskView:
    """The index of a tree as it is, for a command that runs once. Raises IndexUnavailable."""
    database = cache_directory(root) / "index.db"
    state = Store.state_of(database, root)
    if state not in (IndexState.READY, IndexState.PARTIAL):
        raise IndexUnavailable(f"{root}: no index ({state.value}); run: kexpert index --tree {root}")
    reader = Reader(root, database)
    reader.refresh()
    return DiskView(reader, searcher=searcher)


def build(
    root: Path,
    jobs: int | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    on_message: Callable[[str], None] = lambda _: None,
) -> BuildReport:
    """Bring a tree's index up to date and wait for it. Raises IndexUnavailable when another process
    is writing it, IndexWriteError when it cannot be written."""
    began = time.monotonic()
    database = cache_directory(root) / "index.db"
    lock = WriterLock(database.with_name("writer.lock"))
    try:
        if not lock.acquire():
            raise IndexUnavailable(
                f"{root}: process {lock.holder()} is indexing this tree; wait for it or stop it (kill {lock.holder()})"
            )
        message = prepare(root, database)
        if message:
            on_message(message)
        with contextlib.closing(Store(database)) as store:
            work = plan(root, store)
        report = update(root, database, work, jobs=jobs, on_progress=on_progress)
        report.seconds = time.monotonic() - began
        with contextlib.closing(Store(database)) as store:
            behind = places.is_behind(store)
        if behind:
            places.follow(root, database, jobs=jobs, on_progress=on_progress)
            report.places_seconds = time.monotonic() - began - report.seconds
            measure(report, database, jobs)
        return report
    except (OSError, sqlite3.Error) as error:
        raise IndexWriteError(_one_line(error, database)) from error
    finally:
        lock.release()


def _one_line(error: BaseException, database: Path) -> str:
    if isinstance(error, IndexWriteError):
        return str(error)
    what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{database}: {what}; free some space there or set XDG_CACHE_HOME to another disk"
