"""Assertions about how the running time of a function grows with its input."""

from __future__ import annotations

import time
from collections.abc import Callable

_MIN_SECONDS = 0.005  # CPU time of the smaller run; below that the clock and the constant costs decide
_START_SIZE = 500
_MAX_SIZE = 1 << 16
_GROWTH = 4
_MAX_RATIO = 10.0  # linear growth gives 4, n log n about 5, quadratic 16
_ROUNDS = 3
_ATTEMPTS = 3


def assert_linear(run: Callable[[int], object]) -> None:
    """Assert that ``run(4 * n)`` takes about four times the CPU time of ``run(n)``, not sixteen times.

    ``run`` gets the size of its input and must build that input itself. It is called with a different size each time,
    so a cache keyed by the input never answers. ``n`` grows until ``run(n)`` takes ``_MIN_SECONDS``.
    Quadratic work on ``4 * _MAX_SIZE`` elements would take seconds, so a ``run`` that is still fast there passes.
    A ratio that is too large is measured again, since other processes disturb the clock.
    """
    size = _START_SIZE
    while size < _MAX_SIZE and _cpu_seconds(run, size) < _MIN_SECONDS:
        size *= 2
    ratio = 0.0
    for attempt in range(_ATTEMPTS):
        first = size + attempt * _ROUNDS + 1
        small = min(_cpu_seconds(run, first + step) for step in range(_ROUNDS))
        large = min(_cpu_seconds(run, _GROWTH * (first + step)) for step in range(_ROUNDS))
        ratio = large / small
        if ratio < _MAX_RATIO or large < _GROWTH * _MIN_SECONDS:
            return
    raise AssertionError(f"{_GROWTH} times the input takes {ratio:.1f} times as long (n = {size})")


def _cpu_seconds(run: Callable[[int], object], size: int) -> float:
    started = time.thread_time()
    run(size)
    return time.thread_time() - started
