"""A Hugging Face model, or a GGUF that transformers can read, through torch: on an NVIDIA GPU with this project's
Triton attention, else with torch's own. The only importer of torch and its kin; runs in the worker process.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

from kexpert.abilities import Cancelled, Refused
from kexpert.model.decoding.token_healing import Logits, Vocabulary, bare, shared
from kexpert.model.engines.in_process_engine import MAX_CONTEXT, InProcessEngine, markers_among
from kexpert.prompt.manifest import Manifest, mismatch, tokenizer_hash
from kexpert_kernels.implementation import implementation

#: Tokens evaluated between two looks at whether anybody still waits, on each device.
_BATCH = {"cuda": 512, "cpu": 128}
_BLANK = "▁"  # how SentencePiece writes a blank
#: The name of a model on the hub.
_ON_HUB = re.compile(r"[\w.-]+/([\w.-]+)")
#: What the libraries raise over files that are damaged, of another kind or for another model.
_UNUSABLE = (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, SafetensorError)


class TorchEngine(InProcessEngine):
    """One model in memory with one sequence in its cache."""

    def __init__(self, path: Path, manifest: Manifest | None, adapter: Path | None, threads: int, context: int) -> None:
        torch.set_num_threads(threads)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        # Nothing is fetched, no code of the model's own is run, no pickle is read.
        where: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        folder, where = (path, where) if path.is_dir() else (path.parent, where | {"gguf_file": path.name})
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, **where)
            model, loaded = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=torch.bfloat16 if self._device == "cuda" else torch.float32,
                attn_implementation=self._attention(),
                output_loading_info=True,
                **(where if "gguf_file" in where else where | {"use_safetensors": True}),
            )
        except _UNUSABLE as problem:
            raise Refused(f"{path}: transformers cannot load it: {_one_line(problem)}") from None
        if missing := sorted(loaded["missing_keys"]):
            raise Refused(f"{path}: {len(missing)} of its weights are not there, {missing[0]} for one; fetch it anew")
        self._tokenizer.fill_token = None  # at which CodeLlama's divides a text
        texts = [str(self._tokenizer.convert_ids_to_tokens(at) or "") for at in range(len(self._tokenizer))]
        if manifest is not None and (reason := mismatch(manifest, tokenizer_hash(texts))):
            raise Refused(reason)
        self.markers = markers_among(texts, path)
        if adapter is not None:
            model = _adapted(model, adapter, path)
        try:
            self._model: Any = model.to(self._device).eval()
        except (RuntimeError, ValueError) as problem:  # out of memory, or in a form that cannot be moved
            raise Refused(f"{path}: cannot be put on {self._device}: {_one_line(problem)}") from None
        self._order = manifest.order if manifest else "psm"
        special = {*self._tokenizer.all_special_ids, *self.markers.ids.values()}
        special.update(at for at, added in self._tokenizer.added_tokens_decoder.items() if added.special)
        size = model.get_output_embeddings().weight.shape[0]
        read = _sentencepiece if _BLANK in texts else _byte_level
        pieces = [b"" if at in special else read(text) for at, text in enumerate(texts)]
        self.vocabulary = Vocabulary([*pieces, *[b""] * (size - len(pieces))][:size])
        self._encode = bare(self._tokens, self.vocabulary)
        trained = manifest.context if manifest else getattr(model.config, "max_position_embeddings", MAX_CONTEXT)
        self.context = min(context or trained, trained, MAX_CONTEXT)
        self._cached: list[int] = []
        self._cache = DynamicCache()

    def _attention(self) -> str:
        """The name of the attention to use; said once, to the log."""
        name = implementation(self._device)
        print(f"kexpert: attention on {self._device}: {name}", file=sys.stderr)
        return name

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, in which no marker is read."""
        return self._encode(text)

    def _tokens(self, text: str) -> list[int]:
        """The tokens of a text and of what the tokenizer adds to it."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        return ids

    # -- the cache ------------------------------------------------------------------------------

    def _evaluate(self, ids: Sequence[int], cancelled: Callable[[], bool]) -> Logits:
        """Logits behind ``ids``. What the cache holds of their beginning is not worked out again."""
        done = min(shared(self._cached, ids), len(ids) - 1)
        if done == 0:
            self._cache = DynamicCache()  # an empty one refuses to be cut
        elif done < len(self._cached):
            self._cache.crop(done - len(self._cached))
        del self._cached[done:]
        while True:
            if cancelled():
                raise Cancelled
            batch = ids[done : done + _BATCH[self._device]]
            logits = self._decode(batch)
            done += len(batch)
            if done == len(ids):
                return logits

    def _advance(self, token: int) -> Logits:
        return self._decode([token])

    @torch.inference_mode()
    def _decode(self, ids: Sequence[int]) -> Logits:
        """Logits behind tokens that follow what is in the cache."""
        start = len(self._cached)
        found = self._model(
            input_ids=torch.tensor([list(ids)], device=self._device),
            position_ids=torch.arange(start, start + len(ids), device=self._device)[None],
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self._cached += ids
        logits: Logits = found.logits[0, -1].float().cpu().numpy()
        return logits


def _adapted(model: Any, folder: Path, base: Path) -> Any:
    """The model with a PEFT adapter merged into it, of which every weight has its place and every place its weight."""
    from peft import PeftConfig, PeftModel

    if not (folder / "adapter_model.safetensors").is_file():
        raise Refused(f"{folder}: holds no adapter_model.safetensors")
    try:
        config = PeftConfig.from_pretrained(folder, local_files_only=True)
        if other := _other_base(base, config.base_model_name_or_path):
            raise Refused(
                f"{folder}: the adapter is for {config.base_model_name_or_path}, {base} is {other}; if they are the "
                "same, empty base_model_name_or_path in adapter_config.json"
            )
        if config.is_prompt_learning:
            raise Refused(f"{folder}: {config.peft_type.value} cannot be merged into a model; LoRA and its kin can")
        adapted = PeftModel(model, config)
        # Prefixed with the adapter's name, which a file does not hold.
        found = adapted.load_adapter(folder, "default", torch_device="cpu", local_files_only=True)
        for keys, problem in (
            (found.unexpected_keys, "have no place in the model: it was made for another"),
            (found.missing_keys, "that its adapter_config.json speaks of are not there: fetch it anew"),
        ):
            if keys:
                first = min(keys).replace(".default", "").removeprefix("base_model.model.")
                raise Refused(f"{folder}: {len(keys)} weights of the adapter ({first} for one) {problem}")
        return adapted.merge_and_unload()
    except _UNUSABLE as problem:
        raise Refused(f"{folder}: the adapter does not go with the model: {_one_line(problem)}") from None


def _other_base(base: Path, wanted: str | None) -> str:
    """What a model calls itself, if it and ``wanted`` are names on the hub and not the same; else "". A folder may be
    named after its model, and a path says nothing."""
    own = ""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        own = str(json.loads((base / "config.json").read_bytes()).get("_name_or_path"))
    one, other = _ON_HUB.fullmatch(wanted or ""), _ON_HUB.fullmatch(own)
    same = not one or not other or one[1].lower() in (other[1].lower(), base.name.lower())
    return "" if same else own


def _one_line(problem: BaseException) -> str:
    return " ".join(f"{type(problem).__name__}: {problem}".split())[:300]


def _alphabet() -> dict[str, int]:
    """GPT-2's byte-level alphabet: the character that stands for each byte."""
    seen = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in seen]
    return {chr(byte): byte for byte in seen} | {chr(256 + at): byte for at, byte in enumerate(hidden)}


_BYTE_OF = _alphabet()


def _sentencepiece(token: str) -> bytes:
    """What a token of SentencePiece stands for; ``<0x0A>`` is a byte."""
    if byte := re.fullmatch(r"<0x([0-9A-F]{2})>", token):
        return bytes.fromhex(byte[1])
    return token.replace(_BLANK, " ").encode()


def _byte_level(token: str) -> bytes:
    """What a token of byte-level BPE stands for."""
    if all(character in _BYTE_OF for character in token):
        return bytes(_BYTE_OF[character] for character in token)
    return token.encode()
