"""Tasks in worker processes: all are done but those that kill their process."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kexpert.background.process_pool import ProcessPool, run_here

Numbers = list[int]


def do_nothing() -> None:
    """Initializer of the worker processes."""


def double(numbers: Numbers) -> Numbers:
    return [2 * number for number in numbers]


def double_or_die(numbers: Numbers) -> Numbers:
    if 13 in numbers:
        os.abort()
    return double(numbers)


def double_late(numbers: Numbers) -> Numbers:
    time.sleep(0.2 if numbers == [0] else 0.0)
    return double(numbers)


def fail(numbers: Numbers) -> Numbers:
    raise ValueError(f"cannot double {numbers}")


def leave_a_mark(folder: str) -> None:
    Path(folder, str(os.getpid())).touch()


def pool(work: Callable[[Numbers], Numbers], *, ordered: bool = False) -> ProcessPool[Numbers, Numbers]:
    return ProcessPool(work, 2, do_nothing, ordered=ordered, split=lambda numbers: [[number] for number in numbers])


TASKS = [[0], [1, 2], [3], [4, 5, 6]]


@pytest.mark.parametrize("ordered", [False, True])
def test_every_task_gets_its_result(ordered: bool) -> None:
    found = list(pool(double_late, ordered=ordered).run(TASKS))
    assert sorted(found) == [(task, double(task)) for task in TASKS]
    assert not ordered or [task for task, _ in found] == TASKS


@pytest.mark.parametrize("ordered", [False, True])
def test_the_task_that_kills_its_process_is_passed_over_alone(ordered: bool) -> None:
    tasks = [[number, number + 1] for number in range(0, 30, 2)]
    found = [(number, result) for task, result in pool(double_or_die, ordered=ordered).run(tasks) for number in task]
    assert [number for number, result in found if result is None] == [13]
    assert sorted(number for number, _ in found) == list(range(30))
    assert not ordered or [number for number, _ in found] == list(range(30))


def test_an_error_of_the_work_is_raised() -> None:
    with pytest.raises(ValueError, match="cannot double"):
        list(pool(fail).run(TASKS))


def test_a_cancelled_run_ends_early() -> None:
    found: list[Numbers] = []
    for task, _ in pool(double).run(([number] for number in range(1000)), lambda: len(found) >= 3):
        found.append(task)
    assert len(found) < 20


def test_the_initializer_runs_in_each_process(tmp_path: Path) -> None:
    list(ProcessPool(double, 2, leave_a_mark, (str(tmp_path),)).run(TASKS))
    assert 1 <= len(list(tmp_path.iterdir())) <= 2


def test_few_tasks_run_in_this_process() -> None:
    assert list(run_here(double, TASKS, lambda: False)) == [(task, double(task)) for task in TASKS]
    assert list(run_here(double, TASKS, lambda: True)) == []
