"""A chat model is exported with files that fit each other, and not at all if llama.cpp answers otherwise than torch."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import pytest
import torch
from safetensors.torch import load_file, save_file

from kexpert.model.engines.llama_cpp_engine import LlamaCppChat
from kexpert.prompt.chat import CHAT_PROMPT_VERSION, END, START, summary_prompt
from kexpert.prompt.manifest import Manifest, mismatch, parse_manifest
from kexpert_trainer.data.chat_frames import CHATML, FRAMES, ChatFrame
from kexpert_trainer.errors import UserError
from kexpert_trainer.models.lora import LoraSettings, add_adapter, load_base
from kexpert_trainer.release import chat_export, merge
from kexpert_trainer.release.chat_export import ChatExport, ChatSource, export_chat
from kexpert_trainer.release.export import Origin
from kexpert_trainer.release.merge import MERGED
from kexpert_trainer.training.sft import chat_encoder
from tests.support.tiny_chat import MARKERS, chat_base

ORIGIN = Origin("tiny", "Random weights, for a test.", "Apache-2.0", {"tree": "toy"}, {"chrf": 12.5})
SETTINGS = ChatExport(threads=1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``base`` and ``adapter``, as a run of sft leaves them."""
    folder = tmp_path_factory.mktemp("trained")
    write_adapter(chat_base(folder / "base"), folder / "adapter")
    return folder


def write_adapter(base: Path, folder: Path, std: float = 0.05) -> None:
    model = add_adapter(load_base(base, torch.device("cpu"), torch.float32), LoraSettings(r=4, rslora=True))
    torch.manual_seed(1)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=std)
    model.save_pretrained(str(folder))
    run = {"config": {"mix": {"summary": 1.0, "answer": 0.0}}, "chat_prompt_version": CHAT_PROMPT_VERSION}
    (folder / "progress.json").write_text(json.dumps(run))


@pytest.fixture(scope="module")
def exported(trained: Path) -> Path:
    """The adapter beside its base."""
    source = ChatSource(trained / "base", trained / "adapter")
    export_chat(source, trained / "model", ORIGIN, ChatExport(["Q8_0", "Q4_1"], threads=1))
    return trained / "model"


def manifest_of(folder: Path) -> Manifest:
    return parse_manifest((folder / "model.json").read_bytes())


def test_a_lora_is_exported_beside_its_base(exported: Path) -> None:
    names = {file.name for file in exported.iterdir()}
    assert names == {
        "tiny-Q8_0.gguf", "tiny-Q4_1.gguf", "tiny-lora-F16.gguf", "model.json", "Modelfile", "README.md"
    }  # fmt: skip
    manifest = manifest_of(exported)
    assert (manifest.base, manifest.adapter) == ("tiny-Q8_0.gguf", "tiny-lora-F16.gguf")
    assert manifest.abilities == ("chat",) and manifest.tasks == ("summary",)
    assert manifest.chat_prompt_version == CHAT_PROMPT_VERSION
    assert mismatch(manifest, manifest.tokenizer, manifest.base_sha256, "chat") == ""
    assert "complete" in mismatch(manifest, manifest.tokenizer, manifest.base_sha256)


def test_the_manifest_names_the_tokenizer_of_the_file(exported: Path) -> None:
    from kexpert.prompt.manifest import tokenizer_hash

    field = gguf.GGUFReader(exported / "tiny-Q8_0.gguf").get_field("tokenizer.ggml.tokens")
    assert field is not None
    assert manifest_of(exported).tokenizer == tokenizer_hash(field.contents())


def test_the_check_is_in_manifest_and_card(exported: Path) -> None:
    figures = manifest_of(exported).figures
    assert figures["check_f16_early_differences"] == 0
    assert figures["check_f16_mean_equal_fraction"] > 0.9
    assert figures["chrf"] == 12.5
    card = (exported / "README.md").read_text()
    assert "check f16 identical answers" in card and "tiny-lora-F16.gguf" in card and ORIGIN.provenance in card


def test_ollama_gets_template_and_every_stop(exported: Path) -> None:
    lines = (exported / "Modelfile").read_text()
    assert lines.startswith("FROM ./tiny-Q8_0.gguf\nADAPTER ./tiny-lora-F16.gguf\nTEMPLATE ")
    for stop in (END, START, "<|endoftext|>"):
        assert f'PARAMETER stop "{stop}"' in lines
    assert "PARAMETER num_ctx 1024" in lines  # the model has no more
    assert f"{{{{ end }}}}{START}assistant\n" in lines


def test_a_given_gguf_is_served_as_the_base(trained: Path, exported: Path, tmp_path: Path) -> None:
    source = ChatSource(trained / "base", trained / "adapter", base_gguf=exported / "tiny-Q4_1.gguf")
    manifest = export_chat(source, tmp_path / "model", ORIGIN, SETTINGS)
    assert manifest.base == "tiny-Q4_1.gguf"
    assert (tmp_path / "model" / manifest.base).read_bytes() == (exported / "tiny-Q4_1.gguf").read_bytes()


def test_a_wrong_scale_is_not_exported(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The adapter in GGUF is twice as strong as the trained one, as if rsLoRA had been forgotten."""
    written = chat_export.write_lora_gguf

    def doubled(adapter: Path, base: Path, target: Path, kind: str, name: str) -> None:
        config = adapter / "adapter_config.json"
        text = config.read_text()
        config.write_text(json.dumps(json.loads(text) | {"use_rslora": False, "lora_alpha": 400}))
        written(adapter, base, target, kind, name)
        config.write_text(text)

    monkeypatch.setattr(chat_export, "write_lora_gguf", doubled)
    with pytest.raises(UserError, match="nothing was exported"):
        export_chat(ChatSource(trained / "base", trained / "adapter"), tmp_path / "model", ORIGIN, SETTINGS)
    assert not list(tmp_path.iterdir())


def test_a_template_that_training_did_not_use_is_replaced(tmp_path: Path) -> None:
    base = chat_base(tmp_path / "base")
    (base / "chat_template.jinja").write_text("{% for message in messages %}[{{ message.content }}]{% endfor %}")
    manifest = export_chat(ChatSource(base), tmp_path / "model", ORIGIN, SETTINGS)
    field = gguf.GGUFReader(tmp_path / "model" / manifest.base).get_field("tokenizer.chat_template")
    assert field is not None and field.contents() == CHATML.jinja


@pytest.mark.parametrize(
    ("frame", "family", "markers"),
    [
        pytest.param(FRAMES[0], "qwen2", MARKERS, id="Qwen"),
        pytest.param(
            FRAMES[1], "llama", ("<|begin_of_text|>", "<|start_header_id|>", "<|eot_id|>", "<|end_header_id|>"),
            id="Llama",
        ),
        pytest.param(
            FRAMES[2], "granite", ("<|start_of_role|>", "<|start_of_role|>", "<|end_of_text|>", "<|end_of_role|>"),
            id="Granite",
        ),
    ],
)  # fmt: skip
def test_the_server_frames_a_chat_as_training_did(
    frame: ChatFrame, family: str, markers: tuple[str, ...], tmp_path: Path
) -> None:
    base = chat_base(tmp_path / "base", family, markers)
    encoder = chat_encoder(base)
    assert encoder.frame is frame
    manifest = export_chat(ChatSource(base), tmp_path / "model", ORIGIN, SETTINGS)
    served = LlamaCppChat(tmp_path / "model" / manifest.base, None, None, threads=1, context=512)
    messages = summary_prompt("a.c", f"int f(void)\n{{\n\treturn 1; /* {frame.end} is text */\n}}")
    assert served._prompt(messages, "")[0] == encoder.chat(messages)
    assert f'PARAMETER stop "{frame.end}"' in (tmp_path / "model" / "Modelfile").read_text()


def test_an_adapter_of_another_prompt_version_is_refused(trained: Path, tmp_path: Path) -> None:
    write_adapter(trained / "base", tmp_path / "adapter")
    file = tmp_path / "adapter" / "progress.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"chat_prompt_version": 999}))
    with pytest.raises(UserError, match="chat prompt version 999"):
        export_chat(ChatSource(trained / "base", tmp_path / "adapter"), tmp_path / "model", ORIGIN, SETTINGS)


def test_a_merged_model_is_measured_and_exported(trained: Path, tmp_path: Path) -> None:
    report = merge.merge(trained / "base", trained / "adapter", tmp_path / "merged", "bfloat16", threads=1)
    assert report.prompts == 20 and report.early_differences == 0
    assert 0 < report.max_logit_difference < 0.5
    assert json.loads((tmp_path / "merged" / MERGED).read_text())["measured"] == report.as_dict()
    stored = load_file(tmp_path / "merged" / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.bfloat16}
    manifest = export_chat(ChatSource(tmp_path / "merged"), tmp_path / "model", ORIGIN, SETTINGS)
    assert manifest.adapter == "" and manifest.tasks == ("summary",)
    assert manifest.chat_prompt_version == CHAT_PROMPT_VERSION


def test_weights_that_do_not_fit_float16_are_not_merged(trained: Path, tmp_path: Path) -> None:
    base = chat_base(tmp_path / "base")
    weights = load_file(base / "model.safetensors")
    weights["lm_head.weight"][0, 0] = 1e5
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match="use --dtype bfloat16"):
        merge.merge(base, trained / "adapter", tmp_path / "merged", threads=1)


def test_a_k_quant_names_what_it_stored_instead(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = export_chat(ChatSource(trained / "base"), tmp_path / "model", ORIGIN, ChatExport(["Q4_K_M"], threads=1))
    assert (tmp_path / "model" / manifest.base).is_file()
    said = capsys.readouterr().err
    assert "no multiple of 256" in said and "matrices are stored as" in said
