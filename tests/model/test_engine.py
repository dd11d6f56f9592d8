"""The choice of an engine, and its reason."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kexpert.abilities import Refused
from kexpert.model import engine
from kexpert.model.engine import NO_CHAT_MODEL, choose_chat_engine, choose_engine, open_chat, open_engine
from kexpert.model.registry import RegisteredModel, Registry, change_registry
from kexpert.model.types import ChatSettings, EngineChoice, ModelSettings
from kexpert.prompt.manifest import Manifest, dump_manifest, tokenizer_hash


def manifest(folder: Path, **more: object) -> None:
    entries = {"name": "small", "base": "m.gguf", "prompt_version": 1, "tokenizer": tokenizer_hash([]), "context": 64}
    folder.mkdir(exist_ok=True)
    (folder / "model.json").write_text(dump_manifest(Manifest(**(entries | more))))  # type: ignore[arg-type]
    (folder / "m.gguf").touch()


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which NVIDIA's driver runs one GPU."""
    (tmp_path / "gpus/0000:01:00.0").mkdir(parents=True)
    monkeypatch.setattr(engine, "_CUDA_DEVICES", tmp_path / "gpus")


def without(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    real = engine.importlib.util.find_spec
    monkeypatch.setattr(engine.importlib.util, "find_spec", lambda name: None if name in names else real(name))


def test_a_gguf_runs_on_llama_cpp(tmp_path: Path) -> None:
    manifest(tmp_path)
    for path in (tmp_path, tmp_path / "model.json", tmp_path / "m.gguf"):
        choice = choose_engine(ModelSettings(path=str(path), device="cpu"))
        assert (choice.kind, choice.path) == ("llama", tmp_path / "m.gguf")
        assert choice.manifest
        assert choice.manifest.name == "small"
        assert "llama.cpp on the CPU (model.device is cpu)" in choice.reason


def test_the_manifest_of_another_gguf_is_ignored(tmp_path: Path) -> None:
    manifest(tmp_path)
    (tmp_path / "other.gguf").touch()
    assert choose_engine(ModelSettings(path=str(tmp_path / "other.gguf"), device="cpu")).manifest is None


@pytest.mark.usefixtures("gpu")
def test_torch_runs_on_a_gpu_with_the_gpu_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest(tmp_path)
    monkeypatch.setattr(engine.importlib.util, "find_spec", lambda name: object())
    assert choose_engine(ModelSettings(path=str(tmp_path))).kind == "torch"
    assert choose_engine(ModelSettings(path=str(tmp_path))).on_gpu
    assert not choose_engine(ModelSettings(path=str(tmp_path), device="cpu")).on_gpu
    assert choose_engine(ModelSettings(path=str(tmp_path), device="cpu")).kind == "llama"


@pytest.mark.usefixtures("gpu")
def test_a_missing_gpu_extra_is_the_reason_for_llama_cpp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest(tmp_path)
    without(monkeypatch, "triton")
    choice = choose_engine(ModelSettings(path=str(tmp_path)))
    assert choice.kind == "llama"
    assert "gpu extra is not installed (triton)" in choice.reason


def test_a_url_takes_precedence(tmp_path: Path) -> None:
    choice = choose_engine(ModelSettings(path=str(tmp_path), url="http://127.0.0.1:8012"))
    assert choice.kind == "remote"
    assert "http://127.0.0.1:8012" in choice.reason


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: None, "no such file"),
        (lambda folder: folder.mkdir(), "holds neither"),
        (lambda folder: (folder.mkdir(), (folder / "model.json").write_text("{")), "is not JSON"),
        (lambda folder: (manifest(folder), (folder / "m.gguf").unlink()), "m.gguf is not beside it"),
        (lambda folder: manifest(folder, adapter="lora.gguf"), "lora.gguf is not beside it"),
    ],
)
def test_an_unusable_model_is_refused_with_the_reason(tmp_path: Path, make, said: str) -> None:  # type: ignore[no-untyped-def]
    make(tmp_path / "model")
    choice = choose_engine(ModelSettings(path=str(tmp_path / "model"), device="cpu"))
    assert choice.kind == "none"
    assert said in choice.reason
    with pytest.raises(Refused, match=said):
        open_engine(choice, ModelSettings())


def test_llama_cpp_takes_no_peft_adapter(tmp_path: Path) -> None:
    manifest(tmp_path, adapter="lora")
    (tmp_path / "lora").mkdir()
    choice = choose_engine(ModelSettings(path=str(tmp_path), device="cpu"))
    assert choice.kind == "none"
    assert "adapters in GGUF only" in choice.reason


def test_without_llama_cpp_no_gguf_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest(tmp_path)
    without(monkeypatch, "llama_cpp")
    assert "llama-cpp-python is not installed" in choose_engine(ModelSettings(path=str(tmp_path), device="cpu")).reason


def test_a_missing_bundled_model_blames_no_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BUNDLED_MODEL", tmp_path / "none")
    assert choose_engine(ModelSettings()) == EngineChoice("none", "no model comes with this kexpert")


# Chat


def test_a_chat_model_is_a_server_or_a_file_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    manifest(tmp_path, abilities=("chat",))
    chosen = choose_chat_engine(ChatSettings(path=str(tmp_path), url="http://127.0.0.1:8012"))
    assert (chosen.kind, chosen.reason, chosen.ability) == ("remote", "chat.url names http://127.0.0.1:8012", "chat")
    chosen = choose_chat_engine(ChatSettings(path=str(tmp_path), device="cpu"))
    assert (chosen.kind, chosen.path, chosen.model_name) == ("llama", tmp_path / "m.gguf", "small")
    none = choose_chat_engine(ChatSettings())
    assert (none.kind, none.reason) == ("none", "no chat model: kexpert models add smollm2-135m")
    with pytest.raises(Refused, match="kexpert models add"):
        open_chat(none, ChatSettings())


def test_the_chat_model_in_use_is_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    manifest(tmp_path / "m", abilities=("chat",))
    change_registry(lambda _: Registry({"mine": RegisteredModel(tmp_path / "m", ("chat",), {})}, {"chat": "mine"}))
    chosen = choose_chat_engine(ChatSettings(device="cpu"))
    assert (chosen.kind, chosen.path) == ("llama", tmp_path / "m" / "m.gguf")
    assert "the installed model mine" in chosen.reason
    change_registry(lambda registry: Registry(registry.models, {}))
    assert choose_chat_engine(ChatSettings()).reason == NO_CHAT_MODEL


def test_a_model_is_refused_for_an_ability_that_its_manifest_does_not_name(tmp_path: Path) -> None:
    manifest(tmp_path)
    chosen = choose_chat_engine(ChatSettings(path=str(tmp_path), device="cpu"))
    assert (chosen.kind, chosen.reason) == (
        "none", "small: its model.json names the abilities: complete; 'chat' is not among them",
    )  # fmt: skip
    manifest(tmp_path, abilities=("chat",))
    assert "names the abilities: chat" in choose_engine(ModelSettings(path=str(tmp_path), device="cpu")).reason
    (tmp_path / "bare.gguf").touch()
    bare = str(tmp_path / "bare.gguf")
    assert choose_chat_engine(ChatSettings(path=bare, device="cpu")).kind == "llama"
    assert choose_engine(ModelSettings(path=bare, device="cpu")).kind == "llama"


def test_choosing_imports_no_model_library() -> None:
    program = (
        "import sys; from kexpert.model.engine import *; choose_engine(ModelSettings());"
        "sys.exit(bool({'torch', 'llama_cpp', 'transformers', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
