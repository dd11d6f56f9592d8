"""Running the tree's ``scripts/checkpatch.pl`` on a saved file."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

#: How often a run looks at its cancel flag.
_POLL_SECONDS = 0.05
#: Below the server's own priority: suggestions do not wait for reports of style.
_NICENESS = 10
#: Files whose style checkpatch knows.
CHECKED_SUFFIXES = (".c", ".h", ".S", ".dts", ".dtsi", "Kconfig")
#: Larger files are generated; checkpatch would take minutes.
MAX_FILE_BYTES = 4 << 20


class GaveUp(Exception):
    """A run of checkpatch failed; the message says why in one line."""


@dataclass(frozen=True, slots=True)
class Report:
    """checkpatch's output on one saved state of a file; ``version`` identifies the state."""

    version: str
    text: bytes
    output: bytes


class Checkpatch:
    """checkpatch for one tree. Keeps the last report on each file until the file changes.

    Call it from one thread at a time: a run takes seconds of CPU.
    """

    def __init__(self, root: Path, timeout: float) -> None:
        self._root = root
        self._script = root / "scripts" / "checkpatch.pl"
        self.timeout = timeout
        self._reports: dict[str, Report] = {}
        self._directory: TemporaryDirectory[str] | None = None
        self._lock = threading.Lock()

    def missing(self) -> str:
        """What checkpatch needs and does not find; "" if it can run."""
        if shutil.which("perl") is None:
            return "perl is not installed"
        return "" if self._script.is_file() else f"{self._script} is not there"

    def version(self, path: str) -> str | None:
        """Identifies the saved state of a file of the tree; None if there is nothing to check."""
        if not path.endswith(CHECKED_SUFFIXES):
            return None
        try:
            stat = (self._root / path).stat()
        except (OSError, ValueError):
            return None
        return f"{stat.st_mtime_ns:x}-{stat.st_size:x}" if stat.st_size <= MAX_FILE_BYTES else None

    def report(self, path: str, cancelled: Callable[[], bool]) -> Report | None:
        """The report on a saved file; None if there is nothing to check or the run was cancelled.

        Raises GaveUp, once for each saved state, if checkpatch could not be run or took too long.
        """
        version = self.version(path)
        if version is None:
            return None
        with self._lock:
            known = self._reports.get(path)
            if known is None or known.version != version:
                try:
                    text = (self._root / path).read_bytes()
                except OSError:
                    return None
                # A run that fails is not repeated until the file changes.
                self._reports[path] = Report(version, text, b"")
                output = self._run(path, cancelled)
                if output is None:
                    self.forget(path)  # (it may have been closed meanwhile)
                    return None
                known = self._reports[path] = Report(version, text, output)
            return known

    def forget(self, path: str) -> None:
        self._reports.pop(path, None)

    def _run(self, path: str, cancelled: Callable[[], bool]) -> bytes | None:
        # The path is relative to the tree: checkpatch is stricter in some directories, such as drivers/net.
        options = ["--terse", "--show-types", "--no-summary", "--color=never", f"--root={self._root}"]
        command = ["perl", str(self._script), *options, "-f", "--", path]
        try:
            process = subprocess.Popen(
                command,
                cwd=self._working_directory(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise GaveUp(f"checkpatch: cannot be started: {error}") from None
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, _NICENESS)
        until = time.monotonic() + self.timeout
        while True:
            try:
                return process.communicate(timeout=_POLL_SECONDS)[0]
            except subprocess.TimeoutExpired:
                if not cancelled() and time.monotonic() < until:
                    continue
            _end(process)
            if cancelled():
                return None
            raise GaveUp(f"checkpatch: gave up on {path} after {self.timeout:g} s (diagnostics.timeout_seconds)")

    def _working_directory(self) -> str:
        """A directory that looks like the tree: checkpatch writes a cache of names into its working directory,
        and nothing may be written into a tree."""
        if self._directory is None:
            directory = TemporaryDirectory(prefix="kexpert-checkpatch-")
            for name in os.listdir(self._root):
                if name != ".git" and not name.startswith(".checkpatch-camelcase"):
                    os.symlink(self._root / name, f"{directory.name}/{name}")
            self._directory = directory
        return self._directory.name


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a run and its children."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except OSError:
        process.kill()
    process.communicate()
