"""A Hugging Face model, or a GGUF that transformers reads, through torch.

On an NVIDIA GPU with this project's Triton attention, elsewhere with torch's own. The only importer of torch,
transformers and peft in the server; runs in the worker process.
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
from transformers.convert_slow_tokenizer import bytes_to_unicode

from kexpert.abilities import Cancelled, Refused
from kexpert.model.chat_frame import Frame, chatml_frame, template_frame
from kexpert.model.decoding.decoder import Logits
from kexpert.model.decoding.vocabulary import Vocabulary, without_leading_space
from kexpert.model.engines.in_process_chat import DEFAULT_CHAT_CONTEXT, InProcessChat
from kexpert.model.engines.in_process_engine import InProcessEngine, markers_among
from kexpert.model.engines.in_process_model import MAX_CONTEXT, InProcessModel, common_prefix_length
from kexpert.prompt.chat import END, START, Message
from kexpert.prompt.manifest import Ability, Manifest, mismatch, tokenizer_hash
from kexpert_kernels.implementation import implementation

#: Tokens evaluated between two looks at ``cancelled()``, by device.
_BATCH_TOKENS = {"cuda": 512, "cpu": 128}
_SENTENCEPIECE_SPACE = "▁"
#: A model's name on the hub: owner/model.
_HUB_NAME = re.compile(r"[\w.-]+/([\w.-]+)")
#: GPT-2's byte-level alphabet: character -> byte.
_BYTE_OF = {character: byte for byte, character in bytes_to_unicode().items()}  # type: ignore[no-untyped-call]
_MAX_MESSAGE_CHARACTERS = 300
#: Exceptions of the libraries for files that are damaged, of another kind or for another model.
_UNUSABLE = (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, SafetensorError)


class TorchModel(InProcessModel):
    """Load a folder or a GGUF, and merge a PEFT adapter if there is one. Raises Refused.

    ``context`` is in tokens, 0 for what the model was trained with.
    """

    def __init__(
        self, path: Path, manifest: Manifest | None, adapter: Path | None, threads: int, context: int, ability: Ability
    ) -> None:
        torch.set_num_threads(threads)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        # No downloads, no code from the model's folder, no pickles.
        options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        folder, options = (path, options) if path.is_dir() else (path.parent, options | {"gguf_file": path.name})
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, **options)
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=torch.bfloat16 if self._device == "cuda" else torch.float32,
                attn_implementation=self._attention(),
                output_loading_info=True,
                **(options if "gguf_file" in options else options | {"use_safetensors": True}),
            )
            model, report = loaded
        except _UNUSABLE as problem:
            raise Refused(f"{path}: transformers cannot load it: {_one_line(problem)}") from None
        if missing := sorted(report["missing_keys"]):
            raise Refused(f"{path}: {len(missing)} of its weights are not there, {missing[0]} for one; fetch it anew")
        self._tokenizer.fill_token = None  # else CodeLlama's tokenizer splits text at "<FILL_ME>"
        texts = [str(self._tokenizer.convert_ids_to_tokens(token) or "") for token in range(len(self._tokenizer))]
        self._texts = texts
        if manifest is not None and (reason := mismatch(manifest, tokenizer_hash(texts), ability=ability)):
            raise Refused(reason)
        if adapter is not None:
            model = _merge_adapter(model, adapter, path)
        try:
            self._model: Any = model.to(self._device).eval()
        except (RuntimeError, ValueError) as problem:  # out of memory, or quantized weights that cannot be moved
            raise Refused(f"{path}: cannot be put on {self._device}: {_one_line(problem)}") from None
        special = set(self._tokenizer.all_special_ids)
        if ability == "complete":
            special.update(markers_among(texts, path).ids.values())
        special.update(token for token, added in self._tokenizer.added_tokens_decoder.items() if added.special)
        size = model.get_output_embeddings().weight.shape[0]
        to_bytes = _sentencepiece_bytes if _SENTENCEPIECE_SPACE in texts else _byte_level_bytes
        pieces = [b"" if token in special else to_bytes(text) for token, text in enumerate(texts)]
        self.vocabulary = Vocabulary([*pieces, *[b""] * (size - len(pieces))][:size])
        self._encode = without_leading_space(self._tokens, self.vocabulary)
        trained = manifest.context if manifest else getattr(model.config, "max_position_embeddings", MAX_CONTEXT)
        self.context = min(context or trained, trained, MAX_CONTEXT)
        self._cached: list[int] = []
        self._cache = DynamicCache()

    def _attention(self) -> str:
        """The name of the attention implementation; also logged."""
        name: str = implementation(self._device)
        print(f"kexpert: attention on {self._device}: {name}", file=sys.stderr)
        return name

    def encode(self, text: str) -> list[int]:
        """Tokenize a text. Markers in it are plain text."""
        return self._encode(text)

    def _tokens(self, text: str) -> list[int]:
        """Tokenize as the tokenizer does: SentencePiece adds a space at the beginning."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        return ids

    # -- the cache ------------------------------------------------------------------------------

    def _evaluate(self, ids: Sequence[int], cancelled: Callable[[], bool]) -> Logits:
        """The logits after ``ids``. Raises Cancelled."""
        done = min(common_prefix_length(self._cached, ids), len(ids) - 1)
        if done == 0:
            self._cache = DynamicCache()  # an empty cache cannot be cropped
        elif done < len(self._cached):
            self._cache.crop(done - len(self._cached))
        del self._cached[done:]
        while True:
            if cancelled():
                raise Cancelled
            batch = ids[done : done + _BATCH_TOKENS[self._device]]
            logits = self._decode(batch)
            done += len(batch)
            if done == len(ids):
                return logits

    def _advance(self, token: int) -> Logits:
        """Append one token. Returns the logits after it."""
        return self._decode([token])

    @torch.inference_mode()
    def _decode(self, ids: Sequence[int]) -> Logits:
        """Append tokens to the KV cache. Returns the logits of the last, shape (vocabulary,), float32."""
        start = len(self._cached)
        output = self._model(
            input_ids=torch.tensor([list(ids)], device=self._device),
            position_ids=torch.arange(start, start + len(ids), device=self._device)[None],
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self._cached += ids
        logits: Logits = output.logits[0, -1].float().cpu().numpy()
        return logits


class TorchEngine(TorchModel, InProcessEngine):
    """Complete by torch. Raises Refused."""

    def __init__(self, path: Path, manifest: Manifest | None, adapter: Path | None, threads: int, context: int) -> None:
        super().__init__(path, manifest, adapter, threads, context, "complete")
        self.markers = markers_among(self._texts, path)
        self._order = manifest.order if manifest else "psm"


class TorchChat(TorchModel, InProcessChat):
    """Chat by torch. Raises Refused."""

    def __init__(self, path: Path, manifest: Manifest | None, adapter: Path | None, threads: int, context: int) -> None:
        super().__init__(path, manifest, adapter, threads, context or DEFAULT_CHAT_CONTEXT, "chat")
        self.name = manifest.name if manifest else path.stem
        self.adapter = adapter.stem if adapter else ""
        ids = {text: token for token, text in enumerate(self._texts)}
        self._chatml = (ids[START], ids[END]) if START in ids and END in ids else None
        if self._chatml is not None:
            return
        if not self._tokenizer.chat_template:
            raise Refused(f"{path}: it has neither a chat template nor ChatML's markers; it cannot chat")
        try:
            self._frame([Message("system", ""), Message("user", "")])
        except Exception as problem:  # whatever a template raises
            raise Refused(f"{path}: its chat template cannot be used: {_one_line(problem)}") from None

    def _frame(self, messages: Sequence[Message]) -> Frame:
        if self._chatml:
            return chatml_frame(messages, *self._chatml)
        return template_frame(messages, self._render, self._special)

    def _render(self, messages: Sequence[Message]) -> str:
        chat = [{"role": message.role, "content": message.text} for message in messages]
        text: str = self._tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        return text

    def _special(self, text: str) -> list[int]:
        """Tokenize a part of the template: special tokens in it count."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids


def _merge_adapter(model: Any, folder: Path, base: Path) -> Any:
    """Merge a PEFT adapter into the model. Raises Refused unless the adapter's weights fit the model one to one."""
    from peft import PeftConfig, PeftModel

    if not (folder / "adapter_model.safetensors").is_file():
        raise Refused(f"{folder}: holds no adapter_model.safetensors")
    try:
        config = PeftConfig.from_pretrained(str(folder), local_files_only=True)
        if other := _other_base(base, config.base_model_name_or_path):
            raise Refused(
                f"{folder}: the adapter is for {config.base_model_name_or_path}, {base} is {other}; if they are the "
                "same, empty base_model_name_or_path in adapter_config.json"
            )
        if config.is_prompt_learning:
            raise Refused(f"{folder}: {config.peft_type.value} cannot be merged into a model; LoRA and its kin can")
        adapted = PeftModel(model, config)
        # The keys contain the adapter's name, "default"; those of the file do not.
        loaded = adapted.load_adapter(folder, "default", torch_device="cpu", local_files_only=True)
        for keys, problem in (
            (loaded.unexpected_keys, "have no place in the model: it was made for another"),
            (loaded.missing_keys, "that its adapter_config.json speaks of are not there: fetch it anew"),
        ):
            if keys:
                first = min(keys).replace(".default", "").removeprefix("base_model.model.")
                raise Refused(f"{folder}: {len(keys)} weights of the adapter ({first} for one) {problem}")
        return adapted.merge_and_unload()
    except _UNUSABLE as problem:
        raise Refused(f"{folder}: the adapter does not go with the model: {_one_line(problem)}") from None


def _other_base(base: Path, wanted: str | None) -> str:
    """The hub name of the base model, if it and ``wanted`` are hub names of different models; else "".

    A folder may be named after its model. A path as a name proves nothing.
    """
    own = ""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        own = str(json.loads((base / "config.json").read_bytes()).get("_name_or_path"))
    one, other = _HUB_NAME.fullmatch(wanted or ""), _HUB_NAME.fullmatch(own)
    same = not one or not other or one[1].lower() in (other[1].lower(), base.name.lower())
    return "" if same else own


def _one_line(problem: BaseException) -> str:
    return " ".join(f"{type(problem).__name__}: {problem}".split())[:_MAX_MESSAGE_CHARACTERS]


def _sentencepiece_bytes(token: str) -> bytes:
    """The bytes of a SentencePiece token; ``<0x0A>`` is one byte."""
    if byte := re.fullmatch(r"<0x([0-9A-F]{2})>", token):
        return bytes.fromhex(byte[1])
    return token.replace(_SENTENCEPIECE_SPACE, " ").encode()


def _byte_level_bytes(token: str) -> bytes:
    """The bytes of a byte-level BPE token."""
    if all(character in _BYTE_OF for character in token):
        return bytes(_BYTE_OF[character] for character in token)
    return token.encode()
