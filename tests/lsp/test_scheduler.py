"""Background work waits for questions; work can be cancelled before and while it runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError

import pytest
from pygls.exceptions import JsonRpcRequestCancelled

from kexpert.lsp.scheduler import Cancelled, Overdue, Scheduler, ThreadIntent


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    scheduler = Scheduler()
    yield scheduler
    scheduler.stop()


def test_background_work_begins_when_the_questions_are_answered(scheduler: Scheduler) -> None:
    answer = threading.Event()
    order: list[str] = []
    question = scheduler.start(1, ThreadIntent.QUICK, lambda cancelled: (answer.wait(10), order.append("question")))
    background = scheduler.start("warm", ThreadIntent.BACKGROUND, lambda cancelled: order.append("background"))
    time.sleep(0.2)
    assert not order
    answer.set()
    question.result(10)
    background.result(10)
    assert order == ["question", "background"]


def test_background_work_that_still_waits_can_be_cancelled(scheduler: Scheduler) -> None:
    answer = threading.Event()
    question = scheduler.start(1, ThreadIntent.SLOW, lambda cancelled: answer.wait(10))
    background = scheduler.start("warm", ThreadIntent.BACKGROUND, lambda cancelled: pytest.fail("it was cancelled"))
    scheduler.cancel("warm")
    with pytest.raises((JsonRpcRequestCancelled, CancelledError)):
        background.result(10)
    answer.set()
    assert question.result(10)


def test_a_request_that_waits_for_a_thread_is_cancelled_at_once(scheduler: Scheduler) -> None:
    release = threading.Event()
    running = scheduler.start(1, ThreadIntent.MODEL, lambda cancelled: release.wait(10))
    waiting = scheduler.start(2, ThreadIntent.MODEL, lambda cancelled: pytest.fail("it was cancelled"))
    scheduler.cancel(2)
    assert waiting.cancelled()
    release.set()
    assert running.result(10)


def test_running_work_sees_that_it_is_cancelled(scheduler: Scheduler) -> None:
    begun = threading.Event()

    def work(cancelled: Cancelled) -> None:
        begun.set()
        while not cancelled():
            time.sleep(0.01)

    running = scheduler.start(1, ThreadIntent.SLOW, work)
    assert begun.wait(10)
    scheduler.cancel(1)
    with pytest.raises(JsonRpcRequestCancelled):
        running.result(10)


def test_work_that_takes_too_long_is_given_up_and_what_waited_behind_it_runs() -> None:
    scheduler, release = Scheduler(max_seconds=0.2), threading.Event()
    stuck = scheduler.start(1, ThreadIntent.MODEL, lambda cancelled: release.wait(60))
    behind = scheduler.start(2, ThreadIntent.MODEL, lambda cancelled: "answer")
    with pytest.raises(Overdue, match=r"within 0\.2 s"):
        stuck.result(10)
    assert behind.result(10) == "answer"
    release.set()
    scheduler.stop()


def test_work_that_is_given_up_is_told_to_end() -> None:
    scheduler, ended = Scheduler(max_seconds=0.2), threading.Event()

    def work(cancelled: Cancelled) -> None:
        while not cancelled():
            time.sleep(0.01)
        ended.set()

    with pytest.raises(Overdue):
        scheduler.start(1, ThreadIntent.QUICK, work).result(10)
    assert ended.wait(10)
    scheduler.stop()
