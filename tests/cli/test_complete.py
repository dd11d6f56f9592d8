"""``kexpert complete`` as a shell user meets it, with a tiny model in its worker process."""

from __future__ import annotations

import json
import random
import socket
from pathlib import Path
from typing import Any

import pytest

from kexpert.__main__ import main
from tests.support.tiny_models import TinyVocabulary, speaking_model, write_manifest, write_model
from tests.support.toy_tree import make_toy_tree

SENTENCE = ("{\n", "\treturn", " toy", "_wind", "(to", "y", ",", " ", "1", ");")
PLACE = "lib/play.c"  # beside nothing that a line could be copied from
FILE = "#include <linux/toy.h>\n\nint toy_play(struct toy *toy)\n{\n\t\n}\n"

#: Two files of which the second lacks one line of the first.
COPIES = ("lib/copies/first.c", "lib/copies/second.c")
COPIED_LINE = "copy_brake(copy, COPY_SLOWLY);"
DECLARATIONS = "#define COPY_SLOWLY 1\nvoid copy_brake(struct copy *copy, int how);\n\n"
COPY = """\
static void copy_stop(struct copy *copy)
{
	mutex_lock(&copy->lock);
	copy_brake(copy, COPY_SLOWLY);
	mutex_unlock(&copy->lock);
}
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_toy_tree(tmp_path_factory.mktemp("tree") / "linux")
    (root / PLACE).parent.mkdir(exist_ok=True)
    (root / PLACE).write_text(FILE)
    (root / COPIES[0]).parent.mkdir()
    (root / COPIES[0]).write_text(DECLARATIONS + COPY)
    (root / COPIES[1]).write_text(COPY.replace(COPIED_LINE, "").replace("copy_stop", "copy_halt"))
    return root


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return speaking_model(tmp_path_factory.mktemp("model"), SENTENCE)


@pytest.fixture(autouse=True)
def _indexed(home: Path, tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    if not (home / "cache").exists():
        assert main(["index", "--tree", str(tree)]) == 0
        capsys.readouterr()


def complete(tree: Path, model: Path, *more: str) -> int:
    return main(["complete", "--tree", str(tree), "--model", str(model), *more])


def test_the_suggestion_is_printed(tree: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert complete(tree, model, f"{PLACE}:5:2") == 0
    assert capsys.readouterr().out == "return toy_wind(toy, 1);\n"


def test_json_has_text_origin_and_times(tree: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert complete(tree, model, "--json", f"{PLACE}:5:2") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["text"], found["shown"], found["doubt"], found["origin"]) == (
        "return toy_wind(toy, 1);", True, "", "model"
    )  # fmt: skip
    assert 0 < found["first_token_ms"] <= found["ms"]


def test_json_says_that_a_line_is_copied(tree: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert complete(tree, model, "--json", f"{COPIES[1]}:4:2") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["text"], found["shown"], found["origin"]) == (COPIED_LINE, True, "copied")


def test_a_hidden_suggestion_is_an_error(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    liar = speaking_model(tmp_path / "liar", ("{\n", "\treturn", " unheard_of", ";"))
    assert complete(tree, liar, f"{PLACE}:5:2") == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "unknown name: unheard_of" in said.err


def test_a_batch_answers_line_by_line(
    tree: Path, model: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before, after = FILE.split("\t\n")
    question: dict[str, Any] = {"path": PLACE, "before": before + "\t", "after": "\n" + after}
    questions = [
        question | {"id": 1},
        question | {"id": 2, "middle": "return toy_wind(toy, 1);", "typed": "r"},
        question | {"id": 3, "before": before + "\treturn x"},
    ]
    (tmp_path / "questions").write_text("".join(json.dumps(each) + "\n" for each in questions))
    assert complete(tree, model, "--batch", str(tmp_path / "questions")) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["id"] for answer in answers] == [1, 2, 3]
    assert answers[0]["text"] == "return toy_wind(toy, 1);"
    assert answers[1]["after_typing"]["text"] == "eturn toy_wind(toy, 1);"
    assert answers[1]["bits"] < 1
    assert answers[1]["bytes"] == len("\treturn toy_wind(toy, 1);")
    assert not answers[2]["shown"]


@pytest.mark.parametrize("arguments", [[], [f"{PLACE}:5:2", "--batch", "-"]])
def test_wrong_usage(tree: Path, model: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert complete(tree, model, *arguments) == 2
    assert "either" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["no json", "3", "{}", '{"path": 1, "before": "", "after": ""}'])
def test_a_bad_question_ends_a_batch_in_one_line(
    tree: Path, model: Path, line: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "questions").write_text(line + "\n")
    assert complete(tree, model, "--batch", str(tmp_path / "questions")) == 1
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert "question" in said.err


def test_a_missing_model_is_named(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert complete(tree, tmp_path / "nowhere", f"{PLACE}:5:2") == 1
    assert "nowhere: no such file" in capsys.readouterr().err


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's configuration file, still to be written."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    file = tmp_path / "config" / "kexpert" / "config.toml"
    file.parent.mkdir(parents=True)
    return file


@pytest.mark.parametrize(
    ("setting", "said"),
    [("inline.enabled = false", "inline.enabled is off"), ('inline.exclude = ["lib"]', "inline.exclude has 'lib'")],
)
def test_an_excluded_file_is_an_error_with_its_reason(
    tree: Path, model: Path, settings: Path, setting: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.write_text(setting)
    assert complete(tree, model, f"{PLACE}:5:2") == 1
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", f"kexpert: {PLACE}: no inline completion: {said}\n")
    question = settings.parent / "question"
    question.write_text(json.dumps({"path": PLACE, "before": "int f(void)\n{\n\t", "after": "\n}\n"}))
    assert complete(tree, model, "--batch", str(question)) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["text"], answer["shown"], answer["doubt"]) == ("", False, said)


def findings(tree: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, dict[str, str]]]:
    """The doctor's exit code, and what it finds, by what it is about."""
    code = main(["doctor", "--tree", str(tree), "--json"])
    return code, {each["what"]: each for each in json.loads(capsys.readouterr().out)}


def without_markers(folder: Path) -> str:
    vocabulary = TinyVocabulary(["return"], markers=["<|endoftext|>"])
    return str(write_model(folder / "plain.gguf", vocabulary, end="<|endoftext|>"))


def random_bytes(folder: Path) -> str:
    (folder / "bad.gguf").write_bytes(random.Random(1).randbytes(3000))
    return str(folder / "bad.gguf")


def other_tokens(folder: Path) -> str:
    """A model that is not the one of its ``model.json``."""
    speaking_model(folder, ("return", "struct"))
    write_manifest(folder, TinyVocabulary(["union"]), "tiny.gguf")
    return str(folder)


@pytest.mark.parametrize(
    ("make", "said"),
    [(without_markers, "marker"), (random_bytes, "cannot load"), (other_tokens, "token"),
     (lambda folder: str(folder / "nowhere"), "no such file")],
)  # fmt: skip
def test_the_doctor_tries_the_model(
    tree: Path, settings: Path, make: Any, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.write_text(f'model.path = "{make(settings.parent)}"\nmodel.device = "cpu"\n')
    code, found = findings(tree, capsys)
    assert (code, found["model"]["state"]) == (1, "bad")
    assert said in found["model"]["detail"]


@pytest.mark.parametrize("listens", [True, False])
def test_the_doctor_tries_the_server(
    tree: Path, settings: Path, listens: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        settings.write_text(f'model.url = "{url}"\nmodel.api = "completions"\n')
        if not listens:
            silent.close()
        code, found = findings(tree, capsys)
    assert (code, found["model"]["state"]) == (1, "bad")
    assert ("not ready after 2 s" if listens else "Connection refused") in found["model"]["detail"]


@pytest.mark.parametrize(
    ("setting", "said"),
    [("[model\n", "config.toml: cannot be read"), ('model.paht = "m.gguf"', "unknown option 'model.paht'"),
     ('model.device = "gpu"', "must be one of auto, cpu")],
)  # fmt: skip
def test_the_doctor_names_ignored_settings(
    tree: Path, settings: Path, setting: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.write_text(setting)
    code, found = findings(tree, capsys)
    assert (code, found["settings"]["state"]) == (1, "bad")
    assert said in found["settings"]["detail"]


def test_the_doctor_names_the_model_and_the_reason(
    tree: Path, model: Path, settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.write_text(f'model.path = "{model}"\nmodel.device = "cpu"\n')
    code, found = findings(tree, capsys)
    finding = found["model"]
    assert (code, finding["state"]) == (0, "ok")
    assert "settings" not in found
    assert "llama.cpp on the CPU (model.device is cpu)" in finding["detail"]
    assert "tiny" in finding["detail"]
