"""The words of a chat model in explanations and hovers, through the real server with a scripted model."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.lsp.test_explain import file_of, offered, place, run, shown
from tests.support.lsp_client import Client
from tests.support.scripted_server import command
from tests.support.toy_tree import home_environment, make_toy_tree
from tests.support.waiting import eventually

CORE, USER = "drivers/toy/core.c", "drivers/toy/user.c"
GOOD = {
    "summary": "Wind a car up", "explanation": "It calls toy_wind() with the car. Then it calls zap(). It is small.",
}  # fmt: skip


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_toy_tree(tmp_path_factory.mktemp("voice") / "linux")


#: Nothing that takes time and is not asked about here.
CONFIG = """\
vectors.enabled = false
inline.enabled = false
diagnostics.checkpatch = false
index.jobs = 1
"""


def serving(tree: Path, home: Path, script: dict[str, Any]) -> Client:
    (home / "config" / "kexpert").mkdir(parents=True, exist_ok=True)
    (home / "config" / "kexpert" / "config.toml").write_text(CONFIG)
    return Client(command(script, "serve"), env=home_environment(home), timeout=120)


def ask(client: Client, tree: Path, where: dict[str, Any], path: str = USER, token: str = "part") -> int:
    arguments = [(tree / path).as_uri(), where, token]
    return client.send("workspace/executeCommand", {"command": "kexpert.explain", "arguments": arguments})


#: ``car_wind`` in user.c.
CAR_WIND = place(5, 4)


def test_the_page_from_facts_comes_first_and_grows(tree: Path, tmp_path: Path) -> None:
    with serving(tree, tmp_path, {"answers": GOOD}) as client:
        client.initialize(tree, experimental={"kexpertExplain": True})
        answer = client.wait(ask(client, tree, CAR_WIND))
        pages = [value for _, token, value in client.parts if token == "part"]
        assert [page["json"]["summary"]["origin"] for page in pages[:2]] == ["facts", "model"]
        assert "How it works" in pages[0]["markdown"]
        assert pages[-1] == answer
        assert answer["json"]["explanation"]["text"] == "It calls toy_wind() with the car. It is small."
        assert "Machine-written by `parrot`" in answer["markdown"]
        links = re.findall(r"\]\(([^)]*)\)", answer["markdown"])
        assert all(link.startswith(tree.as_uri()) for link in links)


def test_a_second_look_asks_nobody_and_lasts_beyond_the_server(tree: Path, tmp_path: Path) -> None:
    script = {"answers": GOOD, "asked": str(tmp_path / "asked")}
    answers = []
    for _ in range(2):
        with serving(tree, tmp_path, script) as client:
            client.initialize(tree)
            answers += [client.wait(ask(client, tree, CAR_WIND)) for _ in range(2)]
    assert all(answer == answers[0] for answer in answers)
    assert (tmp_path / "asked").read_text().split() == ["summary", "explanation"]


def test_the_file_that_is_open_gets_the_models_words_too(tree: Path, tmp_path: Path) -> None:
    with serving(tree, tmp_path, {"answers": GOOD}) as client:
        client.initialize(tree)
        client.open_file(USER)
        (action,) = offered(client, tree, CAR_WIND, USER)
        found = run(client, action)
        page = file_of(client.wait_for_request("window/showDocument")["uri"])
        assert page.read_text() == found["markdown"]
        assert "Wind a car up." in found["markdown"]
        assert len(shown(client)) == 1


def test_the_work_is_shown_and_can_be_cancelled(tree: Path, tmp_path: Path) -> None:
    with serving(tree, tmp_path, {"stalls": True}) as client:
        client.initialize(tree, options={"index.watch": False})
        asked = ask(client, tree, CAR_WIND)
        begun = client.wait_for(
            "$/progress", lambda params: params["value"].get("title", "").startswith("Explaining car_wind")
        )
        assert begun["value"]["cancellable"] is True
        client.notify("window/workDoneProgress/cancel", {"token": begun["token"]})
        answer = client.wait(asked)
        assert answer["json"]["summary"]["origin"] == "facts"
        client.wait_for("$/progress", lambda params: params["value"].get("kind") == "end")


def test_a_cancelled_request_ends_at_once(tree: Path, tmp_path: Path) -> None:
    from tests.support.lsp_client import RequestFailed

    with serving(tree, tmp_path, {"stalls": True}) as client:
        client.initialize(tree)
        asked = ask(client, tree, CAR_WIND)
        eventually(lambda: client.parts)
        client.notify("$/cancelRequest", {"id": asked})
        with pytest.raises(RequestFailed):
            client.wait(asked)


def test_while_a_model_stalls_the_server_answers_everything_else(tree: Path, tmp_path: Path) -> None:
    with serving(tree, tmp_path, {"stalls": True}) as client:
        client.initialize(tree)
        asked = []
        for at in range(6):
            asked.append(ask(client, tree, CAR_WIND, token=f"part {at}"))
            eventually(lambda at=at: any(token == f"part {at}" for _, token, _ in client.parts))
        assert client.at("hover", client.uri(USER), {"line": 3, "character": 13}) is not None
        for each in asked[:-1]:  # a newer page ends the older ones
            assert client.wait(each)["json"]["summary"]["origin"] == "facts"
        assert client.leave() == 0


@pytest.mark.parametrize(
    "text",
    ["<b>wind</b> a car [x](http://a.b)", "zap_zap() and FooBar", "<|im_start|>system", "", "x " * 9000, "car wind"],
)
def test_nonsense_of_a_model_does_not_reach_the_page(tree: Path, tmp_path: Path, text: str) -> None:
    with serving(tree, tmp_path, {"answers": {"summary": text, "explanation": text}}) as client:
        client.initialize(tree)
        answer = client.wait(ask(client, tree, CAR_WIND))
        assert "Machine-written" not in answer["markdown"]
        assert answer["json"]["summary"]["origin"] == "facts"


def test_a_model_that_fails_leaves_the_page_and_a_line_in_the_log(tree: Path, tmp_path: Path) -> None:
    with serving(tree, tmp_path, {"fails": "the server at chat.url answers rubbish"}) as client:
        client.initialize(tree)
        answer = client.wait(ask(client, tree, CAR_WIND))
        assert answer["json"]["explanation"] is None
        client.wait_for("window/logMessage", lambda params: "answers rubbish" in params["message"])


def test_without_a_model_the_page_says_how_to_get_one(tree: Path, tmp_path: Path) -> None:
    with serving(tree, tmp_path, {"none": True}) as client:
        client.initialize(tree)
        answer = client.wait(ask(client, tree, CAR_WIND))
        assert answer["markdown"].endswith("*no chat model: kexpert models add parrot.*\n")
        assert "kexpert models" not in answer["json"]["markdown"]
        assert client.parts == []


def test_where_the_settings_want_no_model_the_page_says_nothing_of_one(tree: Path, tmp_path: Path) -> None:
    with serving(tree, tmp_path, {"answers": GOOD}) as client:
        client.initialize(tree, options={"chat.enabled": False})
        answer = client.wait(ask(client, tree, CAR_WIND))
        assert answer["markdown"] == answer["json"]["markdown"]
        assert "model" not in answer["markdown"]
        assert client.parts == []


@pytest.mark.parametrize("where", [place(3, 0, 14), place(0, 0, 1)])
def test_a_selection_over_functions_or_none_is_answered_without_the_model(
    tree: Path, tmp_path: Path, where: dict[str, Any]
) -> None:
    script = {"answers": GOOD, "asked": str(tmp_path / "asked")}
    with serving(tree, tmp_path, script) as client:
        client.initialize(tree)
        answer = client.wait(ask(client, tree, where))
        assert answer is None or answer["json"]["explanation"] is None
    assert not (tmp_path / "asked").exists()


def test_a_hover_gets_a_line_the_next_time(tree: Path, tmp_path: Path) -> None:
    with serving(tree, tmp_path, {"answers": GOOD}) as client:
        client.initialize(tree, options={"summaries.ahead": False})
        uri = client.open_file(USER)

        def hover() -> str:
            text: str = client.at("hover", uri, {"line": 3, "character": 13})["contents"]["value"]
            return text

        assert "Wind a car up. (machine-written by `parrot`)" in eventually(hover, lambda text: "Wind a car" in text)


def test_a_hover_has_no_such_line_where_the_settings_want_none(tree: Path, tmp_path: Path) -> None:
    script = {"answers": GOOD, "asked": str(tmp_path / "asked")}
    with serving(tree, tmp_path, script) as client:
        client.initialize(tree, options={"hover.summary": False})
        uri = client.open_file(USER)
        client.at("hover", uri, {"line": 3, "character": 13})
        client.leave()
    assert not (tmp_path / "asked").exists()


def test_a_function_of_three_thousand_lines_and_broken_code_are_answered(tmp_path: Path) -> None:
    root = make_toy_tree(tmp_path / "linux")
    body = "\n".join(f"\tx[{at}] = fill({at});" for at in range(3000))
    (root / "drivers/toy/long.c").write_text(f"int long_one(int *x)\n{{\n{body}\n\treturn 0;\n}}\n")
    (root / "drivers/toy/broken.c").write_text("int f(int a {\n if ((( \n}\n}}}} struct {\n")
    with serving(root, tmp_path, {"answers": {"summary": "Fill the array", "explanation": "It fills x."}}) as client:
        client.initialize(root)
        answer = client.wait(ask(client, root, place(40, 3), "drivers/toy/long.c"))
        assert answer["json"]["summary"]["text"] == "Fill the array"
        client.wait(ask(client, root, place(1, 2), "drivers/toy/broken.c"))
        client.wait(ask(client, root, place(0, 0, 4), "drivers/toy/broken.c"))


def test_a_real_model_is_asked_and_its_words_are_checked(tree: Path, tmp_path: Path, smollm2_gguf: Path) -> None:
    from kexpert.workspace.text_cache import FILE_NAME

    (tmp_path / "config" / "kexpert").mkdir(parents=True)
    (tmp_path / "config" / "kexpert" / "config.toml").write_text(f'{CONFIG}chat.path = "{smollm2_gguf}"\n')
    with Client(env=home_environment(tmp_path), timeout=300) as client:
        client.initialize(tree, options={"summaries.ahead": False})
        answer = client.wait(ask(client, tree, CAR_WIND))
        assert "## How it works" in answer["markdown"]
        assert answer["json"]["explanation"] is None  # a small model of others writes a line at most
        assert not [params for method, params in client.notifications if method == "window/logMessage"]
    (cache,) = (tmp_path / "cache" / "kexpert").glob(f"*/{FILE_NAME}")
    rows = sqlite3.connect(cache).execute("SELECT text FROM written").fetchall()
    summary = answer["json"]["summary"]
    assert rows == [(summary["text"] if summary["origin"] == "model" else "",)]
