"""A checkpoint as GGUF with what belongs to it: the command ``kexpert-train export``.

    NAME-Q8_0.gguf, NAME-Q4_K_M.gguf, …    weights and tokenizer; llama.cpp needs nothing else
    model.json                             which of them is served, what it goes with, where it comes from
    README.md                              the same for people: a model card

Eight bits and more are written by the ``gguf`` package; K-quants are made of the float file by llama.cpp itself.
"""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType, TokenType
from gguf.quants import quantize
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from kexpert.prompt.fim import PROMPT_VERSION, Marker
from kexpert.prompt.manifest import FILE_NAME as MANIFEST
from kexpert.prompt.manifest import Manifest, dump_manifest
from kexpert_trainer.data import tokenizer as tokenizers
from kexpert_trainer.data.shards import read_corpus
from kexpert_trainer.models import llama
from kexpert_trainer.models.sizes import HEAD_SIZE, Shape

#: Kinds that are written here, and what their file type is called in GGUF.
_WRITTEN = {
    "F32": (GGMLQuantizationType.F32, LlamaFileType.ALL_F32),
    "F16": (GGMLQuantizationType.F16, LlamaFileType.MOSTLY_F16),
    "Q8_0": (GGMLQuantizationType.Q8_0, LlamaFileType.MOSTLY_Q8_0),
}
#: The unit of a K-quant: rows of a matrix are divided into blocks of so many weights.
_BLOCK = 256

_TENSORS = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip

_FIGURES = {
    "plain": "held_out_bits_per_byte_left_to_right", "filled": "held_out_bits_per_byte_behind_fim_middle",
}  # fmt: skip

#: Of a long list the card shows the beginning.
_MOST_SHOWN = 8

#: (float GGUF, result, kind of quantization): kexpert.model.engines.llama_cpp_engine's
Quantizer = Callable[[Path, Path, str], None]


@dataclass(frozen=True, slots=True)
class Origin:
    """What a model card says that the weights do not."""

    name: str
    provenance: str  # one sentence: by what, when, for how long
    licence: str
    data: Mapping[str, Any]
    figures: Mapping[str, Any]  # each with its unit in its name


def export(checkpoint: Path, folder: Path, origin: Origin, kinds: Sequence[str], quantizer: Quantizer) -> Manifest:
    """Write a model folder. The first of ``kinds`` is the one that ``model.json`` names."""
    shape = llama.read_shape(checkpoint)
    weights = load_file(checkpoint / llama.WEIGHTS)
    tokenizer = tokenizers.load(checkpoint / tokenizers.FILE_NAME)
    folder.mkdir(parents=True, exist_ok=True)
    names = {kind: f"{origin.name}-{kind}.gguf" for kind in kinds}
    for kind, name in names.items():
        if kind in _WRITTEN:
            write_gguf(folder / name, shape, weights, tokenizer, origin, kind)
        elif shape.width % _BLOCK or shape.hidden % _BLOCK:
            raise ValueError(f"{kind} needs rows of a multiple of {_BLOCK}; these are {shape.width} and {shape.hidden}")
        else:
            with tempfile.TemporaryDirectory(dir=folder) as work:
                whole = Path(work) / "whole.gguf"
                write_gguf(whole, shape, weights, tokenizer, origin, "F32")
                quantizer(whole, folder / name, kind)
    served = folder / names[kinds[0]]
    manifest = Manifest(
        name=origin.name,
        base=served.name,
        base_sha256=hashlib.sha256(served.read_bytes()).hexdigest(),
        prompt_version=PROMPT_VERSION,
        tokenizer=tokenizers.identity(tokenizer),
        context=shape.sequence,
        licence=origin.licence,
        provenance=origin.provenance,
        data=origin.data,
        figures=origin.figures,
    )
    (folder / MANIFEST).write_text(dump_manifest(manifest))
    parameters = sum(tensor.size for tensor in weights.values())
    sizes = {name: (folder / name).stat().st_size for name in names.values()}
    (folder / "README.md").write_text(card(manifest, shape, parameters, sizes))
    return manifest


def origin_of(
    checkpoint: Path, corpus: Path, name: str, provenance: str, measured: Mapping[str, Any] | None = None
) -> Origin:
    """What a run and its corpus say of a checkpoint, and what was ``measured`` of it since."""
    data = read_corpus(corpus)
    state = json.loads((checkpoint / "progress.json").read_text())
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


def write_gguf(
    path: Path, shape: Shape, weights: Mapping[str, NDArray[Any]], tokenizer: Tokenizer, origin: Origin, kind: str
) -> None:
    """Write a Llama with its tokenizer. The head is tied, so there is no ``output.weight``."""
    stored, file_type = _WRITTEN[kind]
    writer = GGUFWriter(path, "llama")
    writer.add_name(origin.name)
    writer.add_license(origin.licence)
    writer.add_description(origin.provenance)
    writer.add_file_type(file_type)
    writer.add_quantization_version(2)
    writer.add_context_length(shape.sequence)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_rope_dimension_count(HEAD_SIZE)
    writer.add_rope_freq_base(shape.theta)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    writer.add_vocab_size(shape.vocabulary)
    _add_tokenizer(writer, tokenizer)
    for name, tensor in weights.items():
        if name.endswith("q_proj.weight"):
            tensor = neighbours(tensor, shape.heads)
        elif name.endswith("k_proj.weight"):
            tensor = neighbours(tensor, shape.kv_heads)
        if tensor.ndim == 1:
            writer.add_tensor(tensor_name(name), tensor.astype(np.float32))
        else:
            writer.add_tensor(tensor_name(name), quantize(tensor.astype(np.float32), stored), raw_dtype=stored)
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


def tensor_name(name: str) -> str:
    """transformers' name of a tensor -> GGUF's."""
    if name == "model.embed_tokens.weight":
        return "token_embd.weight"
    if name == "model.norm.weight":
        return "output_norm.weight"
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{_TENSORS[rest.removesuffix('.weight')]}.weight"


def neighbours(rows: NDArray[Any], heads: int) -> NDArray[Any]:
    """Rows of a head with the two halves that rotate together side by side, as llama.cpp's ``llama`` has them."""
    return rows.reshape(heads, 2, -1, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)


def card(manifest: Manifest, shape: Shape, parameters: int, sizes: Mapping[str, int]) -> str:
    """The model card."""
    files = "\n".join(f"| `{name}` | {size / 1e6:.1f} MB |" for name, size in sizes.items())
    tables = {"Trained on": manifest.data, "Measured": manifest.figures}
    described = "\n".join(f"## {title}\n\n{_table(values)}\n" for title, values in tables.items())
    return f"""# {manifest.name}

A language model of Linux kernel C that fills in what is missing at the cursor. {manifest.provenance}

| | |
|---|---|
| architecture | Llama: {shape.layers} layers, {shape.width} wide, {shape.hidden} in the MLP, tied head |
| attention | {shape.heads} heads of {HEAD_SIZE}, {shape.kv_heads} of keys and values |
| parameters | {parameters:,} |
| vocabulary | {shape.vocabulary:,}, byte-level BPE, pre-tokenizer of Qwen2 |
| context | {shape.sequence} tokens |
| prompt | version {manifest.prompt_version}, {manifest.order.upper()} (`kexpert/prompt/fim.py`) |
| licence | {manifest.licence} |

| file | size |
|---|---|
{files}

{described}
It knows the kernel of its training data and nothing else, writes what is likely and not what is right, and may
repeat its training data word for word.
"""


def _table(values: Mapping[str, Any]) -> str:
    rows = "\n".join(f"| {name.replace('_', ' ')} | {_cell(value)} |" for name, value in values.items())
    return f"| | |\n|---|---|\n{rows}"


def _cell(value: Any) -> str:
    if isinstance(value, Mapping):
        shown = [f"{name}: {_cell(each)}" for name, each in list(value.items())[:_MOST_SHOWN]]
        others = len(value) - len(shown)
        return ", ".join(shown) + (f" and {others} others, in `model.json`" if others else "")
    return f"{value:,}" if isinstance(value, int) else str(value)
