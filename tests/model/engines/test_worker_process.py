"""A model in a worker process: answers, cancellation, crashes and limits."""

from __future__ import annotations

import importlib.util
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kexpert.abilities import Cancelled, Failed, Refused
from kexpert.model.engine import choose_engine
from kexpert.model.engines import child_pipes
from kexpert.model.engines.worker_process import WorkerProcess
from kexpert.model.types import EngineChoice, ModelSettings
from kexpert.prompt.fim import Context
from tests.support.tiny_models import TinyVocabulary, speaking_model, write_manifest, write_model
from tests.support.waiting import eventually

PLACE = Context("a.c", "int f(void)\n{\n\tre", "\n}\n")
LONG = Context("a.c", "int i;\n" * 50_000, "")  # more than a pipe holds


def never() -> bool:
    return False


def worker_for(folder: Path) -> WorkerProcess:
    return WorkerProcess(choose_engine(ModelSettings(path=str(folder), device="cpu")), threads=1)


def stop(child: int) -> None:
    """Send SIGSTOP and wait until it has arrived."""
    os.kill(child, signal.SIGSTOP)
    eventually(lambda: state_of(child) == "T")


def text_of(worker: WorkerProcess) -> str:
    return "".join(token.text for token in worker.stream(PLACE, 20, never))


def child_of(worker: WorkerProcess) -> int:
    assert worker.pid
    return worker.pid


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return speaking_model(tmp_path_factory.mktemp("speaker"), ("{\n", "\treturn", " ret", ";"))


@pytest.fixture(scope="module")
def worker(folder: Path) -> Iterator[WorkerProcess]:
    with closing(worker_for(folder)) as worker:
        yield worker


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    """A worker whose model never ends its answer."""
    folder = tmp_path_factory.mktemp("endless")
    vocabulary = TinyVocabulary(["return"])
    write_model(folder / "m.gguf", vocabulary)
    write_manifest(folder, vocabulary, "m.gguf")
    with closing(worker_for(folder)) as worker:
        yield worker


def test_an_answer_is_passed_on(worker: WorkerProcess) -> None:
    assert text_of(worker) == "turn ret;"


def test_a_score_is_passed_on(worker: WorkerProcess) -> None:
    bits, size = worker.score(PLACE, "turn ret;", never)
    assert bits < 0.1
    assert size == len("\treturn ret;")


def test_a_crash_fails_one_request(worker: WorkerProcess) -> None:
    text_of(worker)
    os.kill(child_of(worker), signal.SIGKILL)
    with pytest.raises(Failed, match="signal 9"):
        text_of(worker)
    assert text_of(worker) == "turn ret;"


def test_a_crash_between_two_tokens_fails_one_request(endless: WorkerProcess) -> None:
    def kill_and_continue() -> None:
        for _ in endless.stream(PLACE, 400, never):
            os.kill(child_of(endless), signal.SIGKILL)

    with pytest.raises(Failed, match="signal 9"):
        kill_and_continue()
    assert text_of(endless)


def test_after_three_crashes_the_child_is_not_restarted_for_a_while(folder: Path) -> None:
    with closing(worker_for(folder)) as worker:
        for _ in range(3):
            text_of(worker)
            os.kill(child_of(worker), signal.SIGKILL)
            with pytest.raises(Failed, match="signal"):
                text_of(worker)
        with pytest.raises(Failed, match="died 3 times"):
            text_of(worker)


def test_closing_the_generator_cancels_the_request(endless: WorkerProcess) -> None:
    with closing(endless.stream(PLACE, 400, never)) as tokens:
        next(tokens)
    began = time.monotonic()
    text_of(endless)
    assert time.monotonic() - began < 5  # did not wait for 400 tokens


def test_a_newer_request_cancels_the_older(endless: WorkerProcess) -> None:
    outcome: list[object] = []
    started = threading.Event()

    def older() -> None:
        try:
            for token in endless.stream(PLACE, 400, never):
                outcome.append(token)
                started.set()
        except Cancelled:
            outcome.append("superseded")

    thread = threading.Thread(target=older)
    thread.start()
    assert started.wait(20)
    assert text_of(endless)
    thread.join(20)
    assert outcome[-1] == "superseded"


def test_a_silent_child_does_not_delay_a_cancellation(worker: WorkerProcess) -> None:
    text_of(worker)
    stop(child_of(worker))
    until = time.monotonic() + 0.2
    try:
        with pytest.raises(Cancelled):
            list(worker.stream(PLACE, 20, lambda: time.monotonic() > until))
        assert time.monotonic() < until + 20
    finally:
        os.kill(child_of(worker), signal.SIGCONT)
    assert text_of(worker) == "turn ret;"


def ask_and_cancel(worker: WorkerProcess) -> None:
    """Send a request that fills the pipe, and cancel it."""
    began = time.monotonic()
    with pytest.raises(Cancelled):
        list(worker.stream(LONG, 20, lambda: time.monotonic() > began + 0.3))
    assert time.monotonic() - began < 20


def test_a_child_that_reads_nothing_does_not_delay_a_cancellation(worker: WorkerProcess) -> None:
    text_of(worker)
    child = child_of(worker)
    stop(child)
    try:
        for _ in range(3):
            ask_and_cancel(worker)
    finally:
        os.kill(child, signal.SIGCONT)
    assert text_of(worker) == "turn ret;"  # the rest of the requests arrived too
    assert child_of(worker) == child


def test_a_child_that_reads_nothing_for_long_is_killed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_pipes, "_MAX_UNREAD_SECONDS", 0.5)
    with closing(worker_for(folder)) as worker:
        text_of(worker)
        stop(child_of(worker))
        ask_and_cancel(worker)
        with pytest.raises(Failed, match="took nothing"):
            text_of(worker)
        assert text_of(worker) == "turn ret;"


def test_close_ends_a_child_that_reads_nothing(folder: Path) -> None:
    worker = worker_for(folder)
    text_of(worker)
    child = child_of(worker)
    stop(child)
    outcome: list[type] = []

    def ask() -> None:
        try:
            list(worker.stream(LONG, 20, never))
        except Cancelled:
            outcome.append(Cancelled)

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.3)
    began = time.monotonic()
    worker.close()
    thread.join(20)
    assert time.monotonic() - began < 20
    assert outcome == [Cancelled]
    assert not Path(f"/proc/{child}").exists()


PARENT = """
import sys, time
from kexpert.model.engine import choose_engine
from kexpert.model.types import ModelSettings
from kexpert.model.engines.worker_process import WorkerProcess

worker = WorkerProcess(choose_engine(ModelSettings(path=sys.argv[1], device="cpu")), threads=1)
worker.ready(lambda: False)
print(worker.pid, flush=True)
time.sleep(60)
"""


def test_the_child_ends_when_its_parent_is_killed(folder: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, str(folder)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        assert is_running(child)
        parent.kill()
    eventually(lambda: not is_running(child))


def is_running(pid: int) -> bool:
    """False also for a zombie, which nobody may reap in a container."""
    try:
        return state_of(pid) != "Z"
    except OSError:
        return False


def state_of(pid: int) -> str:
    """The state letter of proc_pid_stat(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


def test_close_ends_the_child(folder: Path) -> None:
    worker = worker_for(folder)
    text_of(worker)
    child = child_of(worker)
    worker.close()
    assert not Path(f"/proc/{child}").exists()


def test_a_refusal_is_repeated_without_a_new_child(tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"nonsense")
    with closing(worker_for(tmp_path)) as worker:
        for _ in range(2):
            with pytest.raises(Refused, match="cannot load"):
                text_of(worker)
        assert worker.pid is None


def test_memory_is_limited(worker: WorkerProcess) -> None:
    text_of(worker)
    assert 0 < memory_limit(worker) < 3 << 30


@pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="no torch")
def test_memory_is_limited_before_torch_loads(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(bytes(1000))
    until = time.monotonic() + 20
    with closing(WorkerProcess(EngineChoice("torch", "", tmp_path), threads=1)) as worker:
        with pytest.raises(Cancelled):
            worker.ready(lambda: memory_limit(worker) > 0 or time.monotonic() > until)
        assert 0 < memory_limit(worker) < 3 << 30


def memory_limit(worker: WorkerProcess) -> int:
    """The child's data limit in bytes; -1 for none."""
    return resource.prlimit(child_of(worker), resource.RLIMIT_DATA)[0]


def test_the_oom_killer_prefers_the_child(worker: WorkerProcess) -> None:
    text_of(worker)
    assert int(Path(f"/proc/{child_of(worker)}/oom_score_adj").read_text()) >= 500
