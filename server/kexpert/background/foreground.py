"""Whether this process is answering a question just now, so that its background loops can let the answer through.

Python runs one thread at a time. A thread that walks the tree while a question is answered makes the answer twice as
slow, although nobody waits for the walk.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_MAX_WAIT_SECONDS = 0.2

_lock = threading.Lock()
_questions = 0
_is_free = threading.Event()
_is_free.set()


@contextmanager
def answering() -> Iterator[None]:
    """Somebody waits while the block runs."""
    global _questions
    with _lock:
        _questions += 1
        _is_free.clear()
    try:
        yield
    finally:
        with _lock:
            _questions -= 1
            if not _questions:
                _is_free.set()


def wait_until_free(max_seconds: float) -> None:
    """Wait until no question is being answered."""
    _is_free.wait(max_seconds)


class GivesWay:
    """One piece of work in the background, which lets questions go first for at most ``max_seconds`` in all."""

    def __init__(self, max_seconds: float = 10.0) -> None:
        self._left_seconds = max_seconds

    def __call__(self) -> None:
        """Wait while a question is being answered, for a moment at most. Cheap; call it in a loop."""
        if _is_free.is_set() or self._left_seconds <= 0:
            return
        began = time.monotonic()
        _is_free.wait(min(_MAX_WAIT_SECONDS, self._left_seconds))
        self._left_seconds -= time.monotonic() - began
