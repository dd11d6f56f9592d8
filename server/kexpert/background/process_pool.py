"""Tasks run by worker processes. A task that kills its process is passed over, and all others are done."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

#: Time between two checks for cancellation.
_POLL_SECONDS = 0.05
#: Tasks given out for each process: the one that it works at and the next.
_TASKS_PER_PROCESS = 2

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


def default_jobs() -> int:
    """The number of processors that this process may use."""
    return max(1, len(os.sched_getaffinity(0)))


def end_with_parent() -> None:
    """Make this process end when its parent does: a parent killed with SIGKILL cannot stop its workers."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()


def _exit_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def run_here(
    work: Callable[[_Task], _Result], tasks: Iterable[_Task], cancelled: Callable[[], bool]
) -> Iterator[tuple[_Task, _Result]]:
    """Run a few tasks in this process: starting others would take longer. Ends early when cancelled."""
    for task in tasks:
        if cancelled():
            return
        yield task, work(task)


def uncut(task: _Task) -> list[_Task]:
    """A ``split`` that leaves a task whole."""
    return [task]


@dataclass(frozen=True, slots=True)
class ProcessPool(Generic[_Task, _Result]):
    """Runs tasks in worker processes. Each ``run`` starts its processes and ends them."""

    work: Callable[[_Task], _Result]
    jobs: int
    #: Called in each new process with ``arguments``.
    initializer: Callable[..., None]
    arguments: tuple[Any, ...] = ()
    #: Results in the order of the tasks, else in the order in which they are done.
    ordered: bool = False
    #: When cancelled, do not wait for tasks under way: they must write nothing.
    abandon: bool = False
    #: Cuts a task during which a process died into tasks that are tried one by one.
    split: Callable[[_Task], Iterable[_Task]] = uncut

    def run(
        self, tasks: Iterable[_Task], cancelled: Callable[[], bool] = lambda: False
    ) -> Iterator[tuple[_Task, _Result | None]]:
        """Each task with its result, or with None where it killed the process that ran it alone.

        When a process dies, all tasks that were under way are run again one at a time, which tells the culprit.
        Ends early when cancelled. Raises what ``work`` raises.
        """
        left = iter(tasks)
        suspects: deque[_Task] = deque()
        while not cancelled():
            lost: list[_Task] = []
            if suspects:
                yield from self._run_until_death(_drained(suspects), 1, 1, cancelled, lost)
                for culprit in lost:
                    yield culprit, None
                continue
            yield from self._run_until_death(left, self.jobs, _TASKS_PER_PROCESS * self.jobs, cancelled, lost)
            if not lost:
                return
            suspects.extend(part for task in lost for part in self.split(task))

    def _run_until_death(
        self,
        left: Iterator[_Task],
        jobs: int,
        max_under_way: int,
        cancelled: Callable[[], bool],
        lost: list[_Task],
    ) -> Iterator[tuple[_Task, _Result]]:
        """Run tasks until none is left or a process dies; those that were under way then are put into ``lost``."""
        # spawn: the server has threads, and a fork of it could inherit a held lock
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(jobs, context, self.initializer, self.arguments)
        under_way: dict[Future[_Result], _Task] = {}
        exhausted = False
        try:
            while not cancelled():
                while not exhausted and len(under_way) < max_under_way:
                    try:
                        task = next(left)
                    except StopIteration:
                        exhausted = True
                        break
                    try:
                        under_way[pool.submit(self.work, task)] = task
                    except BrokenProcessPool:
                        lost += [*under_way.values(), task]
                        return
                if not under_way:
                    return
                if self.ordered:
                    first = next(iter(under_way))
                    if not wait([first], _POLL_SECONDS).done:
                        continue
                    if isinstance(first.exception(), BrokenProcessPool):
                        lost += under_way.values()  # also what is done: its results would come before the first's
                        return
                    yield under_way.pop(first), first.result()
                    continue
                done = wait(under_way, _POLL_SECONDS, FIRST_COMPLETED).done
                is_broken = any(isinstance(future.exception(), BrokenProcessPool) for future in done)
                for future in wait(under_way).done if is_broken else done:
                    task = under_way.pop(future)
                    if isinstance(future.exception(), BrokenProcessPool):
                        lost.append(task)
                    else:
                        yield task, future.result()
                if is_broken:
                    return
        finally:
            pool.shutdown(wait=not (self.abandon and cancelled()), cancel_futures=True)


def _drained(tasks: deque[_Task]) -> Iterator[_Task]:
    while tasks:
        yield tasks.popleft()
