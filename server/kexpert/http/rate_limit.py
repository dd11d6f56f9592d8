"""A token bucket for each client."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable

_MAX_CLIENTS = 10_000
#: A client that was quiet may ask this many seconds' worth at once.
_BURST_SECONDS = 4.0


class RateLimit:
    """Of one process; not thread-safe, as the event loop is one thread."""

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        """``per_second``: requests of one client in the long run; 0 for no limit."""
        self._rate = per_second
        self._burst = max(1.0, per_second * _BURST_SECONDS)
        self._clock = clock
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()  # -> (requests left, at this time)

    def wait_seconds(self, client: str) -> int:
        """Count a request: 0 if it may be answered, else the whole seconds until the next one may."""
        if self._rate <= 0:
            return 0
        now = self._clock()
        left, since = self._clients.pop(client, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._rate)
        allowed = left >= 1
        self._clients[client] = (left - 1 if allowed else left, now)
        while len(self._clients) > _MAX_CLIENTS:
            self._clients.popitem(last=False)
        return 0 if allowed else max(1, math.ceil((1 - left) / self._rate))
