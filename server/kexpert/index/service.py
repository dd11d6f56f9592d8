"""The symbol index in a running server: opened at once, filled and kept up to date in the background.

What only the background does is imported there: a question on a warm tree waits for none of it.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kexpert.background.database import IndexState, cache_directory, discard
from kexpert.background.lock import WriterLock
from kexpert.background.progress import OnProgress, ignore_progress
from kexpert.background.worker_thread import WorkerThread
from kexpert.core.c.source import Source
from kexpert.index.disk_view import DiskView, Searcher
from kexpert.index.reader import IndexReader
from kexpert.index.schema import IndexWriteError, SymbolStore
from kexpert.index.seeding import SeedingCancelled, seed
from kexpert.index.update_plan import plan_update, plan_update_of
from kexpert.index.watcher import Watcher

if TYPE_CHECKING:
    from kexpert.index.builder import BuildReport

#: Changes that the system reports come in bursts (git switch): wait until none came for this long, within a limit.
_QUIET_SECONDS = 0.25
_MAX_QUIET_SECONDS = 3.0
#: From this many changed files on the whole tree is compared: it is another branch rather than a save.
_RESCAN_FILES = 1500
#: Time between two attempts to become the writer, or to go on after an error.
_RETRY_SECONDS = 3.0
_CLOSE_SECONDS = 30.0
_MAX_OPEN_PATHS = 16
#: An update of more files shows progress.
_MIN_PROGRESS_FILES = 20
_MAX_NOTES = 20
#: Superseded files cost queries time: compact when they are more than this share.
_MAX_DEAD_SHARE = 0.5

#: Called after an update with the changed paths (None: any path) and the open paths.
OnUpdated = Callable[[Iterable[str] | None, Iterable[str]], None]


class IndexUnavailable(Exception):
    """No index can answer; the message says why and what to do."""


class IndexService:
    """One tree's index. ``start`` returns at once; ``view`` answers from what is there.

    Of several processes on a tree one holds the writer lock and writes. The others read the same
    database, see each commit, and one of them takes over when the writer ends.
    """

    def __init__(
        self,
        root: Path,
        *,
        jobs: int | None = None,
        watch: bool = True,
        exclude: Iterable[str] = (),
        searcher: Searcher | None = None,
        on_updated: OnUpdated | None = None,
        on_progress: OnProgress = ignore_progress,
        on_message: Callable[[str], None] = lambda _: None,
    ) -> None:
        """``searcher`` answers searches by meaning in views. ``on_updated`` is called after each update of a
        complete index and must not block."""
        self.root = root
        self.directory = cache_directory(root)
        self.database = self.directory / "index.db"
        self.writer = False
        self._jobs = jobs
        self._exclude = tuple(exclude)
        self._searcher = searcher
        self._on_updated = on_updated
        self._on_progress = on_progress
        self._on_message = on_message
        self._lock = WriterLock(self.directory / "writer.lock")
        self._reader = IndexReader(root, self.database, self._report_damage, self.rescan)
        self._watcher = Watcher(root, self._files_watched, on_message) if watch else None
        self._saved: set[str] = set()  # to be read at once
        self._watched: set[str] = set()  # to be read when no more changes come
        self._open_paths: tuple[str, ...] = ()
        self._rescan = True
        self._rebuild = False
        self._cancelled = False
        self._thread = WorkerThread(
            "kexpert-index",
            self._step,
            errors=(IndexWriteError, OSError, RuntimeError, sqlite3.Error),
            on_error=lambda error: on_message(_one_line(error, self.database)),
            retry_seconds=lambda: _RETRY_SECONDS,
        )

    @property
    def is_watching(self) -> bool:
        """True if the system reports changes to files of the tree."""
        return self._watcher is not None and self._watcher.is_watching

    def start(self) -> None:
        """Begin to update the index, if no other process does, and to watch the tree."""
        self._thread.start()
        if self._watcher is not None:
            self._watcher.start()

    def close(self) -> None:
        """Stop; unfinished work is dropped and done again by the next run."""
        self._thread.stop()
        if self._watcher is not None:
            self._watcher.close()
        self._thread.close(_CLOSE_SECONDS)
        self._lock.release()
        self._reader.close()

    def view(
        self, overlay: Mapping[str, Source] | None = None, unchanged: Mapping[str, Source] | None = None
    ) -> DiskView:
        """The index as it is now under the given open buffers (path -> text). ``unchanged``: buffers that equal
        their file; their parsed text is used and their rows stay."""
        self._reader.refresh()
        return DiskView(self._reader, overlay, unchanged, lambda path: self.files_changed([path]), self._searcher)

    def files_changed(self, paths: Iterable[str]) -> None:
        """Read these files again at once. Never blocks."""
        with self._thread.new_work():
            self._saved.update(paths)

    def prioritise(self, paths: Iterable[str]) -> None:
        """Index these open files and their folders first. The last few are remembered."""
        with self._thread.lock():
            self._open_paths = tuple(dict.fromkeys([*paths, *self._open_paths]))[:_MAX_OPEN_PATHS]

    def rescan(self) -> None:
        """Compare the whole tree with the index, in the background."""
        with self._thread.new_work():
            self._rescan = True

    def cancel(self) -> None:
        """Stop the running update; what it committed stays, the next update does the rest."""
        self._cancelled = True

    def wait_idle(self, timeout_seconds: float) -> bool:
        """Wait until nothing is left to index; False when the time is over first."""
        return self._thread.wait_idle(timeout_seconds)

    # -- the background thread ------------------------------------------------------------------

    def _step(self) -> None:
        """Wait for work and do it; or, while another process writes, try to become the writer."""
        from kexpert.index.builder import prepare

        if self.writer and self._is_removed():
            self._lock.release()  # perhaps its file is gone too, and another process has made a new one
            self.writer = False
        if not self.writer and not self._become_writer():
            self._follow_writer()
            return
        with self._thread.next_work(self._has_work):
            self._wait_for_quiet()
            changed, self._saved, self._watched = self._saved | self._watched, set(), set()
            rescan = self._rescan or len(changed) > _RESCAN_FILES or "/" in changed
            rebuild = self._rebuild
            self._rescan = self._rebuild = False
        if self._thread.stopping:
            return
        if self._is_removed():
            self._on_message(f"{self.database}: the index is gone; building it anew")
            return
        if rebuild:
            self._on_message(f"{self.database}: the index is damaged; building it anew")
            discard(self.database)
            prepare(self.root, self.database)
            rescan = True
        differs = self._update(changed, rescan)
        if self._on_updated is not None and self._reader.complete:
            self._on_updated(None if rescan and differs else changed, self._open_paths)
        self._tidy_up()

    def _become_writer(self) -> bool:
        from kexpert.index.builder import prepare

        if not self._lock.acquire():
            return False
        try:
            begun = seed(
                self.root, self.database, exclude=self._exclude, on_progress=self._on_progress,
                cancelled=lambda: self._thread.stopping,
            )  # fmt: skip
        except SeedingCancelled:
            return False
        for message in (begun, prepare(self.root, self.database)):
            if message:
                self._on_message(message)
        self.writer = True
        self._rescan = True
        return True

    def _follow_writer(self) -> None:
        """Leave all changes to the process that writes, for a moment."""
        self._thread.set_idle()
        with self._thread.lock():
            if not self._thread.stopping:
                self._thread.wait(_RETRY_SECONDS)
            self._saved.clear()
            self._watched.clear()

    def _is_removed(self) -> bool:
        """True if somebody removed the database; a connection that was opened since has made an empty one."""
        return SymbolStore.state_of(self.database, self.root) not in (IndexState.READY, IndexState.PARTIAL)

    def _has_work(self) -> bool:
        return bool(self._saved or self._watched or self._rescan or self._rebuild)

    def _wait_for_quiet(self) -> None:
        """Wait for the end of a burst of changes, unless a user waits for a saved file. Under the lock."""
        end = time.monotonic() + _MAX_QUIET_SECONDS
        while self._watched and not (self._saved or self._rescan or self._thread.stopping) and time.monotonic() < end:
            before = len(self._watched)
            self._thread.wait(_QUIET_SECONDS)
            if len(self._watched) == before:
                return

    def _update(self, changed: set[str], rescan: bool) -> bool:
        """Read the changed files, or compare the whole tree. False if nothing was to be done."""
        from kexpert.index.builder import update
        from kexpert.index.made_by_macros import is_expansion_due

        self._cancelled = False
        with contextlib.closing(SymbolStore(self.database)) as store:
            complete = store.complete and not is_expansion_due(store)
            if rescan:
                plan = plan_update(self.root, store, self._exclude)
            else:
                plan = plan_update_of(self.root, store, changed, self._exclude)
        if rescan:
            for note in plan.notes[:_MAX_NOTES]:
                self._on_message(note)
        if not (plan.todo or plan.gone) and complete:
            return False
        shows_progress = rescan and len(plan.todo) > _MIN_PROGRESS_FILES
        report = update(
            self.root,
            self.database,
            plan,
            jobs=self._jobs,
            open_paths=self._open_paths,
            on_progress=self._on_progress if shows_progress else ignore_progress,
            cancelled=lambda: self._cancelled or self._thread.stopping,
        )
        if report.cancelled and not self._thread.stopping:
            left = report.changed - report.done
            self._on_message(f"indexing stopped on request, {left} files left; the next start goes on with them")
        return True

    def _tidy_up(self) -> None:
        """Do what only makes queries faster, as long as nothing more urgent comes."""
        from kexpert.index import common_word_positions, trigram_index
        from kexpert.index.compaction import compact

        with contextlib.closing(SymbolStore(self.database)) as store:
            is_compaction_due = store.dead_share() > _MAX_DEAD_SHARE
        if is_compaction_due:
            compact(self.root, self.database, self._is_interrupted)
        with contextlib.closing(SymbolStore(self.database)) as store:
            is_pass_due = store.complete and common_word_positions.is_pass_due(store)
            is_trigram_pass_due = store.complete and trigram_index.is_pass_due(store)
        for is_due, cover in (
            (is_pass_due, common_word_positions.cover_files),
            (is_trigram_pass_due, trigram_index.cover_files),
        ):
            if is_due:
                cover(
                    self.root,
                    self.database,
                    jobs=self._jobs,
                    on_progress=self._on_progress,
                    interrupted=lambda: self._cancelled or self._is_interrupted(),
                )

    def _is_interrupted(self) -> bool:
        """True if something more urgent than tidying up came."""
        return self._thread.stopping or self._has_work()

    def _files_watched(self, paths: Iterable[str]) -> None:
        with self._thread.new_work():
            self._watched.update(paths)

    def _report_damage(self) -> None:
        """A reader met a damaged page: the writer builds the index anew."""
        with self._thread.new_work():
            self._rebuild = True


def open_view(root: Path, searcher: Searcher | None = None) -> DiskView:
    """The index of a tree as it is, for a command that runs once. Raises IndexUnavailable."""
    database = cache_directory(root) / "index.db"
    state = SymbolStore.state_of(database, root)
    if state not in (IndexState.READY, IndexState.PARTIAL):
        raise IndexUnavailable(f"{root}: no index ({state.value}); run: kexpert index --tree {root}")
    reader = IndexReader(root, database)
    reader.refresh()
    return DiskView(reader, searcher=searcher)


def build(
    root: Path,
    jobs: int | None = None,
    on_progress: OnProgress = ignore_progress,
    on_message: Callable[[str], None] = lambda _: None,
) -> BuildReport:
    """Bring a tree's index up to date and wait for it.

    Raises IndexUnavailable if another process is writing it, IndexWriteError if it cannot be written.
    """
    from kexpert.index import common_word_positions, trigram_index
    from kexpert.index.builder import measure, prepare, update

    began = time.monotonic()
    database = cache_directory(root) / "index.db"
    lock = WriterLock(database.with_name("writer.lock"))
    try:
        if not lock.acquire():
            raise IndexUnavailable(
                f"{root}: process {lock.holder()} is indexing this tree; wait for it or stop it (kill {lock.holder()})"
            )
        for message in (seed(root, database, on_progress=on_progress), prepare(root, database)):
            if message:
                on_message(message)
        with contextlib.closing(SymbolStore(database)) as store:
            plan = plan_update(root, store)
        report = update(root, database, plan, jobs=jobs, on_progress=on_progress)
        report.seconds = time.monotonic() - began
        with contextlib.closing(SymbolStore(database)) as store:
            is_pass_due = common_word_positions.is_pass_due(store)
            is_trigram_pass_due = trigram_index.is_pass_due(store)
        if is_pass_due:
            common_word_positions.cover_files(root, database, jobs=jobs, on_progress=on_progress)
            report.common_words_seconds = time.monotonic() - began - report.seconds
        if is_trigram_pass_due:
            trigram_index.cover_files(root, database, jobs=jobs, on_progress=on_progress)
            report.trigrams_seconds = time.monotonic() - began - report.seconds - report.common_words_seconds
        if is_pass_due or is_trigram_pass_due:
            measure(report, database, jobs)
        return report
    except (OSError, sqlite3.Error) as error:
        raise IndexWriteError(_one_line(error, database)) from error
    finally:
        lock.release()


def _one_line(error: Exception, database: Path) -> str:
    if isinstance(error, IndexWriteError):
        return str(error)
    problem = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{database}: {problem}; free some space there or set XDG_CACHE_HOME to another disk"
