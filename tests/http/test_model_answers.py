"""Answers by a model, a real server of its own, as events."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.http.test_api import events_of
from tests.support.http_server import Server, event
from tests.support.web_server import web_server

#: Facts alone do not answer it.
QUESTION = "what happens to a toy whose spring is wound too far?"


class Model:
    """Says what the first source bears out, and waits before that while ``may_answer`` is not set."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.bodies: list[Any] = []

    def __call__(self, path: str, body: Any) -> Iterator[bytes]:
        self.bodies.append(body)
        yield event(choices=[{"delta": {"content": ""}, "finish_reason": None}])
        self.may_answer.wait(60)
        yield event(choices=[{"delta": {"content": "A toy is wound up [1]."}, "finish_reason": "stop"}])


@pytest.fixture(scope="module")
def asked(web_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Model]]:
    """The address of a server whose settings name the model."""
    folder = tmp_path_factory.mktemp("model")
    model = Model()
    with closing(Server(model, props=json.dumps({"data": [{"id": "teacher"}]}).encode())) as server:
        config = folder / "config/kexpert/config.toml"
        config.parent.mkdir(parents=True)
        config.write_text(f'[vectors]\nenabled = false\n[chat]\nurl = "{server.url}"\nname = "teacher"\n')
        for name in ("cache", "data"):
            (web_folder / name).mkdir(exist_ok=True)
            (folder / name).symlink_to(web_folder / name)
        with web_server(folder, web_folder / "linux", "--read-only", "--rate", "0") as address:
            yield address, model


def test_sources_come_before_the_model_has_answered(asked: tuple[str, Model]) -> None:
    address, model = asked
    model.may_answer.clear()
    body = {"question": QUESTION, "max_tokens": 32, "top_k": 3}
    with httpx.stream("POST", f"{address}/query", json=body, timeout=60) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "event: sources"
        sources = json.loads(next(lines).removeprefix("data: "))
        assert sources["origin"] == "sources" and 0 < len(sources["citations"]) <= 3
        model.may_answer.set()
        rest = dict(events_of("\n".join(lines).lstrip()))
    assert model.bodies[-1]["max_tokens"] == 32
    assert set(rest) == {"answer", "done"}
    said = rest["answer"]
    assert (said["origin"], said["model"], said["answer"]) == ("model", "teacher", "A toy is wound up [1].")
    assert said["citations"][0]["path"] == "drivers/toy/core.c"


def test_health_names_the_model(asked: tuple[str, Model]) -> None:
    assert httpx.get(f"{asked[0]}/health", timeout=60).json()["model"]["chat"] == "teacher"
