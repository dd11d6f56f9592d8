"""A base model as a plain Hugging Face folder that fine-tuning starts from.

It comes from a GGUF (SmolLM2 is fetched by the code that serves users; others are the user's own) or from a folder of
the user's. The result is checked against the preset, and holds nothing quantised: config, weights in safetensors,
tokenizer with its chat template, and ``base.json`` with its origin.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from gguf import GGUFReader
from safetensors import SafetensorError, safe_open
from tokenizers.pre_tokenizers import ByteLevel, Digits
from tokenizers.pre_tokenizers import Sequence as PreTokenizers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from kexpert.model.base_models import (
    CATALOGUE,
    BaseModel,
    FetchError,
    OnBytes,
    fetch,
    has_hash,
    hash_file,
    ignore_bytes,
    model_folder,
)
from kexpert_trainer.errors import UserError
from kexpert_trainer.models.presets import Preset

DESCRIPTION = "base.json"
DType = Literal["float32", "bfloat16"]
#: Weights up to so many are written in float32: they are trained on CPUs too.
_MAX_FLOAT32_PARAMETERS = 1_000_000_000
_OFFLINE: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
#: What is taken from a folder. Pickled weights and code are not.
_TAKEN = ("*.json", "*.safetensors", "*.jinja", "*.model", "merges.txt")
#: Families whose GGUF transformers reads (5.23).
_GGUF_FAMILIES = ("llama", "qwen2")
_QUANTISED = "quantization_config"
#: Exceptions of transformers and tokenizers for files that are damaged, of another kind or for another model.
_UNUSABLE = (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, SafetensorError)


@dataclass(frozen=True, slots=True)
class Base:
    """``base.json``: where a base comes from."""

    preset: str
    hub: str
    family: str
    licence: str
    context: int
    source: str  # the wheel, GGUF or folder
    source_sha256: str  # of a GGUF; "" for a folder
    dtype: str
    transformers: str  # its version


def prepare_base(
    preset: Preset, out: Path, source: Path | None = None, dtype: DType | None = None, on_bytes: OnBytes = ignore_bytes
) -> Base:
    """Write the base to the folder ``out``, which appears whole or not at all. An ``out`` that is this base is kept.

    ``source``: a GGUF or a Hugging Face folder; None for a base that can be fetched. Raises UserError.
    """
    if out.exists():
        return _kept(out, preset)
    dtype = dtype or ("float32" if preset.shape.parameters <= _MAX_FLOAT32_PARAMETERS else "bfloat16")
    out.absolute().parent.mkdir(parents=True, exist_ok=True)
    with _part_of(out) as part:
        if source is None:
            known = CATALOGUE.get(preset.name)
            if known is None:
                raise UserError(
                    f"{preset.name}: not fetched by kexpert; get {preset.hub} and give its folder or GGUF with --from"
                )
            with _fetched(known, part, on_bytes) as gguf:
                _from_gguf(preset, gguf, part, dtype)
            origin, sha256 = f"{known.distribution} {known.version}, {known.gguf}", known.gguf_sha256
        elif source.is_dir():
            dtype = _from_folder(preset, source, part)
            origin, sha256 = str(source.absolute()), ""
        elif source.is_file():
            sha256 = hash_file(source, on_bytes)
            _from_gguf(preset, source, part, dtype)
            origin = str(source.absolute())
        else:
            raise UserError(f"{source}: no such file or folder")
        base = Base(
            preset.name, preset.hub, preset.family, preset.licence, preset.context, origin, sha256, dtype,
            transformers.__version__,
        )  # fmt: skip
        (part / DESCRIPTION).write_text(json.dumps(asdict(base), indent=2) + "\n")
        part.rename(out)
    return base


def read_base(folder: Path) -> Base:
    """Read ``base.json``. Raises UserError."""
    try:
        found = json.loads((folder / DESCRIPTION).read_text())
        return Base(**{name: found[name] for name in Base.__dataclass_fields__})
    except (OSError, ValueError, LookupError, TypeError):
        raise UserError(f"{folder}: no base; make one with `kexpert-train base PRESET --out {folder}`") from None


def _kept(out: Path, preset: Preset) -> Base:
    base = read_base(out)
    if base.preset != preset.name:
        raise UserError(f"{out}: holds {base.preset}, not {preset.name}; give another --out or delete it")
    return base


@contextmanager
def _part_of(out: Path) -> Iterator[Path]:
    """A temporary folder beside ``out``; renamed by the block, or deleted."""
    part = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.absolute().parent))
    part.chmod(0o755)
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _fetched(base: BaseModel, work: Path, on_bytes: OnBytes) -> Iterator[Path]:
    """The GGUF that ``kexpert models add`` has installed, or one that is fetched for this block."""
    installed = model_folder(base.name) / base.file_name
    if has_hash(installed, base.gguf_sha256):
        yield installed
        return
    folder = work / "fetched"
    try:
        yield fetch(base, folder, on_bytes)
    except FetchError as problem:
        raise UserError(str(problem)) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# -- from a GGUF --------------------------------------------------------------------------------


def _from_gguf(preset: Preset, gguf: Path, out: Path, dtype: DType) -> None:
    if preset.family not in _GGUF_FAMILIES:
        raise UserError(f"{gguf}: transformers reads no {preset.family} GGUF; give a Hugging Face folder: {preset.hub}")
    options = _OFFLINE | {"gguf_file": gguf.name}
    with _in_one_line(gguf):
        config = AutoConfig.from_pretrained(gguf.parent, **options)
        _check_shape(preset, config, gguf)
        tokenizer: Any = AutoTokenizer.from_pretrained(gguf.parent, **options)
        if not tokenizer.chat_template:
            raise UserError(f"{gguf}: has no chat template; an instruction-tuned model is wanted")
        if _pre_tokenizer_of(gguf) == "smollm":  # transformers leaves its single digits out
            parts = [Digits(individual_digits=True), ByteLevel(add_prefix_space=False)]
            tokenizer.backend_tokenizer.pre_tokenizer = PreTokenizers(parts)
        model: Any = AutoModelForCausalLM.from_pretrained(gguf.parent, dtype=getattr(torch, dtype), **options)
        dense = _dense_copy(model)
        dense.save_pretrained(out)
        tokenizer.save_pretrained(out)
    _write_plain_config(out, dtype)


def _pre_tokenizer_of(gguf: Path) -> str:
    """The name that llama.cpp has for the pre-tokenizer of a GGUF; "" if the file has none."""
    field = GGUFReader(gguf).fields.get("tokenizer.ggml.pre")
    return str(field.contents()) if field is not None else ""


def _dense_copy(model: Any) -> Any:
    """A fresh model with the weights of one that came from a GGUF, which transformers refuses to save.

    The weights are shared, not copied.
    """
    with torch.device("meta"):
        fresh = type(model)(model.config)
    fresh.load_state_dict(model.state_dict(), assign=True)
    fresh.tie_weights()
    for name, tensor in fresh.state_dict().items():
        if not tensor.is_floating_point():
            raise ValueError(f"{name} is still quantised")
    return fresh


def _write_plain_config(folder: Path, dtype: str) -> None:
    """Take out of ``config.json`` what makes transformers load the weights as packed ones."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config.pop(_QUANTISED, None)
    path.write_text(json.dumps(config | {"dtype": dtype}, indent=2) + "\n")


# -- from a folder ------------------------------------------------------------------------------


def _from_folder(preset: Preset, source: Path, out: Path) -> DType:
    """Take a folder's files, the weights by hard link where that is possible. Returns the type of the weights."""
    try:
        found = json.loads((source / "config.json").read_text())
    except (OSError, ValueError) as problem:
        raise UserError(f"{source}: no Hugging Face model: config.json: {problem}") from None
    if found.get(_QUANTISED):
        method = found[_QUANTISED].get("quant_method", "?") if isinstance(found[_QUANTISED], dict) else "?"
        raise UserError(f"{source}: its weights are quantised ({method}); get {preset.hub} itself")
    with _in_one_line(source):
        config = AutoConfig.from_pretrained(source, **_OFFLINE)
        _check_shape(preset, config, source)
        dtype = _check_weights(source, config)
        tokenizer: Any = AutoTokenizer.from_pretrained(source, **_OFFLINE)
        if not tokenizer.chat_template:
            raise UserError(f"{source}: its tokenizer has no chat template; an instruction-tuned model is wanted")
    for file in sorted({file for pattern in _TAKEN for file in source.glob(pattern)}):
        if file.suffix == ".safetensors":
            _link_or_copy(file.resolve(), out / file.name)
        else:
            shutil.copyfile(file, out / file.name)
    return dtype


def _check_weights(folder: Path, config: Any) -> DType:
    """Compare names and shapes of all weights with the model that ``config`` describes, without loading any.

    Raises ValueError. Returns the type of the weights.
    """
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(config, trust_remote_code=False)  # type: ignore[no-untyped-call]
    wanted = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    tied = {"lm_head.weight"} if config.tie_word_embeddings else set()
    there: dict[str, list[int]] = {}
    types: set[str] = set()
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as weights:
            for name in weights.keys():  # noqa: SIM118
                part = weights.get_slice(name)
                there[name] = list(part.get_shape())
                types.add(part.get_dtype())
    if missing := sorted(wanted.keys() - there.keys() - tied):
        raise ValueError(f"{len(missing)} of its weights are not in its *.safetensors, {missing[0]} for one")
    if unlike := [name for name, shape in wanted.items() if there.get(name, shape) != shape]:
        raise ValueError(f"{unlike[0]} has shape {there[unlike[0]]}, {wanted[unlike[0]]} is wanted")
    if types == {"F32"}:
        return "float32"
    if types <= {"BF16", "F16", "F32"}:
        return "bfloat16"
    raise ValueError(f"its weights have the types {', '.join(sorted(types))}; BF16, F16 and F32 can be trained on")


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


# -- both ---------------------------------------------------------------------------------------


def _check_shape(preset: Preset, config: Any, source: Path) -> None:
    """Raise UserError if a model is not of the preset's family and shape."""
    shape = preset.shape
    wanted: Mapping[str, Any] = {
        "model_type": preset.family, "num_hidden_layers": shape.layers, "hidden_size": shape.width,
        "intermediate_size": shape.mlp_width, "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
    }  # fmt: skip
    for name, value in wanted.items():
        found = getattr(config, name, None)
        if found != value:
            raise UserError(f"{source}: is not {preset.name}: its {name} is {found}, not {value}")


@contextmanager
def _in_one_line(source: Path) -> Iterator[None]:
    """Turn what the libraries raise into a UserError of one line."""
    try:
        yield
    except UserError:
        raise
    except _UNUSABLE as problem:
        text = " ".join(str(problem).split())[:300] or type(problem).__name__
        raise UserError(f"{source}: cannot be used as a base: {text}") from None


