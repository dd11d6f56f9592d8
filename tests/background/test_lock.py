"""Who holds a lock between processes."""

from __future__ import annotations

import os
from pathlib import Path

from kexpert.background.lock import WriterLock


def test_a_holder_that_ended_is_no_holder(tmp_path: Path) -> None:
    lock, other = WriterLock(tmp_path / "writer.lock"), WriterLock(tmp_path / "writer.lock")
    assert other.holder() is None
    assert lock.acquire() and not other.acquire()
    assert other.holder() == lock.holder() == os.getpid()
    lock.release()  # as the system does when a process dies
    assert other.holder() is None
    assert other.acquire()
