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
    Other processes disturb the clock, so each time is the least of several, and a ratio that is too large is
    measured again.
    """
    size = _START_SIZE
    while size < _MAX_SIZE and _cpu_seconds(run, range(size, size + _ROUNDS)) < _MIN_SECONDS:
        size *= 2
    ratio = 0.0
    for attempt in range(_ATTEMPTS):
        first = size + (attempt + 1) * _ROUNDS
        small = _cpu_seconds(run, range(first, first + _ROUNDS))
        large = _cpu_seconds(run, range(_GROWTH * first, _GROWTH * (first + _ROUNDS), _GROWTH))
        ratio = large / small
        if ratio < _MAX_RATIO or large < _GROWTH * _MIN_SECONDS:
            return
    raise AssertionError(f"{_GROWTH} times the input takes {ratio:.1f} times as long (n = {size})")


def _cpu_seconds(run: Callable[[int], object], sizes: range) -> float:
    """The least CPU time of a run with one of the sizes."""
    times = []
    for size in sizes:
        started = time.thread_time()
        run(size)
        times.append(time.thread_time() - started)
    return min(times)
