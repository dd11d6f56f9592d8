"""Exports a checkpoint as GGUF with its manifest and model card: the command ``kexpert-train export``.

    NAME-Q8_0.gguf, NAME-Q4_K_M.gguf, …    weights and tokenizer; llama.cpp needs nothing else
    model.json                             which of them is served, what it needs, where it comes from
    README.md                              the same for people: a model card

Kinds of eight bits and more are written by the ``gguf`` package. llama.cpp makes K-quants from a float file; this is
the only module of the trainer that uses the server's binding of it.
"""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType, TokenType
from gguf.quants import quantize as quantize_rows
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from kexpert.prompt.fim import PROMPT_VERSION, Marker
from kexpert.prompt.manifest import FILE_NAME as MANIFEST
from kexpert.prompt.manifest import Manifest, dump_manifest
from kexpert_trainer.data import tokenizer as tokenizers
from kexpert_trainer.data.shards import read_manifest
from kexpert_trainer.errors import UserError
from kexpert_trainer.models import llama
from kexpert_trainer.models.sizes import HEAD_SIZE, ModelSize
from kexpert_trainer.release.gguf_layout import interleave, module_name
from kexpert_trainer.training.checkpoint import STATE

#: Kinds that the ``gguf`` package writes, with their types of tensors and files.
_WRITTEN = {
    "F32": (GGMLQuantizationType.F32, LlamaFileType.ALL_F32),
    "F16": (GGMLQuantizationType.F16, LlamaFileType.MOSTLY_F16),
    "Q8_0": (GGMLQuantizationType.Q8_0, LlamaFileType.MOSTLY_Q8_0),
}
#: A K-quant divides the rows of a matrix into blocks of this many weights.
_K_QUANT_BLOCK = 256

#: Held-out loss in ``progress.json`` -> figure in the manifest.
_FIGURES = {
    "plain": "held_out_bits_per_byte_left_to_right", "filled": "held_out_bits_per_byte_behind_fim_middle",
}  # fmt: skip

#: Entries of a long list that the card shows.
_MAX_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Origin:
    """Description of a model for its manifest and card."""

    name: str
    provenance: str  # one sentence: what trained it, when, for how long
    licence: str
    data: Mapping[str, Any]
    figures: Mapping[str, Any]  # each with its unit in its name


def export(checkpoint: Path, folder: Path, origin: Origin, kinds: Sequence[str]) -> Manifest:
    """Write a model folder. ``model.json`` names the first of ``kinds``. Raises UserError for a kind that fails."""
    size = llama.read_size(checkpoint)
    for kind in kinds:
        if kind not in _WRITTEN and (size.width % _K_QUANT_BLOCK or size.mlp_width % _K_QUANT_BLOCK):
            raise UserError(
                f"{kind} needs rows of a multiple of {_K_QUANT_BLOCK}, these are {size.width} and {size.mlp_width}; "
                "use --kinds Q8_0"
            )
    weights = load_file(checkpoint / llama.WEIGHTS)
    tokenizer = tokenizers.load(checkpoint / tokenizers.FILE_NAME)
    folder.mkdir(parents=True, exist_ok=True)
    names = {kind: f"{origin.name}-{kind}.gguf" for kind in kinds}
    for kind, name in names.items():
        if kind in _WRITTEN:
            write_gguf(folder / name, size, weights, tokenizer, origin, kind)
            continue
        with tempfile.TemporaryDirectory(dir=folder) as work:
            float_file = Path(work) / "float.gguf"
            write_gguf(float_file, size, weights, tokenizer, origin, "F32")
            quantize_by_llama_cpp(float_file, folder / name, kind)
    served = folder / names[kinds[0]]
    manifest = Manifest(
        name=origin.name,
        base=served.name,
        base_sha256=hashlib.sha256(served.read_bytes()).hexdigest(),
        prompt_version=PROMPT_VERSION,
        tokenizer=tokenizers.identity(tokenizer),
        context=size.sequence,
        licence=origin.licence,
        provenance=origin.provenance,
        data=origin.data,
        figures=origin.figures,
    )
    (folder / MANIFEST).write_text(dump_manifest(manifest))
    parameters = sum(tensor.size for tensor in weights.values())
    file_sizes = {name: (folder / name).stat().st_size for name in names.values()}
    (folder / "README.md").write_text(card(manifest, size, parameters, file_sizes))
    return manifest


def origin_of(
    checkpoint: Path, corpus: Path, name: str, provenance: str, measured: Mapping[str, Any] | None = None
) -> Origin:
    """The origin of a checkpoint, from its run, its corpus, and what was ``measured`` since."""
    data = read_manifest(corpus)
    if not (checkpoint / STATE).is_file():
        raise UserError(f"{checkpoint}: no checkpoint (it lacks {STATE}); give the folder `last` of a run")
    state = json.loads((checkpoint / STATE).read_text())
    progress, figures = state["progress"], state["figures"]
    return Origin(
        name=name,
        provenance=provenance,
        licence="GPL-2.0-or-later",
        data={
            "tree": data.provenance["tree"],
            "files": data.provenance["files"],
            "corpus_tokens": data.tokens["train"],
            "corpus_bytes": data.bytes["train"],
            "licences_of_files": data.provenance["licences"],
        },
        figures={
            "tokens_seen": progress["tokens"],
            "training_minutes": round(progress["seconds"] / 60, 1),
            **{_FIGURES[name]: round(value, 4) for name, value in figures.items() if math.isfinite(value)},
            **(measured or {}),
        },
    )


def quantize_by_llama_cpp(source: Path, target: Path, kind: str) -> None:
    """Write a float GGUF as another kind. Raises UserError for a kind that llama.cpp cannot write."""
    from kexpert.model.engines.llama_cpp_engine import quantize

    try:
        quantize(source, target, kind)
    except (ValueError, RuntimeError) as problem:
        raise UserError(f"{target}: {problem}; kinds that work are Q8_0, Q6_K, Q4_K_M") from None


def read_figures(file: Path) -> dict[str, Any]:
    """Read a JSON object of measurements. Raises UserError if the file holds something else."""
    try:
        found = json.loads(file.read_text())
    except ValueError as problem:
        raise UserError(f"{file}: not JSON ({problem}); give what an evaluation prints with --json") from None
    if not isinstance(found, dict):
        raise UserError(f"{file}: not a JSON object; give what an evaluation prints with --json")
    return found


def write_gguf(
    path: Path, size: ModelSize, weights: Mapping[str, NDArray[Any]], tokenizer: Tokenizer, origin: Origin, kind: str
) -> None:
    """Write a Llama with its tokenizer; the head is tied, so there is no ``output.weight``."""
    stored, file_type = _WRITTEN[kind]
    writer = GGUFWriter(path, "llama")
    writer.add_name(origin.name)
    writer.add_license(origin.licence)
    writer.add_description(origin.provenance)
    writer.add_file_type(file_type)
    writer.add_quantization_version(2)
    writer.add_context_length(size.sequence)
    writer.add_embedding_length(size.width)
    writer.add_block_count(size.layers)
    writer.add_feed_forward_length(size.mlp_width)
    writer.add_head_count(size.heads)
    writer.add_head_count_kv(size.kv_heads)
    writer.add_rope_dimension_count(HEAD_SIZE)
    writer.add_rope_freq_base(size.rope_theta)
    writer.add_layer_norm_rms_eps(size.rms_epsilon)
    writer.add_vocab_size(size.vocabulary)
    _add_tokenizer(writer, tokenizer)
    for name, tensor in weights.items():
        module = name.removesuffix(".weight")
        if module.endswith("q_proj"):
            tensor = interleave(tensor, size.heads)
        elif module.endswith("k_proj"):
            tensor = interleave(tensor, size.kv_heads)
        stored_name = f"{module_name(module)}.weight"
        if tensor.ndim == 1:
            writer.add_tensor(stored_name, tensor.astype(np.float32))
        else:
            writer.add_tensor(stored_name, quantize_rows(tensor.astype(np.float32), stored), raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokenizer(writer: GGUFWriter, tokenizer: Tokenizer) -> None:
    tokens = tokenizers.vocabulary(tokenizer)
    ids = tokenizers.markers(tokenizer)
    markers = set(ids.values())
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.CONTROL if at in markers else TokenType.NORMAL for at in range(len(tokens))])
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_add_bos_token(False)
    writer.add_bos_token_id(ids[Marker.END])
    writer.add_eos_token_id(ids[Marker.END])
    writer.add_pad_token_id(ids[Marker.FIM_PAD])
    for name, marker in (
        ("fim_pre", Marker.FIM_PREFIX), ("fim_suf", Marker.FIM_SUFFIX), ("fim_mid", Marker.FIM_MIDDLE),
        ("fim_pad", Marker.FIM_PAD), ("fim_rep", Marker.REPO_NAME), ("fim_sep", Marker.FILE_SEP),
    ):  # fmt: skip
        writer.add_uint32(f"tokenizer.ggml.{name}_token_id", ids[marker])


def card(manifest: Manifest, size: ModelSize, parameters: int, file_sizes: Mapping[str, int]) -> str:
    """The model card, in Markdown."""
    files = "\n".join(f"| `{name}` | {size_bytes / 1e6:.1f} MB |" for name, size_bytes in file_sizes.items())
    tables = {"Trained on": manifest.data, "Measured": manifest.figures}
    described = "\n".join(f"## {title}\n\n{table(values)}\n" for title, values in tables.items())
    return f"""# {manifest.name}

A language model of Linux kernel C that fills in what is missing at the cursor. {manifest.provenance}

| | |
|---|---|
| architecture | Llama: {size.layers} layers, {size.width} wide, {size.mlp_width} in the MLP, tied head |
| attention | {size.heads} heads of {HEAD_SIZE}, {size.kv_heads} of keys and values |
| parameters | {parameters:,} |
| vocabulary | {size.vocabulary:,}, byte-level BPE, pre-tokenizer of Qwen2 |
| context | {size.sequence} tokens |
| prompt | version {manifest.prompt_version}, {manifest.order.upper()} (`kexpert/prompt/fim.py`) |
| licence | {manifest.licence} |

| file | size |
|---|---|
{files}

{described}
It knows the kernel of its training data and nothing else, writes what is likely and not what is right, and may
repeat its training data word for word.
"""


def table(values: Mapping[str, Any]) -> str:
    """A Markdown table of names and values."""
    rows = "\n".join(f"| {name.replace('_', ' ')} | {_cell(value)} |" for name, value in values.items())
    return f"| | |\n|---|---|\n{rows}"


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        shown = [f"{name}: {_cell(each)}" for name, each in list(value.items())[:_MAX_SHOWN]]
        others = len(value) - len(shown)
        return ", ".join(shown) + (f" and {others} others, in `model.json`" if others else "")
    return f"{value:,}" if isinstance(value, int) else str(value)
