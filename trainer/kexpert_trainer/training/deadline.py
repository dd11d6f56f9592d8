"""The time limit of a run, with time left for the last evaluation and save."""

from __future__ import annotations

import math
import time
from collections.abc import Callable


class Deadline:
    """Tells when a run must stop so that one more step, the last evaluation and the last save end in time.

    How long these take is learnt from earlier ones; the first values are guesses. Times are seconds.
    """

    def __init__(self, minutes: float = math.inf, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + 60 * minutes
        self._step, self._evaluation, self._save = 1.0, 5.0, 5.0

    def is_near(self) -> bool:
        return self._clock() + self._step + self._evaluation + self._save > self._end

    def step_took(self, seconds: float) -> None:
        self._step = max(self._step / 2, seconds)  # the first step may include a compilation

    def evaluation_took(self, seconds: float) -> None:
        self._evaluation = seconds

    def save_took(self, seconds: float) -> None:
        self._save = seconds
