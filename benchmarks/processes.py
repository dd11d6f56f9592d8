"""Cost of a command with all its processes: wall time, CPU time, peak memory."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20
SAMPLE_SECONDS = 0.1
#: A server that is still busy after this time is measured as it is.
SETTLE_SECONDS = 180


@dataclass(frozen=True, slots=True)
class Cost:
    wall_s: float
    cpu_s: float
    peak_rss_mb: float  # of all processes together; shared pages count once for each
    stdout: str


def measure(command: Sequence[str], cwd: Path, env: dict[str, str] | None = None) -> Cost:
    """Run a command to its end. Raises CalledProcessError when it fails."""
    before, started = os.times(), time.perf_counter()
    process = subprocess.Popen(
        command, cwd=cwd, env=os.environ | (env or {}), start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    peak, done = 0.0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(SAMPLE_SECONDS):
            peak = max(peak, session_rss_mb(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    stdout, stderr = process.communicate()
    done.set()
    watcher.join()
    wall, after = time.perf_counter() - started, os.times()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, stdout, stderr)
    cpu = after.children_user - before.children_user + after.children_system - before.children_system
    return Cost(wall, cpu, peak, stdout)


def session_rss_mb(session: int) -> float:
    """Resident memory of every process in a session, in MiB."""
    return sum(map(rss_mb, _of_session(session)))


def rss_mb(pid: int) -> float:
    """Resident memory of one process, in MiB; 0 where it ended meanwhile."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * PAGE_MB
    except (OSError, IndexError):
        return 0.0


def settle(session: int) -> None:
    """Wait until the processes of a session use no CPU, at most ``SETTLE_SECONDS``."""
    end, quiet, last = time.monotonic() + SETTLE_SECONDS, 0, _cpu_s(session)
    while quiet < 3 and time.monotonic() < end:
        time.sleep(1)
        last, before = _cpu_s(session), last
        quiet = quiet + 1 if last - before < 0.05 else 0


def _cpu_s(session: int) -> float:
    ticks = 0
    for pid in _of_session(session):
        with contextlib.suppress(OSError, IndexError):
            ticks += sum(map(int, _stat(pid)[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _of_session(session: int) -> list[int]:
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            with contextlib.suppress(OSError, IndexError):  # it ended meanwhile
                if int(_stat(int(entry.name))[3]) == session:
                    found.append(int(entry.name))
    return found


def _stat(pid: int) -> list[bytes]:
    """The fields of /proc/PID/stat from the third on: after the name, which may hold any character."""
    return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
