"""Running the tree's ``scripts/checkpatch.pl`` on a saved file."""

from __future__ import annotations

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

#: How often a run looks whether it was cancelled, in seconds.
_POLL = 0.05
#: What checkpatch knows the style of.
CHECKED = (".c", ".h", ".S", ".dts", ".dtsi", "Kconfig")
#: Larger files are generated; checkpatch would take minutes.
MAX_FILE = 4 << 20


class GaveUp(Exception):
    """A run of checkpatch came to nothing; the message says why in one line."""


@dataclass(frozen=True, slots=True)
class Report:
    """What checkpatch printed on one saved state of a file, which ``version`` names."""

    version: str
    text: bytes
    output: bytes


class Checkpatch:
    """checkpatch for one tree. The last report on each file is kept for as long as the file stays
    as it was. Meant to be called from one thread at a time: runs take seconds of a processor."""

    def __init__(self, root: Path, timeout: float) -> None:
        self._root = root
        self._script = root / "scripts" / "checkpatch.pl"
        self.timeout = timeout
        self._reports: dict[str, Report] = {}
        self._stand: TemporaryDirectory[str] | None = None
        self._lock = threading.Lock()

    def missing(self) -> str:
        """What is not there that checkpatch needs; "" when it can run."""
        if shutil.which("perl") is None:
            return "perl is not installed"
        return "" if self._script.is_file() else f"{self._script} is not there"

    def version(self, path: str) -> str | None:
        """A name for the saved state of a file of the tree; None if there is none to check."""
        if not path.endswith(CHECKED):
            return None
        try:
            stat = (self._root / path).stat()
        except (OSError, ValueError):
            return None
        return f"{stat.st_mtime_ns:x}-{stat.st_size:x}" if stat.st_size <= MAX_FILE else None

    def report(self, path: str, cancelled: Callable[[], bool]) -> Report | None:
        """The findings on a saved file; None where there is nothing to check or it was cancelled.

        Raises GaveUp, once for each saved state, when it could not be run or the time was not enough.
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
                    del self._reports[path]
                    return None
                known = self._reports[path] = Report(version, text, output)
            return known

    def forget(self, path: str) -> None:
        self._reports.pop(path, None)

    def _run(self, path: str, cancelled: Callable[[], bool]) -> bytes | None:
        # The path is relative to the tree: checkpatch is stricter with some directories, as drivers/net.
        options = ["--terse", "--show-types", "--no-summary", "--color=never", f"--root={self._root}"]
        command = ["perl", str(self._script), *options, "-f", "--", path]
        try:
            process = subprocess.Popen(
                command,
                cwd=self._standing_place(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise GaveUp(f"checkpatch: cannot be started: {error}") from None
        until = time.monotonic() + self.timeout
        while True:
            try:
                return process.communicate(timeout=_POLL)[0]
            except subprocess.TimeoutExpired:
                if not cancelled() and time.monotonic() < until:
                    continue
            _end(process)
            if cancelled():
                return None
            raise GaveUp(f"checkpatch: gave up on {path} after {self.timeout:g} s (diagnostics.timeout_seconds)")

    def _standing_place(self) -> str:
        """A directory to run in that looks like the tree: checkpatch leaves a cache of names where it
        stands, and nothing may be written into a tree."""
        if self._stand is None:
            stand = TemporaryDirectory(prefix="kexpert-checkpatch-")
            for name in os.listdir(self._root):
                if name != ".git" and not name.startswith(".checkpatch-camelcase"):
                    os.symlink(self._root / name, f"{stand.name}/{name}")
            self._stand = stand
        return self._stand.name


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a run and what it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except OSError:
        process.kill()
    process.communicate()
