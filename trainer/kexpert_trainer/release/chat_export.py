"""Exports a chat model as GGUF: a base, a merged model, or a LoRA beside its base. ``kexpert-train export --base``.

    NAME-Q8_0.gguf, …          base or merged model
    NAME-lora-F16.gguf         the adapter, if there is one
    model.json, Modelfile      for kexpert, for Ollama
    README.md                  the model card

Before anything is kept, twenty prompts are answered through torch, through llama.cpp in F16 and as served. A
difference at F16 within the first tokens means a wrong file, and nothing is exported.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from gguf import GGUFReader

from kexpert.prompt.chat import CHAT_PROMPT_VERSION, Task
from kexpert.prompt.manifest import FILE_NAME as MANIFEST
from kexpert.prompt.manifest import Manifest, dump_manifest, tokenizer_hash
from kexpert_trainer.data.chat_batches import ChatEncoder
from kexpert_trainer.errors import UserError
from kexpert_trainer.progress import progress, say
from kexpert_trainer.release import chat_card, gguf_tokenizer
from kexpert_trainer.release.agreement import (
    Answer,
    answers_by_gguf,
    answers_by_torch,
    compare,
    gives_same_chat,
    load_reference,
    require_same_tokens,
)
from kexpert_trainer.release.check_prompts import check_prompts
from kexpert_trainer.release.export import Origin, quantize_by_llama_cpp
from kexpert_trainer.release.gguf_layout import read_config
from kexpert_trainer.release.hf_gguf import WRITTEN, Description, write_hf_gguf
from kexpert_trainer.release.lora_gguf import write_lora_gguf
from kexpert_trainer.release.merge import MERGED
from kexpert_trainer.training.sft import chat_encoder

MODELFILE = "Modelfile"
_LICENCE = "LICENSE"
_PROGRESS = "progress.json"  # of an adapter's run
#: A context that any of these models has and that takes little memory.
_DEFAULT_CONTEXT = 2048


@dataclass(frozen=True, slots=True)
class ChatSource:
    """What is exported. Without ``adapter``, ``base`` alone, which may be a merged model."""

    base: Path  # Hugging Face folder
    adapter: Path | None = None  # PEFT folder
    base_gguf: Path | None = None  # the GGUF that is served as the base; None: written from ``base``


@dataclass(frozen=True, slots=True)
class ChatExport:
    """The settings of an export. ``kinds``: of the base, the first is served; ``lora_kind``: F32, F16 or Q8_0."""

    kinds: Sequence[str] = ("Q8_0",)
    lora_kind: str = "F16"
    context: int = _DEFAULT_CONTEXT
    threads: int = 0


def export_chat(source: ChatSource, folder: Path, origin: Origin, settings: ChatExport) -> Manifest:
    """Write a model folder and prove that it answers as the trained model does. Raises UserError."""
    config = read_config(source.base)
    encoder = chat_encoder(source.base)
    prompts = check_prompts()
    template = gguf_tokenizer.chat_template(source.base)
    if not gives_same_chat(template, encoder.frame, prompts):
        template = encoder.frame.jinja
        say(f"{source.base}: its chat template is not what training used; the export gets {encoder.frame.name} alone")
    version, tasks = _training_of(source)
    if version not in (0, CHAT_PROMPT_VERSION):
        trained = source.adapter or source.base
        raise UserError(f"{trained}: of chat prompt version {version}, not {CHAT_PROMPT_VERSION}; train it again")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
        work = Path(temporary)
        description = Description(origin.name, origin.licence, origin.provenance)
        float_file = work / "check-F16.gguf"
        _write(source.base, float_file, "F16", description, template)
        require_same_tokens(float_file, encoder, prompts)
        lora = None
        if source.adapter is not None:
            lora = work / f"{origin.name}-lora-{settings.lora_kind}.gguf"
            write_lora_gguf(source.adapter, source.base, lora, settings.lora_kind, origin.name)
        served = _write_bases(source, work, origin, settings, description, float_file, template)
        chats = [encoder.chat(messages) for messages in prompts]
        figures = prove(source, chats, encoder.end, float_file, lora, served, settings)
        float_file.unlink()
        tokenizer = gguf_tokenizer.load(source.base)
        manifest = Manifest(
            name=origin.name,
            base=served.name,
            base_sha256=_sha256(served),
            adapter=lora.name if lora else "",
            adapter_base_sha256=_sha256(served) if lora else "",
            prompt_version=0,
            tokenizer=tokenizer_hash(gguf_tokenizer.tokens_in_order(tokenizer, int(config["vocab_size"]))),
            context=int(config["max_position_embeddings"]),
            licence=origin.licence,
            provenance=origin.provenance,
            data=origin.data,
            figures={**origin.figures, **figures},
            abilities=("chat",),
            chat_prompt_version=version,
            tasks=tasks,
        )
        (work / MANIFEST).write_text(dump_manifest(manifest))
        (work / MODELFILE).write_text(modelfile(source.base, encoder, manifest, settings.context))
        if (source.base / _LICENCE).is_file():
            shutil.copyfile(source.base / _LICENCE, work / f"{_LICENCE}.base")
        (work / "README.md").write_text(chat_card.card(manifest, config, _sizes(work)))
        _move(work, folder)
    return manifest


def prove(
    source: ChatSource, prompts: Sequence[Sequence[int]], end: int, float_file: Path, lora: Path | None, served: Path,
    settings: ChatExport,
) -> dict[str, Any]:  # fmt: skip
    """Compare the answers of torch, of GGUF in F16 and of the served file. Raises UserError for an early difference."""
    expected = _reference(source, prompts, end, settings.threads)
    figures: dict[str, Any] = {}
    say(f"answering {len(prompts)} prompts by llama.cpp in F16 and as served")
    for name, file in (("f16", float_file), ("served", served)):
        agreement = compare(expected, answers_by_gguf(file, lora, expected, settings.threads))
        figures |= agreement.figures(f"check_{name}")
        if name == "f16" and agreement.early:
            shown = ", ".join(str(number + 1) for number in agreement.early)
            raise UserError(
                f"{source.adapter or source.base}: at F16, llama.cpp answers prompts {shown} of {len(prompts)} "
                "otherwise than torch from the first tokens on; nothing was exported"
            )
    return figures


def _reference(source: ChatSource, prompts: Sequence[Sequence[int]], end: int, threads: int) -> list[Answer]:
    if threads:
        torch.set_num_threads(threads)
    model = load_reference(source.base, source.adapter)
    with progress("answers by torch", len(prompts)) as advance:
        return answers_by_torch(model, prompts, gguf_tokenizer.answer_ends(source.base, end), advance)


def modelfile(base: Path, encoder: ChatEncoder, manifest: Manifest, context: int) -> str:
    """What Ollama needs: files, template, every stop, context."""
    tokenizer, frame = gguf_tokenizer.load(base), encoder.frame
    ends = gguf_tokenizer.answer_ends(base, encoder.end)
    stops = dict.fromkeys([frame.end, frame.start, *(str(tokenizer.id_to_token(at)) for at in ends)])
    lines = [f"FROM ./{manifest.base}"]
    if manifest.adapter:
        lines.append(f"ADAPTER ./{manifest.adapter}")
    lines += [
        f'TEMPLATE """{frame.ollama}"""',
        f'SYSTEM """{check_prompts()[0][0].text}"""',
        *(f'PARAMETER stop "{stop}"' for stop in stops),
        f"PARAMETER num_ctx {min(context, manifest.context)}",
        "PARAMETER temperature 0",
    ]
    return "\n".join(lines) + "\n"


def _write(base: Path, target: Path, kind: str, description: Description, template: str) -> None:
    with progress(f"writing {kind}", 0) as advance:
        write_hf_gguf(base, target, kind, description, lambda _, total: advance(total=total), template)


def _write_bases(
    source: ChatSource, work: Path, origin: Origin, settings: ChatExport, description: Description, float_file: Path,
    template: str,
) -> Path:  # fmt: skip
    """Write every kind; returns the file that is served."""
    if source.base_gguf is not None:
        copy = work / source.base_gguf.name
        try:
            os.link(source.base_gguf, copy)
        except OSError:
            shutil.copyfile(source.base_gguf, copy)
        return copy
    made: list[Path] = []
    for kind in settings.kinds:
        target = work / f"{origin.name}-{kind}.gguf"
        if kind in WRITTEN:
            _write(source.base, target, kind, description, template)
        else:
            say(f"writing {kind} by llama.cpp")
            quantize_by_llama_cpp(float_file, target, kind)
            if instead := fallbacks(target, kind):
                say(f"{target.name}: rows of some matrices are no multiple of 256, so {instead}")
        made.append(target)
    return made[0]


def fallbacks(file: Path, kind: str) -> str:
    """What llama.cpp stored instead of a K-quant: "150 of 211 matrices are stored as Q5_0"; "" for nothing."""
    types = Counter(tensor.tensor_type.name for tensor in GGUFReader(file).tensors if len(tensor.shape) == 2)
    others = {name: count for name, count in types.items() if not name.endswith("_K")}
    if "_K" not in kind or not others:
        return ""
    total = sum(types.values())
    return ", ".join(f"{count} of {total} matrices are stored as {name}" for name, count in others.items())


def licence_of(base: Path) -> str:
    """The licence of a base that ``kexpert-train base`` made, or of a model merged from one; "" where unknown."""
    for folder in (base, _merged_from(base)):
        try:
            return str(json.loads((folder / "base.json").read_bytes())["licence"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return ""


def _merged_from(model: Path) -> Path:
    try:
        return Path(json.loads((model / MERGED).read_bytes())["base"])
    except (OSError, ValueError, KeyError, TypeError):
        return model


def _training_of(source: ChatSource) -> tuple[int, tuple[str, ...]]:
    """(chat prompt version, tasks) of the training; (0, ()) for a base of others."""
    if source.adapter is not None:
        file = source.adapter / _PROGRESS
    elif (source.base / MERGED).is_file():
        file = source.base / MERGED
    else:
        return 0, ()
    try:
        found = json.loads(file.read_bytes())
        mix = found["config"]["mix"]
        return int(found["chat_prompt_version"]), tuple(str(task) for task in Task if mix.get(task, 0) > 0)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{file}: does not say what the adapter was trained on; give `best` of a run of sft") from None


def _sizes(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_size for file in sorted(folder.glob("*.gguf"))}


def _move(work: Path, folder: Path) -> None:
    """Move all files, the manifest last: without it a folder is not loaded as ours."""
    folder.mkdir(exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    for file in sorted(work.iterdir(), key=lambda file: file.name == MANIFEST):
        os.replace(file, folder / file.name)


def _sha256(file: Path) -> str:
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()

