"""Background work lets questions go first, and goes on all the same."""

from __future__ import annotations

import threading
from pathlib import Path

from kexpert.background.foreground import GivesWay, answering
from kexpert.background.tree import scan
from tests.support.toy_tree import TOY_FILES, write_tree


def test_a_question_is_answered_before_background_work_goes_on() -> None:
    order: list[str] = []
    began = threading.Event()

    def work() -> None:
        give_way = GivesWay(max_seconds=1000)
        began.set()
        for _ in range(1000):
            give_way()
        order.append("work")

    thread = threading.Thread(target=work)
    with answering():
        thread.start()
        assert began.wait(60)
        thread.join(0.1)  # enough for work that does not give way
        order.append("answer")
    thread.join(60)
    assert order == ["answer", "work"]


def test_work_waits_no_longer_than_it_may_however_many_ask() -> None:
    give_way = GivesWay(max_seconds=0.05)
    with answering(), answering():
        for _ in range(100_000):
            give_way()


def test_a_tree_is_scanned_while_questions_are_answered(tmp_path: Path) -> None:
    root = write_tree(tmp_path / "linux", TOY_FILES)
    before = list(scan(root))
    with answering():
        assert list(scan(root)) == before
