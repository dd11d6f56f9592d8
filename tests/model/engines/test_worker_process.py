"""The model in a process of its own: what it costs when that process is slow, dies or lies."""

from __future__ import annotations

import importlib.util
import os
import resource
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kexpert.abilities import Cancelled, Failed, Refused
from kexpert.model.engine import EngineChoice, ModelSettings, choose_engine
from kexpert.model.engines import worker_process as worker_module
from kexpert.model.engines.worker_process import WorkerProcess
from kexpert.prompt.fim import Context
from tests.support.tiny_models import TinyVocabulary, speaking_model, write_manifest, write_model

PLACE = Context("a.c", "int f(void)\n{\n\tre", "\n}\n")
LONG = Context("a.c", "int i;\n" * 50_000, "")  # more than a pipe holds


def never() -> bool:
    return False


def worker_for(folder: Path) -> WorkerProcess:
    return WorkerProcess(choose_engine(ModelSettings(path=str(folder), device="cpu")), threads=1)


def stop(child: int) -> None:
    """A signal is sent at once and heard a little later."""
    os.kill(child, signal.SIGSTOP)
    until = time.monotonic() + 10
    while Path(f"/proc/{child}/stat").read_text().rpartition(") ")[2][0] != "T":
        assert time.monotonic() < until
        time.sleep(0.01)


def text_of(worker: WorkerProcess) -> str:
    return "".join(token.text for token in worker.stream(PLACE, 20, never))


def child_of(worker: WorkerProcess) -> int:
    assert worker._process
    return worker._process._child.pid


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return speaking_model(tmp_path_factory.mktemp("speaker"), ("{\n", "\treturn", " ret", ";"))


@pytest.fixture(scope="module")
def worker(folder: Path) -> Iterator[WorkerProcess]:
    with closing(worker_for(folder)) as worker:
        yield worker


@pytest.fixture(scope="module")
def babbler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    """It writes for ever."""
    folder = tmp_path_factory.mktemp("babbler")
    vocabulary = TinyVocabulary(["return"])
    write_model(folder / "m.gguf", vocabulary)
    write_manifest(folder, vocabulary, "m.gguf")
    with closing(worker_for(folder)) as worker:
        yield worker


def test_an_answer_comes_through(worker: WorkerProcess) -> None:
    assert text_of(worker) == "turn ret;"


def test_bits_come_through(worker: WorkerProcess) -> None:
    bits, size = worker.score(PLACE, "turn ret;", never)
    assert bits < 0.1
    assert size == len("\treturn ret;")


def test_a_crash_costs_one_answer(worker: WorkerProcess) -> None:
    text_of(worker)
    os.kill(child_of(worker), signal.SIGKILL)
    with pytest.raises(Failed, match="signal 9"):
        text_of(worker)
    assert text_of(worker) == "turn ret;"


def test_a_crash_between_two_tokens_costs_one_answer(babbler: WorkerProcess) -> None:
    def kill_and_go_on() -> None:
        for _ in babbler.stream(PLACE, 400, never):
            os.kill(child_of(babbler), signal.SIGKILL)

    with pytest.raises(Failed, match="signal 9"):
        kill_and_go_on()
    assert text_of(babbler)


def test_a_process_that_keeps_dying_is_left_alone_for_a_while(folder: Path) -> None:
    with closing(worker_for(folder)) as worker:
        for _ in range(3):
            text_of(worker)
            os.kill(child_of(worker), signal.SIGKILL)
            with pytest.raises(Failed, match="signal"):
                text_of(worker)
        with pytest.raises(Failed, match="died 3 times"):
            text_of(worker)


def test_who_takes_no_more_tokens_stops_the_model(babbler: WorkerProcess) -> None:
    with closing(babbler.stream(PLACE, 400, never)) as tokens:
        next(tokens)
    began = time.monotonic()
    text_of(babbler)
    assert time.monotonic() - began < 5  # and not after 400 tokens of nobody's


def test_a_newer_question_ends_the_older(babbler: WorkerProcess) -> None:
    outcome: list[object] = []
    started = threading.Event()

    def older() -> None:
        try:
            for token in babbler.stream(PLACE, 400, never):
                outcome.append(token)
                started.set()
        except Cancelled:
            outcome.append("superseded")

    thread = threading.Thread(target=older)
    thread.start()
    assert started.wait(20)
    assert text_of(babbler)
    thread.join(20)
    assert outcome[-1] == "superseded"


def test_a_cancelled_question_returns_at_once_even_while_the_model_is_silent(worker: WorkerProcess) -> None:
    text_of(worker)
    stop(child_of(worker))
    until = time.monotonic() + 0.2
    try:
        with pytest.raises(Cancelled):
            list(worker.stream(PLACE, 20, lambda: time.monotonic() > until))
        assert time.monotonic() < until + 2
    finally:
        os.kill(child_of(worker), signal.SIGCONT)
    assert text_of(worker) == "turn ret;"


def ask_in_vain(worker: WorkerProcess) -> None:
    """A long question that nobody waits for any more when the pipe is full of it."""
    assert worker._process
    process, began = worker._process, time.monotonic()
    with pytest.raises(Cancelled):
        list(worker.stream(LONG, 20, lambda: bool(process._unsent)))
    assert time.monotonic() - began < 5


def test_a_process_that_reads_nothing_keeps_nobody_who_cancels(worker: WorkerProcess) -> None:
    text_of(worker)
    child = child_of(worker)
    stop(child)
    try:
        for _ in range(3):
            ask_in_vain(worker)
    finally:
        os.kill(child, signal.SIGCONT)
    assert text_of(worker) == "turn ret;"  # and understands what it is sent after half a question
    assert child_of(worker) == child


def test_a_process_that_reads_nothing_for_long_counts_as_dead(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "_UNREAD", 0.5)
    with closing(worker_for(folder)) as worker:
        text_of(worker)
        stop(child_of(worker))
        ask_in_vain(worker)
        with pytest.raises(Failed, match="took nothing"):
            text_of(worker)
        assert text_of(worker) == "turn ret;"


def test_closing_ends_also_a_process_that_reads_nothing(folder: Path) -> None:
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
    thread.join(10)
    assert time.monotonic() - began < 5
    assert outcome == [Cancelled]
    assert not Path(f"/proc/{child}").exists()


def test_the_process_ends_with_its_parents_pipe(folder: Path) -> None:
    worker = worker_for(folder)
    text_of(worker)
    assert worker._process
    child = worker._process._child
    assert child.stdin
    child.stdin.close()
    assert child.wait(10) == 0
    worker.close()


def test_closing_ends_the_process(folder: Path) -> None:
    worker = worker_for(folder)
    text_of(worker)
    child = child_of(worker)
    worker.close()
    assert not Path(f"/proc/{child}").exists()


def test_a_refusal_is_told_each_time_and_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"nonsense")
    with closing(worker_for(tmp_path)) as worker:
        for _ in range(2):
            with pytest.raises(Refused, match="cannot load"):
                text_of(worker)
        assert worker._process is None


def test_memory_is_bounded(worker: WorkerProcess) -> None:
    text_of(worker)
    assert 0 < bound_of(worker) < 3 << 30


@pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="no torch")
def test_memory_of_torch_is_bounded_before_it_loads(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(bytes(1000))
    until = time.monotonic() + 20
    with closing(WorkerProcess(EngineChoice("torch", "", tmp_path), threads=1)) as worker:
        with pytest.raises(Cancelled):
            worker.ready(lambda: bound_of(worker) > 0 or time.monotonic() > until)
        assert 0 < bound_of(worker) < 3 << 30


def bound_of(worker: WorkerProcess) -> int:
    """Bytes that the process may have; -1 without a bound."""
    return resource.prlimit(child_of(worker), resource.RLIMIT_DATA)[0]


def test_the_kernel_would_rather_end_the_model_than_the_editor(worker: WorkerProcess) -> None:
    text_of(worker)
    assert int(Path(f"/proc/{child_of(worker)}/oom_score_adj").read_text()) >= 500
