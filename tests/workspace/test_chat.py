"""The chat model of a workspace: which one answers, who comes first, changes without a restart."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kexpert.abilities import Cancelled, Failed, Refused
from kexpert.model.registry import RegisteredModel, Registry, change_registry
from kexpert.prompt.chat import LARGE, SMALL, Message
from kexpert.workspace.chat import ChatSession
from kexpert.workspace.settings import resolve_settings
from tests.support.http_server import Server, event
from tests.support.tiny_models import chat_vocabulary, chatting_model, speaking_model, write_model

MESSAGES = [Message("user", "What does foo_start() do?")]


def never() -> bool:
    return False


class Listener:
    """Records what the user is told."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def show_once(self, level: str, text: str) -> None:
        if text not in self.shown:
            self.shown.append(text)

    def log(self, level: str, text: str) -> None:
        pass

    def failure(self, what: str, problem: Exception) -> None:
        raise problem

    def progress(self, progress: Any) -> None:
        pass


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def session(listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatSession]:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    with closing(ChatSession(listener)) as session:
        configure(session)
        yield session


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that never ends its answer."""
    return write_model(tmp_path_factory.mktemp("endless") / "endless.gguf", chat_vocabulary("foo"))


def configure(session: ChatSession, **chat: Any) -> None:
    """The settings of the section chat, given as keywords."""
    values = {"chat": {"threads": 1} | chat, "model": {"device": "cpu"}}
    settings, warnings = resolve_settings([("test", values)])
    assert not warnings
    session.configure(settings)


def answered(session: ChatSession, **more: Any) -> str:
    return "".join(token.text for token in session.answer(MESSAGES, 12, never, **more))


def test_without_a_model_the_reason_says_how_to_get_one(session: ChatSession, listener: Listener) -> None:
    assert session.model() is None
    assert session.reason() == "no chat model: kexpert models add smollm2-135m"
    with pytest.raises(Refused, match="kexpert models add smollm2-135m"):
        answered(session)
    configure(session, enabled=False)
    assert (session.model(), session.reason()) == (None, "chat.enabled is off")
    with pytest.raises(Refused, match=r"chat\.enabled is off"):
        answered(session)
    assert listener.shown == []


def test_what_is_known_of_a_model_before_it_is_loaded(session: ChatSession, tmp_path: Path) -> None:
    configure(session, path=str(chatting_model(tmp_path / "m", "One", tasks=("summary",))))
    model = session.model()
    assert model
    assert (model.name, model.adapter, model.tasks, model.budget, model.is_remote) == (
        "tiny", "", ("summary",), SMALL, False,
    )  # fmt: skip
    configure(session, url="http://127.0.0.1:9", name="qwen")
    remote = session.model()
    assert remote
    assert (remote.name, remote.tasks, remote.budget, remote.is_remote) == ("qwen", (), LARGE, True)
    assert remote.identity != model.identity


def test_another_model_in_the_settings_answers_the_next_request(session: ChatSession, tmp_path: Path) -> None:
    configure(session, path=str(chatting_model(tmp_path / "one", "One")))
    assert answered(session) == "One"
    before = session.model()
    configure(session, path=str(chatting_model(tmp_path / "two", "Two")))
    assert answered(session) == "Two"
    after = session.model()
    assert before and after
    assert before.identity != after.identity
    assert session.reason() == ""


def test_a_model_that_kexpert_models_chose_anew_answers_the_next_request(session: ChatSession, tmp_path: Path) -> None:
    models = {
        name: RegisteredModel(chatting_model(tmp_path / name, name.title()), ("chat",), {}) for name in ("one", "two")
    }
    for name in models:
        change_registry(lambda _, name=name: Registry(models, {"chat": name}))
        assert answered(session) == name.title()
    change_registry(lambda _: Registry(models, {}))
    assert session.model() is None
    with pytest.raises(Refused, match="kexpert models add"):
        answered(session)


def test_a_file_that_was_replaced_is_loaded_anew(session: ChatSession, tmp_path: Path) -> None:
    folder = chatting_model(tmp_path / "m", "One")
    configure(session, path=str(folder))
    assert answered(session) == "One"
    chatting_model(tmp_path / "new", "Two")
    for name in ("tiny.gguf", "model.json"):
        (tmp_path / "new" / name).replace(folder / name)
    assert answered(session) == "Two"


@pytest.mark.parametrize("kind", ["missing", "broken", "partial", "completes only"])
def test_a_model_that_cannot_be_used_is_told_and_the_old_one_stays(
    session: ChatSession, listener: Listener, tmp_path: Path, kind: str
) -> None:
    configure(session, path=str(chatting_model(tmp_path / "m", "One")))
    assert answered(session) == "One"
    bad = {
        "missing": tmp_path / "missing.gguf",
        "broken": tmp_path / "broken.gguf",
        "partial": tmp_path / "partial.gguf",
        "completes only": speaking_model(tmp_path / "other", ("{\n", "\treturn")),
    }[kind]
    if kind == "broken":
        bad.write_bytes(b"no model")
    if kind == "partial":
        bad.write_bytes((tmp_path / "m/tiny.gguf").read_bytes()[:-1000])
    configure(session, path=str(bad))
    for _ in range(2):
        assert answered(session) == "One"
    model = session.model()
    assert model
    assert model.name == "tiny"
    (told,) = listener.shown
    assert told.endswith("; tiny stays in use")
    assert session.reason() in told
    configure(session, path=str(chatting_model(tmp_path / "two", "Two")))
    assert answered(session) == "Two"


def test_a_first_model_that_cannot_be_used_is_refused_with_the_reason(
    session: ChatSession, listener: Listener, tmp_path: Path
) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"no model")
    configure(session, path=str(tmp_path / "bad.gguf"))
    for _ in range(2):
        with pytest.raises(Refused, match="cannot load"):
            answered(session)
    assert session.model() is None
    assert "cannot load" in session.reason()
    assert len(listener.shown) == 1


def test_a_server_that_is_down_fails_and_is_asked_again(session: ChatSession) -> None:
    def says(path: str, body: Any) -> Iterator[bytes]:
        yield event(choices=[{"delta": {"content": "One"}, "finish_reason": "stop"}])

    with closing(Server(says)) as server:
        url = server.url
    configure(session, url=url, name="m")
    with pytest.raises(Failed, match="127"):
        answered(session)
    with closing(Server(says, port=int(url.rpartition(":")[2]))):
        assert answered(session) == "One"


def test_a_persons_request_ends_background_work(session: ChatSession, endless: Path) -> None:
    configure(session, path=str(endless))
    started = threading.Event()
    outcome: list[type] = []

    def work() -> None:
        try:
            for _ in session.answer(MESSAGES, 400, never, background=True):
                started.set()
        except Cancelled:
            outcome.append(Cancelled)

    thread = threading.Thread(target=work)
    thread.start()
    assert started.wait(60)
    assert list(session.answer(MESSAGES, 3, never))
    thread.join(60)
    assert outcome == [Cancelled]


def test_background_work_waits_for_a_person(session: ChatSession, endless: Path) -> None:
    configure(session, path=str(endless))
    person = session.answer(MESSAGES, 400, never)
    next(person)
    waited = [False] * 5
    with pytest.raises(Cancelled):
        next(session.answer(MESSAGES, 3, lambda: not waited or waited.pop(), background=True))
    person.close()
    assert list(session.answer(MESSAGES, 3, never, background=True))


def test_a_second_person_waits_for_the_first(session: ChatSession, endless: Path) -> None:
    configure(session, path=str(endless))
    order: list[str] = []
    first = session.answer(MESSAGES, 5, never)
    next(first)

    def ask() -> None:
        order.extend("second" for _ in session.answer(MESSAGES, 2, never))

    thread = threading.Thread(target=ask)
    thread.start()
    order.extend("first" for _ in first)
    thread.join(60)
    assert order == sorted(order)
    assert set(order) == {"first", "second"}


def test_a_request_that_was_cancelled_while_the_model_loads_leaves_it_loading(
    session: ChatSession, tmp_path: Path
) -> None:
    configure(session, path=str(chatting_model(tmp_path / "m", "One")))
    looks = [False] * 3
    with pytest.raises(Cancelled):
        next(session.answer(MESSAGES, 3, lambda: not looks or looks.pop()))
    assert answered(session) == "One"


def test_close_ends_an_answer_and_refuses_the_next(session: ChatSession, endless: Path) -> None:
    configure(session, path=str(endless))
    tokens = session.answer(MESSAGES, 400, never)
    next(tokens)
    session.close()
    with pytest.raises(Cancelled):
        list(tokens)
    with pytest.raises(Refused):
        answered(session)
