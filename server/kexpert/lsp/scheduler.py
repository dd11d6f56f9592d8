"""Threads for questions: work by key, cancelled when nobody waits for it, given up when it takes too long.

A thread cannot be stopped from outside. Work that outlives its limit is answered with an error, told to end by its
flag, and left alone in its thread; what waited behind it gets threads of its own. If no other thread can run any more,
the system ends the process, and the editor starts it again.
"""

from __future__ import annotations

import contextlib
import faulthandler
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor, wait
from enum import Enum
from typing import Any

from pygls.exceptions import JsonRpcInternalError, JsonRpcRequestCancelled

from kexpert.workspace.answering import answering

Cancelled = Callable[[], bool]

#: Seconds without a question after which background work may begin: an editor that opens a file asks
#: about it at once, and two threads of one interpreter are slower than one after the other.
_QUIET_SECONDS = 0.05
#: Seconds that the end of a session waits for work that does not look at its cancel flag.
_STOP_SECONDS = 2.0
#: Seconds between two looks at the work under way.
_WATCH_SECONDS = 1.0
#: CPU seconds of the process between two looks. If no look comes for so long, something keeps the interpreter for
#: itself, and the server cannot even notice that its client has gone. (CPU time: a stopped process is not stuck.)
_MAX_STUCK_CPU_SECONDS = 90.0


class ThreadIntent(Enum):
    """What a thread is for; its pool is shared with its like alone. The value is (name, threads, seconds at most).

    The limit is far above what is usual on a slow machine: what reaches it will not end by itself.
    """

    QUICK = ("quick", 2, 30.0)  # milliseconds: hover, completion, jumps
    SLOW = ("slow", 2, 180.0)  # whole-tree questions
    USES = ("uses", 2, 600.0)  # of members, which may take half a minute
    PROGRAM = ("program", 1, 180.0)  # waits for another process
    MODEL = ("model", 1, 180.0)  # the model answers one request at a time
    CHAT = ("chat", 4, 900.0)  # an answer from facts, to which the chat model adds; a newer one ends an older's waiting
    BACKGROUND = ("background", 1, 180.0)  # nobody waits for it: it begins when no question has come for a moment


class Overdue(JsonRpcInternalError):
    """Work took longer than its limit."""


class _Work:
    """One piece of work; ``began`` in monotonic seconds, 0 while it waits for a thread."""

    def __init__(self, key: Any, intent: ThreadIntent, do: Callable[[Cancelled], Any], max_seconds: float) -> None:
        self.key = key
        self.intent = intent
        self.do = do
        self.max_seconds = max_seconds
        self.flag = threading.Event()
        self.future: Future[Any] = Future()
        self.began = 0.0

    def settle(self, result: Any = None, problem: BaseException | None = None) -> None:
        """Give the answer, unless one was given."""
        with contextlib.suppress(InvalidStateError):
            if problem is None:
                self.future.set_result(result)
            else:
                self.future.set_exception(problem)


class Scheduler:
    """Work under way, by key (a request's id). ``max_seconds`` replaces the limit of every intent."""

    def __init__(self, max_seconds: float | None = None) -> None:
        self._max_seconds = max_seconds
        self._pools: dict[ThreadIntent, ThreadPoolExecutor] = {}
        self._work: dict[Any, _Work] = {}
        self._questions: set[Future[Any]] = set()  # under way
        self._last_start = 0.0  # monotonic seconds
        self._change = threading.Condition()
        self._watcher: threading.Thread | None = None
        self._is_stopped = False

    def start(self, key: Any, intent: ThreadIntent, work: Callable[[Cancelled], Any]) -> Future[Any]:
        """Run ``work`` in the pool of its intent.

        The future raises JsonRpcRequestCancelled if it was cancelled, Overdue if it took too long.
        """
        made = _Work(key, intent, work, self._max_seconds or intent.value[2])
        _end_if_stuck_for(_MAX_STUCK_CPU_SECONDS)
        with self._change:
            self._last_start = time.monotonic()
            self._work[key] = made
            self._submit(made)
            self._watch()
        if intent in (ThreadIntent.QUICK, ThreadIntent.SLOW):
            self._questions.add(made.future)
            made.future.add_done_callback(self._questions.discard)
        return made.future

    def _submit(self, work: _Work) -> None:
        if work.intent not in self._pools:
            name, threads, _ = work.intent.value
            self._pools[work.intent] = ThreadPoolExecutor(threads, thread_name_prefix=f"kexpert-{name}")
        self._pools[work.intent].submit(self._run, work)

    def _run(self, work: _Work) -> None:
        with self._change:
            if work.began or not work.future.set_running_or_notify_cancel():
                return
            work.began = time.monotonic()
        try:
            while work.intent is ThreadIntent.BACKGROUND and not self._is_quiet():
                if work.flag.wait(_QUIET_SECONDS / 2):
                    break
                work.began = time.monotonic()
            with answering() if work.intent is ThreadIntent.QUICK else contextlib.nullcontext():
                result = None if work.flag.is_set() else work.do(work.flag.is_set)
            problem: BaseException | None = JsonRpcRequestCancelled() if work.flag.is_set() else None
        except BaseException as raised:
            result, problem = None, raised
        self._forget(work)
        work.settle(result, problem)

    def _is_quiet(self) -> bool:
        return not self._questions and time.monotonic() - self._last_start >= _QUIET_SECONDS

    def _forget(self, work: _Work) -> None:
        with self._change:
            if self._work.get(work.key) is work:
                del self._work[work.key]

    # -- limits ---------------------------------------------------------------------------------

    def _watch(self) -> None:
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._look, name="kexpert-limits", daemon=True)
            self._watcher.start()
        self._change.notify()

    def _look(self) -> None:
        while not self._is_stopped:
            with self._change:
                _end_if_stuck_for(_MAX_STUCK_CPU_SECONDS if self._work else 0)
                if not self._work:
                    self._change.wait()
                    continue
                now = time.monotonic()
                overdue = [work for work in self._work.values() if work.began and now - work.began > work.max_seconds]
                for work in overdue:
                    self._give_up(work)
            for work in overdue:
                text = f"no answer within {work.max_seconds:g} s; the request was given up"
                work.settle(problem=Overdue(text))
            time.sleep(min(_WATCH_SECONDS, self._max_seconds or _WATCH_SECONDS))
        _end_if_stuck_for(0)

    def _give_up(self, work: _Work) -> None:
        """Leave work to its thread, and what waits behind it to new threads."""
        del self._work[work.key]
        work.flag.set()
        if (pool := self._pools.pop(work.intent, None)) is not None:
            pool.shutdown(wait=False, cancel_futures=True)
        for waiting in [each for each in self._work.values() if each.intent is work.intent and not each.began]:
            self._submit(waiting)

    # -- ends -----------------------------------------------------------------------------------

    def cancel(self, key: Any) -> None:
        """Set the flag of running work; work that still waits for a thread is taken out of the queue."""
        with self._change:
            work = self._work.get(key)
            if work is not None and not work.began:
                del self._work[key]
        if work is not None:
            work.flag.set()
            work.future.cancel()

    def stop(self) -> None:
        """Cancel everything, take nothing more, and wait a moment for what runs: what it uses is closed next."""
        self._is_stopped = True
        under_way = [work.future for work in list(self._work.values())]
        for key in list(self._work):
            self.cancel(key)
        for pool in list(self._pools.values()):
            pool.shutdown(wait=False, cancel_futures=True)
        wait(under_way, timeout=_STOP_SECONDS)


def _end_if_stuck_for(cpu_seconds: float) -> None:
    """End the process, and say where its threads are, unless this is called again within so much CPU time; 0: never."""
    faulthandler.register(signal.SIGPROF, chain=True)
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
