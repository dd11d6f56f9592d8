"""Models on HTTP servers: real sockets on the loopback, with the APIs of llama-server and of OpenAI (vLLM)."""

from __future__ import annotations

import json
import math
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from kexpert.abilities import Cancelled, Failed, Refused
from kexpert.model.engines.openai_server import KEY_VARIABLE, OpenAIServer
from kexpert.prompt.fim import Context, Excerpt
from tests.support.http_server import Server, event
from tests.support.tiny_models import speaking_model
from tests.support.waiting import eventually

PLACE = Context("a.c", "int f(void)\n{\n\treturn", "\n}\n", (Excerpt("b.h", "int ret;"),))


def never() -> bool:
    return False


def infill(path: str, body: Any) -> Iterator[bytes]:
    yield event(content=" ret", stop=False, completion_probabilities=[{"logprob": -0.5}])
    yield event(content=";", stop=False)
    yield event(content="", stop=True)


def completions(path: str, body: Any) -> Iterator[bytes]:
    yield event(choices=[{"text": " ret", "finish_reason": None, "logprobs": {"token_logprobs": [-0.5]}}])
    yield event(choices=[{"text": ";", "finish_reason": None}])
    yield event(choices=[{"text": "", "finish_reason": "stop"}])
    yield b"data: [DONE]\n\n"


LLAMA_SERVER = b'{"default_generation_settings": {}}'


def test_llama_server_gets_an_infill_request() -> None:
    with closing(Server(infill, LLAMA_SERVER)) as server:
        tokens = list(OpenAIServer(server.url, "", "auto").stream(PLACE, 20, never))
    assert "".join(token.text for token in tokens) == " ret;"
    assert tokens[0].logprob == -0.5
    assert math.isnan(tokens[1].logprob)
    assert tokens[-1].last
    path, body, _ = server.asked[0]
    assert path == "/infill"
    assert (body["input_prefix"], body["input_suffix"]) == (PLACE.prefix, PLACE.suffix)
    assert body["input_extra"] == [{"filename": "b.h", "text": "int ret;"}]
    assert body["n_predict"] == 20


@pytest.mark.parametrize("base", ["", "/", "/v1", "/v1/"])
def test_other_servers_get_a_completion_request(base: str) -> None:
    with closing(Server(completions)) as server:
        tokens = list(OpenAIServer(server.url + base, "coder", "auto").stream(PLACE, 20, never))
    assert "".join(token.text for token in tokens) == " ret;"
    assert tokens[-1].last
    path, body, key = server.asked[0]
    assert path == "/v1/completions"
    assert body["prompt"].endswith(PLACE.prefix)
    assert "int ret;" in body["prompt"]
    assert (body["suffix"], body["model"], body["max_tokens"], key) == (PLACE.suffix, "coder", 20, None)


def test_the_api_key_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "secret")
    with closing(Server(completions)) as server:
        list(OpenAIServer(server.url, "", "completions").stream(PLACE, 20, never))
    assert server.asked[0][2] == "Bearer secret"


def test_a_cancelled_request_closes_the_connection() -> None:
    def endless(path: str, body: Any) -> Iterator[bytes]:
        while True:
            yield event(content="x", stop=False)
            time.sleep(0.01)

    with closing(Server(endless)) as server:
        over: list[bool] = []
        tokens = OpenAIServer(server.url, "", "infill").stream(PLACE, 20, lambda: bool(over))
        next(tokens)
        over.append(True)
        with pytest.raises(Cancelled):
            list(tokens)
        assert server.gone.wait(10)


def test_closing_the_generator_closes_the_connection() -> None:
    def endless(path: str, body: Any) -> Iterator[bytes]:
        while True:
            yield event(content="x", stop=False)
            time.sleep(0.01)

    with closing(Server(endless)) as server:
        with closing(OpenAIServer(server.url, "", "infill").stream(PLACE, 20, never)) as tokens:
            next(tokens)
        assert server.gone.wait(10)


@pytest.mark.parametrize("api", ["auto", "infill", "completions"])
def test_a_silent_server_does_not_delay_a_cancellation(api: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # never accepts
        engine = OpenAIServer(f"http://127.0.0.1:{silent.getsockname()[1]}", "", api)
        for ask in (lambda over: list(engine.stream(PLACE, 20, over)), engine.ready):
            until = time.monotonic() + 0.2
            with pytest.raises(Cancelled):
                ask(lambda until=until: time.monotonic() > until)
            assert time.monotonic() < until + 5


def test_a_newer_request_cancels_the_older() -> None:
    def slow(path: str, body: Any) -> Iterator[bytes]:
        if body["input_prefix"] == "old":
            time.sleep(20)
        yield event(content="new", stop=True)

    with closing(Server(slow)) as server:
        engine = OpenAIServer(server.url, "", "infill")
        ended: list[type] = []

        def older() -> None:
            try:
                list(engine.stream(Context("a.c", "old", ""), 20, never))
            except Cancelled as cancelled:
                ended.append(type(cancelled))

        thread = threading.Thread(target=older)
        thread.start()
        eventually(lambda: server.asked)
        assert [token.text for token in engine.stream(Context("a.c", "new", ""), 20, never)] == ["new"]
        thread.join(5)
        assert ended == [Cancelled]


@pytest.mark.parametrize(
    "reply",
    [b"data: no json\n\n", b'data: {"choices": 3}\n\n', b'data: [1]\n\n', b'data: {"content": 1, "choices": []}\n\n',
     b"garbage\n", b'data: {"choices": [{"text": "x", "logprobs": {"token_logprobs": 7}}]}\n\n'],
)  # fmt: skip
@pytest.mark.parametrize("api", ["infill", "completions"])
def test_an_invalid_reply_gives_no_text_or_fails(reply: bytes, api: Any) -> None:
    with closing(Server(lambda path, body: iter([reply]))) as server:
        text = ""
        with suppress(Failed):
            text = "".join(token.text for token in OpenAIServer(server.url, "", api).stream(PLACE, 20, never))
        assert text in ("", "x")


@pytest.mark.parametrize(
    ("api", "body"),
    [
        ("infill", {"content": " ret;", "stop": True}),
        ("completions", {"choices": [{"text": " ret;", "finish_reason": "stop"}]}),
    ],
)
def test_a_server_may_answer_without_streaming(api: Any, body: dict[str, Any]) -> None:
    whole = json.dumps(body, indent=1).encode()
    with closing(Server(lambda path, asked: iter([whole]), kind="application/json; charset=utf-8")) as server:
        tokens = list(OpenAIServer(server.url, "", api).stream(PLACE, 20, never))
    assert [(token.text, token.last) for token in tokens] == [(" ret;", True)]


@pytest.mark.parametrize("api", ["infill", "completions"])
@pytest.mark.parametrize("error", ["no suffix,\nplease", {"code": 400, "message": "no suffix,\nplease"}])
@pytest.mark.parametrize("streams", [True, False])
def test_a_servers_error_message_is_shown(api: Any, error: Any, streams: bool) -> None:
    body, kind = event(error=error), "text/event-stream"
    if not streams:
        body, kind = json.dumps({"error": error}).encode(), "application/json"
    with (
        closing(Server(lambda path, asked: iter([body]), kind=kind)) as server,
        pytest.raises(Failed, match=r"no suffix, please$"),
    ):
        list(OpenAIServer(server.url, "", api).stream(PLACE, 20, never))


def test_an_html_page_is_no_answer() -> None:
    with (
        closing(Server(lambda path, asked: iter([b"<html>\n"]), kind="text/html")) as server,
        pytest.raises(Failed, match="text/html"),
    ):
        list(OpenAIServer(server.url, "", "completions").stream(PLACE, 20, never))


def test_a_refused_connection_fails() -> None:
    with closing(Server(completions)) as server:
        url = server.url
    for api in ("auto", "infill", "completions"):
        with pytest.raises(Failed, match="127"):
            list(OpenAIServer(url, "", api).stream(PLACE, 20, never))  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://host/", "http://", "http://host:port/", "file:///etc/passwd"])
def test_an_invalid_url_is_refused(url: str) -> None:
    with pytest.raises(Refused, match=r"model\.url"):
        OpenAIServer(url, "", "auto")


def test_the_server_of_llama_cpp_python_answers(tmp_path: Path) -> None:
    folder = speaking_model(tmp_path / "m", ("{\n", "\treturn", " ret", ";"))
    port = free_port()
    command = [sys.executable, "-m", "llama_cpp.server", "--model", str(folder / "tiny.gguf"), "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: is_up(url + "/v1/models"))
        tokens = list(OpenAIServer(url, "", "completions").stream(Context("a.c", "\treturn", ""), 20, never))
        assert "".join(token.text for token in tokens).startswith(" ret;")
    finally:
        server.kill()
        server.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def is_up(url: str) -> bool:
    with suppress(OSError):
        urllib.request.urlopen(url, timeout=1).read()
        return True
    return False
