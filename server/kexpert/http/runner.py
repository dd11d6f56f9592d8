"""Questions on threads: a few threads for each lane, a bounded queue before it, and an end to every wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from starlette.requests import Request

from kexpert.http.contract import Lane
from kexpert.http.problems import Problem
from kexpert.workspace.answering import answering

T = TypeVar("T")

_THREADS: dict[Lane, int] = {"fast": 2, "slow": 2, "model": 2}
_MAX_WAITING: dict[Lane, int] = {"fast": 256, "slow": 32, "model": 16}
_MAX_SECONDS: dict[Lane, float] = {"fast": 10.0, "slow": 30.0, "model": 120.0}


class Runner:
    """The threads keep their connections to the index, so they live as long as the server."""

    def __init__(self) -> None:
        self._pools = {
            lane: ThreadPoolExecutor(count, thread_name_prefix=f"kexpert-{lane}") for lane, count in _THREADS.items()
        }
        self._asked = dict.fromkeys(_THREADS, 0)

    async def run(self, lane: Lane, question: Callable[[Callable[[], bool]], T], request: Request | None = None) -> T:
        """Ask ``question(cancelled)`` on a thread. It is cancelled when the client of ``request`` is gone.

        Raises Problem 503 if too many wait or the answer takes too long.
        """
        if self._asked[lane] >= _MAX_WAITING[lane] + _THREADS[lane]:
            raise Problem(503, "too many questions at once", {"Retry-After": "2"})
        over = threading.Event()
        self._asked[lane] += 1

        def answer() -> T:
            with answering():
                return question(over.is_set)

        future = asyncio.get_running_loop().run_in_executor(self._pools[lane], answer)
        future.add_done_callback(lambda done: self._done(lane, done))
        watch = asyncio.create_task(_gone(request, over)) if request is not None and lane != "fast" else None
        try:
            return await asyncio.wait_for(asyncio.shield(future), _MAX_SECONDS[lane])
        except TimeoutError:
            raise Problem(503, f"no answer within {_MAX_SECONDS[lane]:.0f} s", {"Retry-After": "10"}) from None
        finally:
            over.set()
            if watch is not None:
                watch.cancel()

    def _done(self, lane: Lane, done: asyncio.Future[T]) -> None:
        self._asked[lane] -= 1
        if not done.cancelled():
            done.exception()  # of a question that nobody waits for any more

    def close(self) -> None:
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)


async def _gone(request: Request, over: threading.Event) -> None:
    """Set ``over`` when the client is gone."""
    while not await request.is_disconnected():
        await asyncio.sleep(0.25)
    over.set()
