"""The garbage collector of a server, in a process of its own because it is the whole process's."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import gc
import time
import weakref

from kexpert.workspace.answering import answering
from kexpert.workspace.collector import collect_between_questions
from tests.support.waiting import eventually

full = []
gc.callbacks.append(lambda phase, about: full.append(phase) if about["generation"] == 2 else None)
collect_between_questions(every_seconds=0.01)


class Node:
    pass


def ring():
    node = Node()
    node.self = node
    return node


kept = [ring() for _ in range(400_000)]
gc.collect(1)  # they are old now
found = weakref.ref(kept[0])
eventually(lambda: "stop" in full)  # nobody asks
with answering():
    time.sleep(0.2)  # one may have begun before
    full.clear()
    for _ in range(10):
        kept = [ring() for _ in range(100_000)]
    assert not full, full
eventually(lambda: found() is None)
assert full
print("ok")
"""


def test_everything_is_looked_through_only_while_nobody_waits() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=300, check=False)
    assert ran.stdout == "ok\n", ran.stderr
