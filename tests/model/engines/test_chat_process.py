"""A chat model in a process of its own: answers, cancellation, crashes, beside a model that completes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kexpert.abilities import Cancelled, Chat, Failed, Refused
from kexpert.model.engine import choose_chat_engine, choose_engine, open_chat, open_engine
from kexpert.model.engines.chat_process import ChatProcess
from kexpert.model.types import ChatSettings, ModelSettings
from kexpert.prompt.chat import Message
from kexpert.prompt.fim import Context
from tests.support.tiny_models import chat_vocabulary, chatting_model, speaking_model, write_manifest, write_model

MESSAGES = [Message("system", "Be brief."), Message("user", "What does foo_start() do?")]
WORDS = ("Start", " the", " foo", ".")


def never() -> bool:
    return False


def chat_of(path: Path) -> ChatProcess:
    settings = ChatSettings(path=str(path), threads=1, device="cpu")
    chat = open_chat(choose_chat_engine(settings), settings)
    assert isinstance(chat, ChatProcess)
    return chat


def answered(chat: Chat, **more: object) -> str:
    return "".join(token.text for token in chat.answer(MESSAGES, 40, never, **more))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChatProcess]:
    with closing(chat_of(chatting_model(tmp_path_factory.mktemp("chat"), *WORDS))) as chat:
        yield chat


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChatProcess]:
    """A chat whose model never ends its answer."""
    path = write_model(tmp_path_factory.mktemp("endless") / "m.gguf", chat_vocabulary("foo"))
    with closing(chat_of(path)) as chat:
        yield chat


def kill(chat: ChatProcess) -> None:
    assert chat.pid
    os.kill(chat.pid, signal.SIGKILL)


def test_an_answer_is_passed_on_token_by_token(chat: ChatProcess) -> None:
    tokens = list(chat.answer(MESSAGES, 40, never))
    assert [token.text for token in tokens] == [*WORDS, ""]
    assert tokens[-1].last
    assert (chat.name, chat.adapter, chat.context) == ("tiny", "", 512)


def test_beginning_stop_and_limit_are_passed_on(chat: ChatProcess) -> None:
    assert answered(chat, beginning="Start the") == " foo."
    assert answered(chat, stop=[" foo"]) == "Start the"
    assert answered(chat, seed=5) == "Start the foo."  # the model is certain
    assert len(list(chat.answer(MESSAGES, 2, never))) == 2


def test_the_model_is_not_in_this_process(chat: ChatProcess) -> None:
    chat.ready(never)
    assert chat.pid not in (None, os.getpid())
    assert "llama_cpp" in Path(f"/proc/{chat.pid}/maps").read_text()


def test_a_crash_fails_one_request(chat: ChatProcess) -> None:
    answered(chat)
    kill(chat)
    with pytest.raises(Failed, match="signal 9"):
        answered(chat)
    assert answered(chat) == "Start the foo."


def test_a_crash_between_two_tokens_fails_one_request(endless: ChatProcess) -> None:
    def kill_and_continue() -> None:
        for _ in endless.answer(MESSAGES, 400, never):
            kill(endless)

    with pytest.raises(Failed, match="signal 9"):
        kill_and_continue()
    assert next(endless.answer(MESSAGES, 400, never)).text


def test_a_cancelled_answer_ends_and_the_next_is_answered(endless: ChatProcess) -> None:
    over: list[bool] = []
    tokens = endless.answer(MESSAGES, 400, lambda: bool(over))
    next(tokens)
    over.append(True)
    with pytest.raises(Cancelled):
        list(tokens)
    assert len(list(endless.answer(MESSAGES, 3, never))) == 3


def test_close_cancels_an_answer_and_ends_the_process(tmp_path: Path) -> None:
    chat = chat_of(write_model(tmp_path / "m.gguf", chat_vocabulary("foo")))
    started = threading.Event()
    outcome: list[type] = []

    def ask() -> None:
        try:
            for _ in chat.answer(MESSAGES, 400, never):
                started.set()
        except Cancelled:
            outcome.append(Cancelled)

    thread = threading.Thread(target=ask)
    thread.start()
    assert started.wait(60)
    pid = chat.pid
    chat.close()
    thread.join(20)
    assert outcome == [Cancelled]
    assert not Path(f"/proc/{pid}").exists()


def test_a_prompt_that_is_too_long_fails_alone(chat: ChatProcess) -> None:
    with pytest.raises(Failed, match=r"raise chat\.context"):
        list(chat.answer([Message("user", "x" * 4000)], 40, never))
    assert answered(chat) == "Start the foo."


def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    with closing(chat_of(tmp_path / "m.gguf")) as chat, pytest.raises(Refused, match="cannot load"):
        chat.ready(never)


def test_a_model_that_completes_and_one_that_chats_run_side_by_side(chat: ChatProcess, tmp_path: Path) -> None:
    folder = speaking_model(tmp_path / "m", ("{\n", "\treturn", " ret", ";"))
    settings = ModelSettings(path=str(folder), threads=1, device="cpu")
    with closing(open_engine(choose_engine(settings), settings)) as completer:
        words = chat.answer(MESSAGES, 40, never)
        next(words)
        place = Context("a.c", "int f(void)\n{\n\tre", "\n}\n")
        assert "".join(token.text for token in completer.stream(place, 20, never)) == "turn ret;"
        assert "".join(token.text for token in words) == " the foo."
        assert chat.pid
        assert os.getpriority(os.PRIO_PROCESS, chat.pid) > os.getpriority(os.PRIO_PROCESS, completer.pid)  # type: ignore[attr-defined]


def test_one_model_may_have_both_abilities(tmp_path: Path) -> None:
    folder = chatting_model(tmp_path / "m", *WORDS)
    write_manifest(
        folder, chat_vocabulary(*WORDS), "tiny.gguf", abilities=("complete", "chat"), chat_prompt_version=1
    )
    assert choose_engine(ModelSettings(path=str(folder), device="cpu")).kind == "llama"
    with closing(chat_of(folder)) as chat:
        assert answered(chat) == "Start the foo."
