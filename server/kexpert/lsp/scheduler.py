"""Threads for requests: each request runs in a pool of its kind, and may be cancelled."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from enum import Enum
from typing import Any

from pygls.exceptions import JsonRpcRequestCancelled

Cancelled = Callable[[], bool]

#: Seconds without a question after which background work may begin: an editor that opens a file asks
#: about it at once, and two threads of one interpreter are slower than one after the other.
_QUIET_SECONDS = 0.05
#: Seconds that the end of a session waits for work that does not look at its cancel flag.
_STOP_SECONDS = 3.0


class ThreadIntent(Enum):
    """What a thread is for; its pool is shared with its like alone. The value is (name, threads)."""

    QUICK = ("quick", 2)  # milliseconds: hover, completion, jumps
    SLOW = ("slow", 2)  # whole-tree questions
    USES = ("uses", 2)  # of members, which may take half a minute
    PROGRAM = ("program", 1)  # waits for another process
    MODEL = ("model", 1)  # the model answers one request at a time
    CHAT = ("chat", 4)  # an answer from facts, to which the chat model adds; a newer one ends the waiting of an older
    BACKGROUND = ("background", 1)  # nobody waits for it: it begins when no question has come for a moment


class Scheduler:
    """Work under way, by key (a request's id)."""

    def __init__(self) -> None:
        self._pools: dict[ThreadIntent, ThreadPoolExecutor] = {}
        self._flags: dict[Any, threading.Event] = {}
        self._futures: dict[Any, Future[Any]] = {}
        self._questions: set[Future[Any]] = set()  # under way
        self._last_start = 0.0  # monotonic seconds

    def start(self, key: Any, intent: ThreadIntent, work: Callable[[Cancelled], Any]) -> Future[Any]:
        """Run ``work`` in the pool of its intent. The future raises JsonRpcRequestCancelled if it was cancelled."""
        flag = self._flags[key] = threading.Event()

        def run() -> Any:
            try:
                while intent is ThreadIntent.BACKGROUND and not self._is_quiet():
                    if flag.wait(_QUIET_SECONDS / 2):
                        break
                result = None if flag.is_set() else work(flag.is_set)
                if flag.is_set():
                    raise JsonRpcRequestCancelled
                return result
            finally:
                self._forget(key, flag)

        if intent not in self._pools:
            name, threads = intent.value
            self._pools[intent] = ThreadPoolExecutor(threads, thread_name_prefix=f"kexpert-{name}")
        self._last_start = time.monotonic()
        future = self._pools[intent].submit(run)
        if key in self._flags:
            self._futures[key] = future
        if intent in (ThreadIntent.QUICK, ThreadIntent.SLOW):
            self._questions.add(future)
            future.add_done_callback(self._questions.discard)
        return future

    def _is_quiet(self) -> bool:
        return not self._questions and time.monotonic() - self._last_start >= _QUIET_SECONDS

    def _forget(self, key: Any, flag: threading.Event) -> None:
        if self._flags.get(key) is flag:
            del self._flags[key]
            self._futures.pop(key, None)

    def cancel(self, key: Any) -> None:
        """Set the flag of running work; work that still waits for a thread is taken out of the queue."""
        flag, future = self._flags.pop(key, None), self._futures.pop(key, None)
        if flag:
            flag.set()
        if future:
            future.cancel()

    def stop(self) -> None:
        """Cancel everything, take nothing more, and wait a moment for what runs: what it uses is closed next."""
        under_way = list(self._futures.values())
        for key in list(self._flags):
            self.cancel(key)
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
        wait(under_way, timeout=_STOP_SECONDS)
