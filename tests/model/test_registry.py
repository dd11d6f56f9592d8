"""``models.json``: what is in use, followed while it changes."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from kexpert.model.registry import (
    RegisteredModel,
    Registry,
    RegistryError,
    change_registry,
    models_in_use,
    read_registry,
    registry_file,
)


@pytest.fixture(autouse=True)
def data_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data"


def register(path: Path, name: str, *abilities: str) -> None:
    model = RegisteredModel(path, abilities, {})
    change_registry(
        lambda old: Registry({**old.models, name: model}, {**old.in_use, **dict.fromkeys(abilities, name)})
    )


def test_nothing_is_in_use_where_nothing_was_chosen() -> None:
    found = models_in_use()
    assert (found.chat, found.complete, found.problem) == (None, None, "")


def test_a_choice_is_seen_at_once_by_a_process_that_looked_before(tmp_path: Path) -> None:
    assert models_in_use().chat is None
    for name in ("one", "two"):
        (tmp_path / f"{name}.gguf").write_bytes(b"GGUF")
        register(tmp_path / f"{name}.gguf", name, "chat")
        chat = models_in_use().chat
        assert chat is not None and (chat.name, chat.path) == (name, tmp_path / f"{name}.gguf")


def test_a_replaced_file_makes_another_choice(tmp_path: Path) -> None:
    file = tmp_path / "one.gguf"
    file.write_bytes(b"GGUF")
    register(file, "one", "chat")
    before = models_in_use()
    assert models_in_use() == before
    (tmp_path / "new").write_bytes(b"FUGG")
    (tmp_path / "new").replace(file)
    assert models_in_use() != before


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"format": 2}', '{"format": 1, "models": {"a": {}}, "in_use": {}}', "{" * 100_000, '{"format": 1}'],
)
def test_a_broken_file_is_a_problem_in_one_line_and_no_exception(content: str) -> None:
    registry_file().parent.mkdir(parents=True)
    registry_file().write_text(content)
    found = models_in_use()
    assert found.chat is None
    assert str(registry_file()) in found.problem and "\n" not in found.problem
    with pytest.raises(RegistryError):
        read_registry()
    with pytest.raises(RegistryError):
        change_registry(lambda old: old)
    assert registry_file().read_text() == content


def test_a_name_that_is_a_path_is_not_read(tmp_path: Path) -> None:
    register(tmp_path, "good", "chat")
    found = json.loads(registry_file().read_text())
    found["models"]["../../etc"] = found["models"]["good"]
    registry_file().write_text(json.dumps(found))
    assert set(read_registry().models) == {"good"}


def test_no_change_is_lost_when_several_are_made_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda at: register(tmp_path, f"model-{at}", "chat"), range(40)))
    assert len(read_registry().models) == 40


def test_a_choice_of_a_model_that_is_gone_from_the_list_is_none(tmp_path: Path) -> None:
    register(tmp_path, "one", "chat")
    change_registry(lambda old: replace(old, models={}))
    assert models_in_use().chat is None
