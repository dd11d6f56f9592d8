"""Server-sent events: the state of the index, and answers as they come."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from kexpert.http.metrics import Metrics
from kexpert.http.problems import Problem

EVENT_STREAM = "text/event-stream"
KEEP_ALIVE = b": still here\n\n"
KEEP_ALIVE_SECONDS = 15.0
MAX_STREAMS = 4000
_LOOK_SECONDS = 2.0


def event(name: str, data: Any) -> bytes:
    """One event; JSON has no line breaks."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


async def with_keep_alive(work: Awaitable[bytes]) -> AsyncIterator[bytes]:
    """The bytes of ``work``, with comments meanwhile so that nobody between closes the connection."""
    task = asyncio.ensure_future(work)
    try:
        while True:
            done, _ = await asyncio.wait({task}, timeout=KEEP_ALIVE_SECONDS)
            if done:
                break
            yield KEEP_ALIVE
        yield task.result()
    finally:
        task.cancel()


class IndexEvents:
    """Tells any number of clients when the state of the index changes. One look at the index serves them all."""

    def __init__(self, look: Callable[[], Awaitable[Any]], metrics: Metrics) -> None:
        self._look = look
        self._metrics = metrics
        self._state: Any = None
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def stream(self) -> AsyncIterator[bytes]:
        """The state now and each time it changes. Raises Problem if too many listen."""
        if self._task is None:
            self._task = asyncio.create_task(self._watch())
        self._metrics.open_streams += 1
        try:
            told = None
            while True:
                changed = self._changed
                if self._state is not None and self._state != told:
                    told = self._state
                    yield event("index", told)
                try:
                    await asyncio.wait_for(changed.wait(), KEEP_ALIVE_SECONDS)
                except TimeoutError:
                    yield KEEP_ALIVE
        finally:
            self._metrics.open_streams -= 1

    def check_room(self) -> None:
        """Raises Problem if too many listen."""
        if self._metrics.open_streams >= MAX_STREAMS:
            raise Problem(503, "too many clients listen", {"Retry-After": "30"})

    async def _watch(self) -> None:
        while True:
            with contextlib.suppress(Problem):
                state = await self._look()
                if state != self._state:
                    self._state = state
                    before, self._changed = self._changed, asyncio.Event()
                    before.set()
            await asyncio.sleep(_LOOK_SECONDS)

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
