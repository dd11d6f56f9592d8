"""Chat models on HTTP servers: real sockets on the loopback, with OpenAI's /v1/chat/completions."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kexpert.abilities import Cancelled, Failed, Refused
from kexpert.model.engines import chat_server
from kexpert.model.engines.chat_server import ChatServer
from kexpert.prompt.chat import Message
from tests.model.engines.test_openai_server import free_port, is_up
from tests.support.http_server import Server, event
from tests.support.tiny_models import chatting_model
from tests.support.waiting import eventually

MESSAGES = [Message("system", "Be brief."), Message("user", "What does foo_start() do?")]
KEY = "KEXPERT_CHAT_KEY"
MODELS = json.dumps({"data": [{"id": "qwen2.5-coder:7b"}, {"id": "other"}]}).encode()
Answer = Callable[[str, Any], Iterator[bytes]]


def never() -> bool:
    return False


def says(*pieces: str, reason: str = "stop") -> Answer:
    """An answer in pieces, as vLLM, Ollama and llama-server stream it."""

    def answer(path: str, body: Any) -> Iterator[bytes]:
        yield event(choices=[{"delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
        for piece in pieces:
            yield event(choices=[{"delta": {"content": piece}, "finish_reason": None}])
        yield event(choices=[{"delta": {}, "finish_reason": reason}])
        yield b": a comment\n\ndata: [DONE]\n\n"

    return answer


def endless(path: str, body: Any) -> Iterator[bytes]:
    at = 0
    while True:
        at += 1
        yield event(choices=[{"delta": {"content": f"word{at} "}}])


def answered(server: Server, *, max_tokens: int = 40, **more: Any) -> str:
    return "".join(
        token.text for token in ChatServer(server.url, "m", KEY).answer(MESSAGES, max_tokens, never, **more)
    )


@pytest.mark.parametrize("base", ["", "/", "/v1", "/v1/"])
def test_messages_are_sent_and_the_answer_is_streamed(base: str) -> None:
    with closing(Server(says("Start", " the foo", "."))) as server:
        tokens = list(ChatServer(server.url + base, "coder", KEY).answer(MESSAGES, 40, never, stop=["\n"]))
    assert [token.text for token in tokens] == ["Start", " the foo", ".", ""]
    assert tokens[-1].last
    path, body, key = server.asked[0]
    assert (path, key) == ("/v1/chat/completions", None)
    assert body == {
        "model": "coder", "max_tokens": 40, "temperature": 0, "stream": True, "stop": ["\n"],
        "messages": [{"role": message.role, "content": message.text} for message in MESSAGES],
    }  # fmt: skip


def test_a_seed_asks_for_an_answer_that_is_drawn() -> None:
    with closing(Server(says("Start"))) as server:
        list(ChatServer(server.url, "m", KEY).answer(MESSAGES, 40, never, seed=3))
    body = server.asked[0][1]
    assert (body["seed"], body["temperature"], body["top_p"]) == (3, 0.7, 0.95)


def test_an_answer_that_is_cut_has_no_last_token() -> None:
    with closing(Server(says("Start", reason="length"))) as server:
        tokens = list(ChatServer(server.url, "m", KEY).answer(MESSAGES, 40, never))
    assert [(token.text, token.last) for token in tokens] == [("Start", False)]


def test_a_server_may_answer_without_streaming() -> None:
    whole = json.dumps({"choices": [{"message": {"content": "Start."}, "finish_reason": "stop"}]}).encode()
    with closing(Server(lambda path, body: iter([whole]), kind="application/json")) as server:
        assert answered(server) == "Start."


@pytest.mark.parametrize(
    "pieces", [("@foo", ": the foo"), (" @foo: ", "the foo"), ("the foo",), ("@f", "oo:", " the foo"), ("@the foo",)]
)
def test_a_repeated_beginning_is_removed(pieces: tuple[str, ...]) -> None:
    with closing(Server(says(*pieces))) as server:
        assert answered(server, beginning="@foo: ").strip(" @") == "the foo"


def test_stop_texts_and_loops_end_the_answer_here_too() -> None:
    with closing(Server(says("Start", "\nnext", " line"))) as server:
        assert answered(server, stop=["a", "b", "c", "d", "e", "\n"]) == "St"
        assert len(server.asked[0][1]["stop"]) == 4
    with closing(Server(says(*["It starts the foo. "] * 9))) as server:
        assert answered(server) == "It starts the foo. "


def test_the_key_comes_from_the_variable_that_the_settings_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "secret")
    with closing(Server(says("x"))) as server:
        list(ChatServer(server.url, "m", "MY_KEY").answer(MESSAGES, 40, never))
        list(ChatServer(server.url, "m", KEY).answer(MESSAGES, 40, never))
    assert [key for _, _, key in server.asked] == ["Bearer secret", None]


def test_the_first_model_of_the_server_is_taken_if_the_settings_name_none() -> None:
    with closing(Server(says("x"), MODELS)) as server:
        unnamed, named = ChatServer(server.url, "", KEY), ChatServer(server.url, "other", KEY)
        for chat in (unnamed, named):
            chat.ready(never)
            list(chat.answer(MESSAGES, 40, never))
    assert [body["model"] for _, body, _ in server.asked] == ["qwen2.5-coder:7b", "other"]
    assert (unnamed.name, named.name) == ("qwen2.5-coder:7b", "other")


@pytest.mark.parametrize("models", [None, b"", b"<html>", b"[]", b'{"data": [3]}', b'{"data": [{"id": 7}]}'])
def test_a_server_without_a_list_of_models_is_ready_too(models: bytes | None) -> None:
    with closing(Server(says("x"), models)) as server:
        chat = ChatServer(server.url, "", KEY)
        chat.ready(never)
        assert [token.text for token in chat.answer(MESSAGES, 40, never)] == ["x", ""]


# Servers that cannot be trusted


@pytest.mark.parametrize(
    "reply",
    [b"garbage\n", b"", b'data: {"choices": 3}\n\n', b"data: [1]\n\n", b'data: {"choices": [{"delta": 5}]}\n\n',
     b'data: {"choices": [{"delta": {"content": 7}, "finish_reason": {}}]}\n\n', b"data: {}\n\n", b"data: null\n\n"],
)  # fmt: skip
def test_rubbish_gives_no_text(reply: bytes) -> None:
    with closing(Server(lambda path, body: iter([reply]))) as server:
        assert answered(server) == ""


@pytest.mark.parametrize(
    ("reply", "kind", "reason"),
    [
        (b"data: no json\n\n", "text/event-stream", "the answer is not JSON"),
        (b"data: " + b"[" * 100_000 + b"\n\n", "text/event-stream", "the answer is not JSON"),
        (b"<html>Log in</html>\n", "text/html", r"a web page \(text/html\)"),
        (b"hello\n", "text/plain", r"no event stream \(text/plain\)"),
        (event(error={"message": "out of\nmemory"}), "text/event-stream", "out of memory$"),
        (b'{"error": "model not found"}', "application/json", "model not found$"),
    ],
)
def test_an_answer_that_is_none_fails_with_the_reason(reply: bytes, kind: str, reason: str) -> None:
    with closing(Server(lambda path, body: iter([reply]), kind=kind)) as server, pytest.raises(Failed, match=reason):
        answered(server)


@pytest.mark.parametrize(
    ("status", "reply", "reason"),
    [
        (404, b'{"error": {"message": "model \'m\' not found, try pulling it first"}}', "404 .*try pulling it first$"),
        (401, b'{"error": "no key"}', "no key; is KEXPERT_CHAT_KEY in the environment the right key"),
        (502, b"<html>" + b"x" * 10_000, "502 Bad Gateway: <html>x{10,200}$"),
        (302, b"", "302 Found"),
    ],
)
def test_a_status_is_named_with_the_servers_message(status: int, reply: bytes, reason: str) -> None:
    server = Server(lambda path, body: iter([reply]), kind="application/json", status=status)
    with closing(server), pytest.raises(Failed, match=reason) as failure:
        answered(server)
    assert "\n" not in str(failure.value)


def test_an_endless_answer_is_cut() -> None:
    with closing(Server(endless)) as server:
        text = answered(server, max_tokens=50)
        assert server.gone.wait(20)
    assert 50 < len(text) < 5000


def test_an_endless_stream_without_text_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def noise(path: str, body: Any) -> Iterator[bytes]:
        while True:
            yield b": " + b"x" * 60_000 + b"\n"

    with closing(Server(noise)) as server, pytest.raises(Failed, match="more than 16 MB"):
        answered(server)


@pytest.mark.parametrize("keeps_talking", [False, True])
def test_a_server_that_stalls_fails_after_a_while(monkeypatch: pytest.MonkeyPatch, keeps_talking: bool) -> None:
    monkeypatch.setattr(chat_server, "_TIMEOUT_SECONDS", 60 if keeps_talking else 0.5)
    monkeypatch.setattr(chat_server, "_MAX_ANSWER_SECONDS", 0.5 if keeps_talking else 60)
    over = threading.Event()

    def stalling(path: str, body: Any) -> Iterator[bytes]:
        yield event(choices=[{"delta": {"content": "Start"}}])
        while not over.wait(0.1):
            yield b": still there\n" if keeps_talking else b""

    with closing(Server(stalling)) as server:
        try:
            with pytest.raises(Failed, match="took longer than 0.5 s" if keeps_talking else "says nothing"):
                answered(server)
        finally:
            over.set()


def test_a_silent_server_does_not_delay_a_cancellation() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # never accepts
        chat = ChatServer(f"http://127.0.0.1:{silent.getsockname()[1]}", "", KEY)
        for ask in (lambda over: list(chat.answer(MESSAGES, 20, over)), chat.ready):
            until = time.monotonic() + 0.2
            with pytest.raises(Cancelled):
                ask(lambda until=until: time.monotonic() > until)


def test_closing_the_generator_or_the_chat_closes_the_connection() -> None:
    with closing(Server(endless)) as server:
        chat = ChatServer(server.url, "m", KEY)
        with closing(chat.answer(MESSAGES, 1000, never)) as tokens:
            next(tokens)
        assert server.gone.wait(20)
        server.gone.clear()
        tokens = chat.answer(MESSAGES, 100_000, never)
        next(tokens)
        chat.close()
        with pytest.raises(Cancelled):
            list(tokens)
        assert server.gone.wait(20)


def test_a_refused_connection_fails_and_a_refused_key_is_refused() -> None:
    with closing(Server(says("x"))) as server:
        url = server.url
    with pytest.raises(Failed, match="127"):
        ChatServer(url, "", KEY).ready(never)
    with pytest.raises(Failed, match="127"):
        list(ChatServer(url, "", KEY).answer(MESSAGES, 20, never))
    with closing(Server(says("x"), b"no", get_status=401)) as server, pytest.raises(Refused, match=KEY):
        ChatServer(server.url, "", KEY).ready(never)


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://host/", "http://", "http://host:port/", "http://[::1/"])
def test_an_invalid_url_is_refused(url: str) -> None:
    with pytest.raises(Refused, match=r"chat\.url"):
        ChatServer(url, "", KEY)


def test_the_server_of_llama_cpp_python_answers(tmp_path: Path) -> None:
    folder = chatting_model(tmp_path / "m", "Start", " the", " foo", ".")
    port = free_port()
    command = [sys.executable, "-m", "llama_cpp.server", "--model", str(folder / "tiny.gguf"), "--port", str(port)]
    command += ["--chat_format", "chatml", "--n_ctx", "512"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: is_up(url + "/v1/models"))
        chat = ChatServer(url, "", KEY)
        chat.ready(never)
        assert "".join(token.text for token in chat.answer(MESSAGES, 40, never)).startswith("Start the foo.")
    finally:
        server.kill()
        server.wait()
