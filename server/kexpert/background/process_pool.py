"""Worker processes: how many, and how they end."""

from __future__ import annotations

import multiprocessing
import os
import threading
from multiprocessing.process import BaseProcess


def default_jobs() -> int:
    """The number of processors that this process may use."""
    return max(1, len(os.sched_getaffinity(0)))


def end_with_parent() -> None:
    """Make this process end when its parent does: a parent killed with SIGKILL cannot stop its workers."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()


def _exit_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
