"""A GGUF model through llama.cpp. The only importer of llama-cpp-python.

Uses the low-level functions: the high-level class copies the logits of every prompt token, knows the FIM markers of
one family only, and cannot stop between two tokens.
"""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import llama_cpp as llama
import numpy as np

from kexpert.abilities import Cancelled, Failed, Refused
from kexpert.model.chat_frame import Frame, chatml_frame, template_frame
from kexpert.model.decoding.decoder import Logits
from kexpert.model.decoding.vocabulary import Vocabulary, without_leading_space
from kexpert.model.engines.free_cpus import decoding_threads
from kexpert.model.engines.in_process_chat import DEFAULT_CHAT_CONTEXT, InProcessChat
from kexpert.model.engines.in_process_engine import InProcessEngine, markers_among
from kexpert.model.engines.in_process_model import (
    MAX_CONTEXT,
    MIN_PROMPT_TOKENS,
    InProcessModel,
    common_prefix_length,
)
from kexpert.model.engines.merged_gguf import merged_gguf
from kexpert.prompt.chat import END, START, Message
from kexpert.prompt.manifest import Ability, Manifest, mismatch, tokenizer_hash

#: Tokens evaluated at once. A cancellation loses the current batch; smaller batches are slower.
_BATCH_TOKENS = 128
#: The result of ``llama_decode`` after the abort callback returned true.
_ABORTED = 2
#: Default context: a laptop evaluates it in a third of a second, which is what a jump to another place costs.
_DEFAULT_CONTEXT = 1024
#: Room for a chat template around placeholders.
_MAX_TEMPLATE_BYTES = 1 << 16
#: Larger files are not hashed: it would take seconds.
_MAX_HASHED_BYTES = 512 << 20
#: Attributes of tokens that are no text.
_NOT_TEXT = llama.LLAMA_TOKEN_ATTR_CONTROL | llama.LLAMA_TOKEN_ATTR_UNKNOWN | llama.LLAMA_TOKEN_ATTR_UNUSED


def _discard_log(level: int, text: bytes, data: ctypes.c_void_p) -> None:
    """Drop a log line. llama.cpp logs every tensor; its functions return their errors."""


_QUIET = llama.llama_log_callback(_discard_log)  # must outlive the last call into the library


class LlamaCppModel(InProcessModel):
    """Load a GGUF, and an adapter in GGUF if there is one. Raises Refused.

    ``context`` is in tokens. ``merged`` is a GGUF made of both, to load instead.
    """

    def __init__(
        self,
        path: Path,
        manifest: Manifest | None,
        adapter: Path | None,
        threads: int,
        context: int,
        ability: Ability,
        merged: Path | None = None,
    ) -> None:
        llama.llama_log_set(_QUIET, ctypes.c_void_p(0))
        llama.llama_backend_init()
        parameters = llama.llama_model_default_params()
        parameters.n_gpu_layers = 0
        self._model = llama.llama_model_load_from_file(str(merged or path).encode(), parameters)
        if not self._model:
            raise Refused(f"{path}: llama.cpp cannot load it: no GGUF, or an architecture that it does not know")
        self._vocab = llama.llama_model_get_vocab(self._model)
        self._texts = self._read_texts()
        tokenizer = tokenizer_hash(self._texts)
        if manifest is not None and (reason := mismatch(manifest, tokenizer, _sha256(path, manifest), ability)):
            raise Refused(reason)
        self.vocabulary = Vocabulary([self._bytes(at) for at in range(len(self._texts))])
        self._encode = without_leading_space(self._tokens, self.vocabulary)
        trained = manifest.context if manifest else llama.llama_model_n_ctx_train(self._model)
        self.context = min(context, max(trained, MIN_PROMPT_TOKENS), MAX_CONTEXT)
        self._threads = threads
        self._context = self._new_context(threads)
        self._cancelled: Callable[[], bool] = lambda: False
        self._abort = llama.ggml_abort_callback(lambda _: self._cancelled())  # called for every node of the graph
        llama.llama_set_abort_callback(self._context, self._abort, None)
        if adapter is not None and merged is None:
            self._adapt(adapter)
        self._batch = llama.llama_batch_init(_BATCH_TOKENS, 0, 1)
        self._cached: list[int] = []  # tokens in the KV cache

    def _read_texts(self) -> list[str]:
        count = llama.llama_vocab_n_tokens(self._vocab)
        texts = (llama.llama_vocab_get_text(self._vocab, at) or b"" for at in range(count))
        return [text.decode("utf-8", "replace") for text in texts]

    def _bytes(self, token: int) -> bytes:
        """The bytes of a token; b"" for special tokens."""
        if llama.llama_vocab_get_attr(self._vocab, token) & _NOT_TEXT or llama.llama_vocab_is_eog(self._vocab, token):
            return b""
        room = ctypes.create_string_buffer(256)
        size = llama.llama_token_to_piece(self._vocab, token, room, len(room), 0, False)
        return room.raw[:size] if size > 0 else b""

    def _new_context(self, threads: int) -> Any:
        parameters = llama.llama_context_default_params()
        parameters.n_ctx = self.context
        parameters.n_batch = parameters.n_ubatch = _BATCH_TOKENS
        parameters.n_threads = parameters.n_threads_batch = threads
        parameters.no_perf = True
        context = llama.llama_init_from_model(self._model, parameters)
        if not context:
            raise Refused(f"llama.cpp has no memory for a context of {self.context} tokens")
        return context

    def _adapt(self, path: Path) -> None:
        adapter = llama.llama_adapter_lora_init(self._model, str(path).encode())
        if not adapter:
            raise Refused(f"{path}: llama.cpp refuses the adapter: it was not made for this model")
        adapters = (llama.llama_adapter_lora_p_ctypes * 1)(adapter)
        if llama.llama_set_adapters_lora(self._context, adapters, 1, (ctypes.c_float * 1)(1.0)):
            raise Refused(f"{path}: llama.cpp cannot use the adapter on this model")

    # -- text and tokens ------------------------------------------------------------------------

    def encode(self, text: str) -> list[int]:
        """Tokenize a text. Markers in it are plain text."""
        return self._encode(text)

    def _tokens(self, text: str, special: bool = False) -> list[int]:
        """Tokenize as the vocabulary does: SentencePiece adds a space at the beginning. Raises Failed.

        ``special``: parse special tokens.
        """
        data = text.encode("utf-8", "replace")
        room = len(data) + 2
        tokens = (llama.llama_token * room)()
        count = llama.llama_tokenize(self._vocab, data, len(data), tokens, room, False, special)
        if count < 0:
            raise Failed("a text could not be cut into tokens")
        return list(tokens[:count])

    # -- the cache ------------------------------------------------------------------------------

    def _evaluate(self, ids: Sequence[int], cancelled: Callable[[], bool]) -> Logits:
        """The logits after ``ids``. Raises Cancelled or Failed."""
        done = min(common_prefix_length(self._cached, ids), len(ids) - 1)
        self._keep(done)
        done = len(self._cached)
        self._cancelled = cancelled
        llama.llama_set_n_threads(self._context, decoding_threads(self._threads), self._threads)
        while done < len(ids):
            if cancelled():
                raise Cancelled
            batch = list(ids[done : done + _BATCH_TOKENS])
            self._decode(batch)
            done += len(batch)
        return self._logits()

    def _advance(self, token: int) -> Logits:
        """Append one token. Returns the logits after it. Raises Failed."""
        self._decode([token])
        return self._logits()

    def _keep(self, count: int) -> None:
        """Truncate the KV cache to ``count`` tokens, or clear it if the model (a recurrent one) cannot truncate."""
        memory = llama.llama_get_memory(self._context)
        if not llama.llama_memory_seq_rm(memory, 0, count, -1):
            llama.llama_memory_clear(memory, True)
            count = 0
        del self._cached[count:]

    def _decode(self, tokens: list[int]) -> None:
        """Append tokens to the KV cache, with logits for the last. Raises Cancelled or Failed."""
        start = len(self._cached)
        if start + len(tokens) > self.context:
            raise Failed("the context is full")
        batch = self._batch
        batch.n_tokens = len(tokens)
        for at, token in enumerate(tokens):
            batch.token[at], batch.pos[at], batch.n_seq_id[at], batch.seq_id[at][0] = token, start + at, 1, 0
            batch.logits[at] = at == len(tokens) - 1
        error = llama.llama_decode(self._context, batch)
        if error:
            self._keep(start if error == _ABORTED else 0)
            raise Cancelled if error == _ABORTED else Failed("llama.cpp could not evaluate the tokens")
        self._cached += tokens

    def _logits(self) -> Logits:
        """The logits of the last token, shape (vocabulary,); valid until the next evaluation."""
        found = llama.llama_get_logits_ith(self._context, -1)
        return np.ctypeslib.as_array(found, shape=(len(self.vocabulary.pieces),))


class LlamaCppEngine(LlamaCppModel, InProcessEngine):
    """Complete by llama.cpp. ``context`` is in tokens, 0 for the default. Raises Refused."""

    def __init__(self, path: Path, manifest: Manifest | None, adapter: Path | None, threads: int, context: int) -> None:
        super().__init__(path, manifest, adapter, threads, context or _DEFAULT_CONTEXT, "complete")
        self.markers = markers_among(self._texts, path)
        self._order = manifest.order if manifest else "psm"


class LlamaCppChat(LlamaCppModel, InProcessChat):
    """Chat by llama.cpp. ``context`` is in tokens, 0 for the default. Raises Refused."""

    def __init__(self, path: Path, manifest: Manifest | None, adapter: Path | None, threads: int, context: int) -> None:
        context = context or DEFAULT_CHAT_CONTEXT
        merged = merged_gguf(path, adapter) if adapter else None
        super().__init__(path, manifest, adapter, threads, context, "chat", merged)
        self.name = manifest.name if manifest else path.stem
        self.adapter = adapter.stem if adapter else ""
        ids = {text: token for token, text in enumerate(self._texts)}
        self._chatml = (ids[START], ids[END]) if START in ids and END in ids else None
        self._template = llama.llama_model_chat_template(self._model, None)
        if self._chatml is None:
            self._check_template(path)
        bos = llama.llama_vocab_bos(self._vocab)
        self._bos = [bos] if llama.llama_vocab_get_add_bos(self._vocab) and bos >= 0 else []

    def _check_template(self, path: Path) -> None:
        """Raises Refused unless llama.cpp knows the model's template."""
        if not self._template:
            raise Refused(f"{path}: it has neither a chat template nor ChatML's markers; it cannot chat")
        try:
            template_frame([Message("system", ""), Message("user", "")], self._render, self._special)
        except ValueError as problem:
            raise Refused(f"{path}: its chat template cannot be used: {problem}") from None

    def _frame(self, messages: Sequence[Message]) -> Frame:
        if self._chatml:
            frame = chatml_frame(messages, *self._chatml)
        else:
            frame = template_frame(messages, self._render, self._special)
        return frame if frame[:1] == self._bos else [*self._bos, *frame]

    def _render(self, messages: Sequence[Message]) -> str:
        """Apply the model's template. Raises ValueError if llama.cpp does not know it."""
        chat = (llama.llama_chat_message * len(messages))()
        for entry, message in zip(chat, messages, strict=True):
            entry.role, entry.content = message.role.encode(), message.text.encode("utf-8", "replace")
        room = ctypes.create_string_buffer(_MAX_TEMPLATE_BYTES)
        size = llama.llama_chat_apply_template(self._template, chat, len(messages), True, room, len(room))
        if not 0 <= size <= len(room):
            raise ValueError("llama.cpp does not know it")
        return room.raw[:size].decode("utf-8", "replace")

    def _special(self, text: str) -> list[int]:
        """Tokenize a part of the template: special tokens in it count."""
        return self._tokens(text, special=True) if text else []


def quantize(source: Path, target: Path, kind: str) -> None:
    """Write a copy of a GGUF with weights quantized to ``kind``: "Q8_0", "Q6_K", "Q4_K_M", ….

    Raises ValueError for a kind that llama.cpp does not know, and RuntimeError if it fails (K-quants need rows
    divisible by 256).
    """
    file_type = getattr(llama, f"LLAMA_FTYPE_MOSTLY_{kind}", None)
    if file_type is None:
        raise ValueError(f"{kind}: llama.cpp knows no such quantisation")
    llama.llama_log_set(_QUIET, ctypes.c_void_p(0))
    llama.llama_backend_init()
    parameters = llama.llama_model_quantize_default_params()
    parameters.ftype = file_type
    if llama.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(parameters)):
        raise RuntimeError(f"{source}: llama.cpp cannot write it as {kind}")


def _sha256(path: Path, manifest: Manifest) -> str:
    """The hash of the weights if the manifest names one; "" if it does not, or if the file is too large."""
    if not manifest.base_sha256 or path.stat().st_size > _MAX_HASHED_BYTES:
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def greedy(
    path: Path, adapter: Path | None, prompts: Sequence[Sequence[int]], max_tokens: int, threads: int = 0
) -> list[list[int]]:
    """Continue each prompt by its most probable tokens, up to one that ends the answer. For checks of an export.

    Raises ValueError if llama.cpp cannot load the files.
    """
    llama.llama_log_set(_QUIET, ctypes.c_void_p(0))
    room = max(map(len, prompts)) + max_tokens
    model = llama.Llama(
        str(path), lora_path=str(adapter) if adapter else None, n_ctx=room, n_threads=threads or None,
        n_threads_batch=threads or None, verbose=False,
    )  # fmt: skip
    answers: list[list[int]] = []
    for prompt in prompts:
        answer: list[int] = []
        for token in model.generate(list(prompt), temp=0.0, top_k=1, repeat_penalty=1.0):
            answer.append(int(token))
            if len(answer) == max_tokens or llama.llama_vocab_is_eog(model._model.vocab, token):
                break
        answers.append(answer)
    model.close()
    return answers


def tokenize(path: Path, texts: Sequence[str]) -> list[list[int]]:
    """Tokenize texts by the vocabulary of a GGUF; markers in them are plain text. Raises ValueError as ``greedy``."""
    llama.llama_log_set(_QUIET, ctypes.c_void_p(0))
    model = llama.Llama(str(path), vocab_only=True, verbose=False)
    found = [[int(at) for at in model.tokenize(text.encode(), add_bos=False, special=False)] for text in texts]
    model.close()
    return found
