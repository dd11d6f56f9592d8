"""Changes to files of the tree, reported by inotify or found by polling."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from kexpert.background.foreground import GivesWay
from kexpert.background.tree import examine, kind_of, relative_path

_POLL_SECONDS = 5.0
_LIMIT = "/proc/sys/fs/inotify/max_user_watches"
#: Opening and closing for reading are left out: a search over the tree opens thousands of files.
_CHANGES: list[type[FileSystemEvent]] = [
    FileCreatedEvent, FileModifiedEvent, FileClosedEvent, FileDeletedEvent, FileMovedEvent,
    DirCreatedEvent, DirDeletedEvent, DirMovedEvent,
]  # fmt: skip


class Watcher:
    """Calls ``on_change`` with relative paths of files to read again, from a thread of its own.

    inotify needs a watch for each folder. If the system grants too few, a message says so and folders are polled:
    the mtime of a folder changes when files are added, removed or replaced (as git and most editors save).
    A file rewritten in place is then noticed when the editor reports it.
    """

    def __init__(
        self,
        root: Path,
        on_change: Callable[[Iterable[str]], None],
        on_message: Callable[[str], None],
        poll_seconds: float = _POLL_SECONDS,
    ) -> None:
        self._root = root
        self._on_change = on_change
        self._on_message = on_message
        self._poll_seconds = poll_seconds
        self._observer: Observer | None = None  # type: ignore[valid-type]
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.polling = False

    def start(self) -> None:
        """Begin to watch in the background: registering thousands of folders takes a moment."""
        self._thread = threading.Thread(target=self._run, name="kexpert-watch", daemon=True)
        self._thread.start()

    @property
    def is_watching(self) -> bool:
        """True if inotify reports changes."""
        return self._observer is not None and self._observer.is_alive()

    def close(self) -> None:
        self._stop.set()
        if self._observer is not None:
            self._observer.stop()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _run(self) -> None:
        folders = _folders(self._root)
        limit = watch_limit()
        if limit is not None and len(folders) > limit * 0.9:
            self._poll(folders, f"inotify grants {limit} watches, the tree has {len(folders)} folders")
            return
        observer = Observer()
        try:
            observer.schedule(
                _Events(self._root, self._on_change), str(self._root), recursive=True, event_filter=_CHANGES
            )
            observer.start()
        except OSError as error:
            self._poll(folders, f"inotify: {error.strerror or error}")
            return
        self._observer = observer
        if self._stop.is_set():
            observer.stop()

    def _poll(self, folders: dict[str, int], why: str) -> None:
        self.polling = True
        self._on_message(
            f"{why}: polling changed folders instead; raise fs.inotify.max_user_watches (sysctl) to watch them"
        )
        while not self._stop.wait(self._poll_seconds):
            now = _folders(self._root)
            changed = [path for path, mtime in now.items() if folders.get(path) != mtime]
            changed += [path for path in folders if path not in now]
            folders = now
            if changed:
                self._on_change(_files_in(self._root, changed))


class _Events(FileSystemEventHandler):
    def __init__(self, root: Path, on_change: Callable[[Iterable[str]], None]) -> None:
        self._root = root
        self._on_change = on_change

    def on_any_event(self, event: FileSystemEvent) -> None:
        changed = []
        for place in (event.src_path, event.dest_path):
            if not place:
                continue
            path = relative_path(self._root, os.fsdecode(place))
            if path is None or path.startswith(".git/"):
                continue
            if event.is_directory:
                # the files of a folder that appears or goes have no events of their own
                if event.event_type in ("created", "moved", "deleted"):
                    changed.append(path + "/")
            elif kind_of(path):
                changed.append(path)
        if changed:
            self._on_change(changed)


def watch_limit() -> int | None:
    """The number of folders that a user may watch; None where the system does not say."""
    try:
        return int(Path(_LIMIT).read_text())
    except (OSError, ValueError):
        return None


def _folders(root: Path) -> dict[str, int]:
    """Every folder of the tree -> its mtime in ns."""
    found = {}
    give_way = GivesWay()
    for folder, names, _ in os.walk(root):
        give_way()
        names[:] = [name for name in names if name != ".git"]
        try:
            found[os.path.relpath(folder, root)] = os.stat(folder).st_mtime_ns
        except OSError:
            continue
    return found


def _files_in(root: Path, folders: Iterable[str]) -> list[str]:
    """Paths to read again in changed folders: the files that are there, and the folder for those that are gone."""
    changed = []
    for folder in folders:
        base = "" if folder == "." else folder + "/"
        changed.append(base or "/")
        try:
            names = os.listdir(root / folder)
        except OSError:
            continue
        changed += [base + name for name in names if examine(root, base + name)]
    return changed
