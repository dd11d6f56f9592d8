"""A Hugging Face model, or a GGUF that transformers can read, through torch: on an NVIDIA GPU with this project's
Triton attention, else with torch's own. The only importer of torch and its kin; runs in the worker process.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

from kexpert.core.manifest import Manifest, mismatch, tokenizer_hash
from kexpert.model.engine import Cancelled, Refused
from kexpert.model.healing import Logits, Vocabulary, shared
from kexpert.model.local import MOST_CONTEXT, LocalModel, markers_among

#: Tokens evaluated between two looks at whether anybody still waits.
_BATCH = 512
_BLANK = "▁"  # how SentencePiece writes a blank


class Torch(LocalModel):
    """One model in memory with one sequence in its cache."""

    def __init__(
        self, path: Path, manifest: Manifest | None, adapter: Path | None, threads: int, context: int
    ) -> None:
        torch.set_num_threads(threads)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        # Nothing is fetched, no code of the model's own is run, no pickle is read.
        where: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        folder, where = (path, where) if path.is_dir() else (path.parent, where | {"gguf_file": path.name})
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, **where)
            model: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=torch.bfloat16 if self._device == "cuda" else torch.float32,
                attn_implementation=self._attention(),
                **(where if "gguf_file" in where else where | {"use_safetensors": True}),
            )
        except (OSError, ValueError, KeyError, RuntimeError) as problem:
            raise Refused(f"{path}: transformers cannot load it: {_one_line(problem)}") from None
        texts = [str(self._tokenizer.convert_ids_to_tokens(at) or "") for at in range(len(self._tokenizer))]
        if manifest is not None and (reason := mismatch(manifest, tokenizer_hash(texts))):
            raise Refused(reason)
        self.markers = markers_among(texts, path)
        if adapter is not None:
            model = _adapted(model, adapter)
        self._model = model.to(self._device).eval()
        self._order = manifest.order if manifest else "psm"
        special = {*self._tokenizer.all_special_ids, *self.markers.ids.values()}
        size = model.get_output_embeddings().weight.shape[0]
        pieces = [b"" if at in special else _bytes(text) for at, text in enumerate(texts)]
        self.vocabulary = Vocabulary([*pieces, *[b""] * (size - len(pieces))][:size])
        trained = manifest.context if manifest else getattr(model.config, "max_position_embeddings", MOST_CONTEXT)
        self.context = min(context or trained, trained, MOST_CONTEXT)
        self._cached: list[int] = []
        self._cache = DynamicCache()

    def _attention(self) -> str:
        """The name of the attention to use; said once, to the log."""
        if self._device == "cuda":
            from kexpert_kernels.attention_interface import register

            name: str = register()
        else:
            name = "sdpa"
        print(f"kexpert: attention on {self._device}: {name}", file=sys.stderr)
        return name

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, in which no marker is read."""
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
            logits = self._decode(ids[done : done + _BATCH])
            done = min(done + _BATCH, len(ids))
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


def _adapted(model: Any, folder: Path) -> Any:
    """The model with a PEFT adapter merged into it."""
    from peft import PeftModel

    if not (folder / "adapter_model.safetensors").is_file():
        raise Refused(f"{folder}: holds no adapter_model.safetensors")
    try:
        return PeftModel.from_pretrained(model, folder, local_files_only=True).merge_and_unload()
    except (OSError, ValueError, KeyError, RuntimeError) as problem:
        raise Refused(f"{folder}: the adapter does not go with the model: {_one_line(problem)}") from None


def _one_line(problem: BaseException) -> str:
    return " ".join(str(problem).split())[:300]


def _alphabet() -> dict[str, int]:
    """GPT-2's byte-level alphabet: the character that stands for each byte."""
    seen = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in seen]
    return {chr(byte): byte for byte in seen} | {chr(256 + at): byte for at, byte in enumerate(hidden)}


_BYTE_OF = _alphabet()


def _bytes(token: str) -> bytes:
    """What a token stands for: byte-level BPE, or SentencePiece with ``<0x0A>`` for single bytes."""
    if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
        return bytes([int(token[3:5], 16)])
    if _BLANK in token:
        return token.replace(_BLANK, " ").encode()
    if all(character in _BYTE_OF for character in token):
        return bytes(_BYTE_OF[character] for character in token)
    return token.encode()
