"""The worker thread: it waits, coalesces work, tells when it is idle, goes on after errors, and stops."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from kexpert.background.worker_thread import WorkerThread


class Owner:
    """Collects paths and handles them in steps."""

    def __init__(self) -> None:
        self.paths: set[str] = set()
        self.handled: list[set[str]] = []
        self.errors: list[str] = []
        self.may_run = threading.Event()
        self.may_run.set()
        self.thread = WorkerThread(
            "test", self.step, errors=(OSError,), on_error=lambda error: self.errors.append(str(error)),
            retry_seconds=lambda: 0.01,
        )  # fmt: skip

    def step(self) -> None:
        with self.thread.next_work(lambda: bool(self.paths)):
            paths, self.paths = self.paths, set()
        if self.thread.stopping:
            return
        self.may_run.wait(5)
        if "bad" in paths:
            raise OSError("bad disk")
        self.handled.append(paths)

    def add(self, *paths: str) -> None:
        with self.thread.new_work():
            self.paths.update(paths)


@pytest.fixture
def owner() -> Iterator[Owner]:
    owner = Owner()
    owner.thread.start()
    yield owner
    owner.may_run.set()
    owner.thread.close(5)


def test_it_is_idle_when_there_is_nothing_to_do(owner: Owner) -> None:
    assert owner.thread.wait_idle(5)
    owner.may_run.clear()
    owner.add("a")
    assert not owner.thread.wait_idle(0.05)
    owner.may_run.set()
    assert owner.thread.wait_idle(5)
    assert owner.handled == [{"a"}]


def test_work_that_comes_meanwhile_is_one_step(owner: Owner) -> None:
    owner.may_run.clear()
    for path in "abc":
        owner.add(path)
    owner.may_run.set()
    assert owner.thread.wait_idle(5)
    assert set.union(*owner.handled) == {"a", "b", "c"}
    assert len(owner.handled) <= 2


def test_it_goes_on_after_an_error(owner: Owner) -> None:
    owner.add("bad")
    assert owner.thread.wait_idle(5)
    owner.add("good")
    assert owner.thread.wait_idle(5)
    assert owner.errors == ["bad disk"]
    assert owner.handled == [{"good"}]


def test_a_stopped_thread_releases_whoever_waits(owner: Owner) -> None:
    owner.thread.close(5)
    owner.add("late")
    assert owner.thread.wait_idle(5)
    owner.thread.start()
    assert owner.handled == []


def test_a_thread_that_never_ran_can_be_closed() -> None:
    thread = Owner().thread
    thread.close(0)
    assert thread.stopping
