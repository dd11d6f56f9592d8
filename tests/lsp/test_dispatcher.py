"""Work that nobody waits for stands back behind questions."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from pygls.exceptions import JsonRpcRequestCancelled

from kexpert.lsp.dispatcher import Jobs, Lane


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    jobs = Jobs()
    yield jobs
    jobs.stop()


def test_background_work_begins_when_the_questions_are_answered(jobs: Jobs) -> None:
    answer = threading.Event()
    order: list[str] = []
    question = jobs.start(1, Lane.QUICK, lambda cancelled: (answer.wait(10), order.append("question")))
    background = jobs.start("warm", Lane.BACKGROUND, lambda cancelled: order.append("background"))
    time.sleep(0.2)
    assert not order
    answer.set()
    question.result(10)
    background.result(10)
    assert order == ["question", "background"]


def test_background_work_that_still_waits_can_be_cancelled(jobs: Jobs) -> None:
    answer = threading.Event()
    question = jobs.start(1, Lane.SLOW, lambda cancelled: answer.wait(10))
    background = jobs.start("warm", Lane.BACKGROUND, lambda cancelled: pytest.fail("it was cancelled"))
    jobs.cancel("warm")
    with pytest.raises(JsonRpcRequestCancelled):
        background.result(10)
    answer.set()
    assert question.result(10)
