"""Inline completion over a real server, with a real model in a real worker process."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kexpert.workspace.inline_settings import is_on
from kexpert.workspace.settings import Settings
from tests.support.fixture_text import cursor
from tests.support.lsp_client import Client, RequestFailed
from tests.support.tiny_models import TinyVocabulary, speaking_model, write_manifest, write_model
from tests.support.toy_tree import home_environment, make_toy_tree
from tests.support.waiting import eventually

INLINE = {"textDocument": {"inlineCompletion": {}}}
PLACE = "#include <linux/toy.h>\n\nint toy_play(struct toy *toy)\n{\n\t/*|*/\n}\n"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_toy_tree(tmp_path_factory.mktemp("tree") / "linux")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that writes one sentence after an opening brace."""
    sentence = ("{\n", "\treturn", " toy", "_wind", "(to", "y", ",", " ", "1", ");", "\n", "}")
    return speaking_model(tmp_path_factory.mktemp("model"), sentence)


@pytest.fixture(scope="module")
def babbler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("babbler")
    vocabulary = TinyVocabulary(["return"])
    write_model(folder / "m.gguf", vocabulary)
    write_manifest(folder, vocabulary, "m.gguf")
    return folder


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return home_environment(tmp_path_factory.mktemp("home"))


@pytest.fixture
def client(environment: dict[str, str]) -> Iterator[Client]:
    with Client(env=environment) as client:
        yield client


@pytest.fixture(scope="module")
def running(environment: dict[str, str], tree: Path, model: Path) -> Iterator[tuple[Client, str]]:
    """A session with the speaking model, and the URI of the open file; tests leave the settings as they were."""
    with Client(env=environment) as client:
        uri = start(client, tree, model)
        client.open(uri, "")
        yield client, uri


@pytest.fixture(scope="module")
def busy(environment: dict[str, str], tree: Path, babbler: Path) -> Iterator[tuple[Client, str]]:
    """A session with the model that never stops writing."""
    with Client(env=environment) as client:
        uri = start(client, tree, babbler, **{"inline.tokens": 128, "inline.lines": 40, "inline.confidence": 0})
        client.open(uri, "")
        yield client, uri


def start(client: Client, tree: Path, model: Path | str, *, inline: bool = True, **options: Any) -> str:
    """A session with a file open at a place; its URI. The model is a folder or an address."""
    capabilities = dict(INLINE) if inline else {}
    named = {"model.path" if isinstance(model, Path) else "model.url": str(model)}
    client.initialize(tree, options=named | {"model.threads": 1} | options, **capabilities)
    return (tree / "drivers/toy/user.c").as_uri()


def question(uri: str, position: dict[str, int]) -> dict[str, Any]:
    return {"textDocument": {"uri": uri}, "position": position, "context": {"triggerKind": 2}}


def inline(client: Client, uri: str, marked: str, kind: int = 2, **context: Any) -> Any:
    """Replace the document by a marked text; the suggestions shown at the mark."""
    text, position = cursor(marked)
    client.change(uri, {"text": text})
    answer = client.at("inlineCompletion", uri, position, context={"triggerKind": kind, **context})
    return [item["insertText"] for item in answer["items"]] if answer else []


def test_a_suggestion_is_shown(running: tuple[Client, str]) -> None:
    client, uri = running
    text, position = cursor(PLACE)
    client.change(uri, {"text": text})
    answer = client.at("inlineCompletion", uri, position, context={"triggerKind": 2})
    assert answer == {
        "items": [{"insertText": "return toy_wind(toy, 1);", "range": {"start": position, "end": position}}]
    }


def test_inline_completion_is_announced(client: Client) -> None:
    assert client.initialize()["inlineCompletionProvider"] is True
    assert client.leave() == 0


def test_a_suggestion_shrinks_as_it_is_typed_and_ends_at_another_letter(running: tuple[Client, str]) -> None:
    client, uri = running
    assert inline(client, uri, PLACE) == ["return toy_wind(toy, 1);"]
    assert inline(client, uri, PLACE.replace("/*|*/", "return toy_w/*|*/")) == ["ind(toy, 1);"]
    assert inline(client, uri, PLACE.replace("/*|*/", "return toy_x/*|*/")) == []


def test_the_selected_menu_entry_counts_as_typed(running: tuple[Client, str]) -> None:
    client, uri = running
    text, position = cursor(PLACE.replace("/*|*/", "ret/*|*/"))
    client.change(uri, {"text": text})
    begin = position | {"character": 1}
    chosen = {"range": {"start": begin, "end": position}, "text": "return toy"}
    answer = client.at("inlineCompletion", uri, position, context={"triggerKind": 2, "selectedCompletionInfo": chosen})
    assert answer == {"items": [{"insertText": "return toy_wind(toy, 1);", "range": chosen["range"]}]}


def test_a_suggestion_with_an_unknown_name_is_hidden(client: Client, tree: Path, tmp_path: Path) -> None:
    model = speaking_model(tmp_path / "liar", ("{\n", "\treturn", " toy", "_unwound", ";"))
    uri = start(client, tree, model)
    client.open(uri, "")
    assert inline(client, uri, PLACE) == []


def test_low_confidence_is_shown_on_explicit_request_only(client: Client, tree: Path, tmp_path: Path) -> None:
    model = speaking_model(tmp_path / "unsure", ("{\n", "\treturn", " 1", ";"), sure=0.15)
    uri = start(client, tree, model)
    client.open(uri, "")
    assert inline(client, uri, PLACE, kind=2) == []
    assert inline(client, uri, PLACE, kind=1) != []
    assert inline(client, uri, PLACE, kind=2) == []


def test_low_confidence_is_never_in_the_menu(client: Client, tree: Path, tmp_path: Path) -> None:
    """Not even when a key has brought it before."""
    model = speaking_model(tmp_path / "unsure", ("{\n", "\treturn", " 1", ";"), sure=0.15)
    uri = start(client, tree, model, inline=False)
    client.open(uri, "")
    [suggestion] = inline(client, uri, PLACE, kind=1)
    _, position = cursor(PLACE)
    assert suggestion not in [item["label"] for item in client.at("completion", uri, position)["items"]]


@pytest.mark.parametrize(
    "pattern",
    ["drivers/net", "drivers/net/", "./drivers/net", "./drivers/net/*", "/drivers/net", "drivers/net/*", "drivers/n*",
     "drivers/net/a.c", "*.c", "**", "**/*", ".", "./"],
)  # fmt: skip
def test_a_folder_is_excluded_by_any_spelling_of_its_path(pattern: str) -> None:
    assert not is_on(Settings(inline_exclude=(pattern,)), "drivers/net/a.c")


@pytest.mark.parametrize("pattern", ["drivers/ne", "net", "rivers/net", "drivers/net/a", "*.h", ".config"])
def test_a_pattern_excludes_no_other_files(pattern: str) -> None:
    assert is_on(Settings(inline_exclude=(pattern,)), "drivers/net/a.c")


@pytest.mark.parametrize("off", [{"enabled": False}, {"exclude": ["drivers/*"]}, {"exclude": ["./drivers/"]}])
def test_settings_switch_suggestions_off_and_on(running: tuple[Client, str], off: dict[str, Any]) -> None:
    client, uri = running
    assert inline(client, uri, PLACE)
    client.notify("workspace/didChangeConfiguration", {"settings": {"kexpert": {"inline": off}}})
    assert inline(client, uri, PLACE) == []
    client.notify("workspace/didChangeConfiguration", {"settings": {"kexpert": {}}})
    assert inline(client, uri, PLACE)


def test_no_worker_process_runs_while_suggestions_are_off(running: tuple[Client, str]) -> None:
    client, uri = running
    client.notify("workspace/didChangeConfiguration", {"settings": {"kexpert": {"inline": {"enabled": False}}}})
    inline(client, uri, PLACE)
    assert not children_of(client)
    client.notify("workspace/didChangeConfiguration", {"settings": {"kexpert": {}}})


def test_a_tree_cannot_choose_the_model(client: Client, tmp_path: Path, model: Path) -> None:
    tree = make_toy_tree(tmp_path / "linux")
    (tree / ".kexpert.toml").write_text(f'[model]\npath = "{model}"\nurl = "http://198.51.100.1/"\n')
    client.initialize(tree, options={"log": {"level": "info"}}, **INLINE)
    said = [client.wait_for("window/showMessage")["message"] for _ in range(2)]
    assert all("your own settings only" in text for text in said)


def test_other_features_work_without_a_model(client: Client, tree: Path, tmp_path: Path) -> None:
    uri = start(client, tree, tmp_path / "nowhere")
    client.open(uri, "")
    assert inline(client, uri, PLACE) == []
    assert inline(client, uri, PLACE) == []
    assert "no such file" in client.wait_for("window/showMessage")["message"]
    text, position = cursor(PLACE.replace("toy_play", "toy_pl/*|*/ay").replace("\t/*|*/", "\t"))
    client.change(uri, {"text": text})
    assert "toy_play" in client.at("hover", uri, position)["contents"]["value"]
    assert client.leave() == 0


def test_the_model_is_loaded_when_a_file_is_opened(client: Client, tree: Path, model: Path) -> None:
    """The first question of a client that will ask waits for less, and may copy from what was read meanwhile."""
    uri = start(client, tree, model)
    client.open(uri, PLACE)
    assert eventually(lambda: children_of(client))


def test_a_worker_that_dies_costs_one_suggestion(client: Client, tree: Path, model: Path) -> None:
    uri = start(client, tree, model, **{"inline.ahead": False})
    client.open(uri, "")
    assert inline(client, uri, PLACE)
    for child in children_of(client):
        os.kill(child, signal.SIGKILL)
    other = PLACE.replace("toy_play", "toy_play_again")
    assert inline(client, uri, other) == []
    assert inline(client, uri, other) == ["return toy_wind(toy, 1);"]


def test_the_server_exits_while_its_worker_is_stopped(client: Client, tree: Path, model: Path) -> None:
    uri = start(client, tree, model)
    client.open(uri, "")
    assert inline(client, uri, PLACE)
    [child] = children_of(client)
    os.kill(child, signal.SIGSTOP)
    for number in range(40):
        text, position = cursor(PLACE.replace("toy_play", f"toy_play_{number}") + "int after;\n" * 3000)
        client.change(uri, {"text": text})
        client.send("textDocument/inlineCompletion", question(uri, position))
    assert client.leave() == 0
    assert not Path(f"/proc/{child}").exists()


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_the_server_exits_while_a_model_server_is_silent(client: Client, tree: Path, silent: str) -> None:
    uri = start(client, tree, silent)
    client.open(uri, "")
    text, position = cursor(PLACE)
    client.change(uri, {"text": text})
    cancelled = client.send("textDocument/inlineCompletion", question(uri, position))
    time.sleep(0.5)
    client.notify("$/cancelRequest", {"id": cancelled})
    client.timeout = 15
    with pytest.raises(RequestFailed):
        client.wait(cancelled)
    client.send("textDocument/inlineCompletion", question(uri, position))
    assert client.leave() == 0


def test_a_failure_is_logged_once(client: Client, tree: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        gone = f"http://127.0.0.1:{server.getsockname()[1]}"
    uri = start(client, tree, gone)
    client.open(uri, "")
    for number in range(3):
        assert inline(client, uri, PLACE.replace("toy_play", f"toy_play_{number}")) == []
        assert inline(client, uri, PLACE.replace("/*|*/", "/* nothing is completed here/*|*/ */")) == []
    said = [params["message"] for method, params in client.notifications if method == "window/logMessage"]
    assert len([text for text in said if "inline completion: 127.0.0.1" in text]) == 1


def test_worker_processes_end_with_the_server(client: Client, tree: Path, model: Path) -> None:
    uri = start(client, tree, model)
    client.open(uri, "")
    inline(client, uri, PLACE)
    children = children_of(client)
    assert children
    assert client.leave() == 0
    eventually(lambda: not any(Path(f"/proc/{child}").exists() for child in children))


def test_a_newer_question_ends_the_older_ones(busy: tuple[Client, str]) -> None:
    """Neovim never cancels, so the server drops older questions itself."""
    client, uri = busy
    text, position = cursor(PLACE)
    client.change(uri, {"text": text})
    asked = [client.send("textDocument/inlineCompletion", question(uri, position)) for _ in range(10)]
    assert [client.wait(each) for each in asked[:-1]] == [None] * 9
    client.wait(asked[-1])


def test_a_cancelled_question_ends(busy: tuple[Client, str]) -> None:
    client, uri = busy
    text, position = cursor(PLACE)
    codes: list[int] = []
    for _ in range(5):  # on a busy machine an answer may be on its way before the cancellation is sent
        client.change(uri, {"text": text})
        asked = client.send("textDocument/inlineCompletion", question(uri, position))
        client.notify("$/cancelRequest", {"id": asked})
        try:
            client.wait(asked)
        except RequestFailed as refused:
            codes.append(refused.code)
    assert set(codes) == {-32800}


def test_the_menu_has_the_suggestion_without_inline_completion(client: Client, tree: Path, model: Path) -> None:
    uri = start(client, tree, model, inline=False)
    client.open(uri, "")
    text, position = cursor(PLACE.replace("/*|*/", "ret/*|*/"))
    client.change(uri, {"text": text})
    # The menu does not wait for the model to be loaded.
    first = eventually(
        lambda: client.at("completion", uri, position)["items"][0],
        lambda item: item["label"] == "return toy_wind(toy, 1);",
    )
    assert first["textEdit"]["newText"] == "return toy_wind(toy, 1);"
    assert first["textEdit"]["range"]["start"]["character"] == 1


def test_the_menu_lacks_the_suggestion_with_inline_completion(running: tuple[Client, str]) -> None:
    client, uri = running
    text, position = cursor(PLACE.replace("/*|*/", "ret/*|*/"))
    client.change(uri, {"text": text})
    assert "return toy_wind(toy, 1);" not in [item["label"] for item in client.at("completion", uri, position)["items"]]


def children_of(client: Client) -> list[int]:
    """The worker processes of the server."""
    server = client.pid
    tasks = Path(f"/proc/{server}/task").iterdir()
    pids = [int(pid) for task in tasks for pid in (task / "children").read_text().split()]
    return [pid for pid in pids if b"kexpert.model.engines.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_the_first_line_can_be_taken_alone(client: Client, tree: Path, tmp_path: Path) -> None:
    """So that the keys for the next and the previous suggestion have somewhere to go."""
    model = speaking_model(tmp_path / "long", ("{\n", "\tif", " (toy", ") {\n", "\t\treturn", " 1", ";\n", "\t}\n"))
    uri = start(client, tree, model)
    client.open(uri, "")
    whole = "if (toy) {\n\t\treturn 1;\n\t}"
    assert inline(client, uri, PLACE, kind=1) == [whole, "if (toy) {"]
    assert inline(client, uri, PLACE, kind=2) == [whole, "if (toy) {"]
