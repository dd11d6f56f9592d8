"""Waiting in tests: the one loop that polls."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

_POLL_SECONDS = 0.02


def eventually(ask: Callable[[], Any], wanted: Callable[[Any], object] = bool, seconds: float = 30.0) -> Any:
    """Ask until the answer is wanted; returns it. Raises AssertionError with the last answer after ``seconds``."""
    end = time.monotonic() + seconds
    while not wanted(answer := ask()):
        if time.monotonic() > end:
            raise AssertionError(f"not in {seconds} s; the last answer: {answer!r}")
        time.sleep(_POLL_SECONDS)
    return answer
