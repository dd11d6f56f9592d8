"""A GGUF model through llama.cpp; the only importer of llama-cpp-python.

Its low-level functions are used: the high-level class copies all scores of a prompt, knows no markers of a
hole but by one family's names, and cannot be stopped between two tokens.
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
from kexpert.model.decoding.token_healing import Logits, Vocabulary, bare, shared
from kexpert.model.engines.in_process_engine import MAX_CONTEXT, MIN_PROMPT_TOKENS, InProcessEngine, markers_among
from kexpert.prompt.manifest import Manifest, mismatch, tokenizer_hash

#: Tokens evaluated at once, and lost when a question is cancelled meanwhile; smaller batches are slower.
_BATCH = 128
#: What ``llama_decode`` returns when it was told to stop.
_ABORTED = 2
#: What a laptop reads in a third of a second, which is what a jump to another place costs.
_USUAL_CONTEXT = 1024
#: Bytes of weights that are compared with their manifest.
_MOST_HASHED = 512 << 20
#: Logits of these are never chosen from while text is wanted.
_NOT_TEXT = llama.LLAMA_TOKEN_ATTR_CONTROL | llama.LLAMA_TOKEN_ATTR_UNKNOWN | llama.LLAMA_TOKEN_ATTR_UNUSED


def _say_nothing(level: int, text: bytes, data: ctypes.c_void_p) -> None:
    """llama.cpp speaks of every tensor; what goes wrong is said by what its functions return."""


_QUIET = llama.llama_log_callback(_say_nothing)  # must outlive the last call into the library


class LlamaCppEngine(InProcessEngine):
    """One model in memory with one sequence in its cache."""

    def __init__(self, path: Path, manifest: Manifest | None, adapter: Path | None, threads: int, context: int) -> None:
        llama.llama_log_set(_QUIET, ctypes.c_void_p(0))
        llama.llama_backend_init()
        parameters = llama.llama_model_default_params()
        parameters.n_gpu_layers = 0
        self._model = llama.llama_model_load_from_file(str(path).encode(), parameters)
        if not self._model:
            raise Refused(f"{path}: llama.cpp cannot load it: no GGUF, or an architecture that it does not know")
        self._vocab = llama.llama_model_get_vocab(self._model)
        texts = self._texts()
        if manifest is not None and (reason := mismatch(manifest, tokenizer_hash(texts), _sha256(path, manifest))):
            raise Refused(reason)
        self.markers = markers_among(texts, path)
        self._order = manifest.order if manifest else "psm"
        self.vocabulary = Vocabulary([self._bytes(at) for at in range(len(texts))])
        self._encode = bare(self._tokens, self.vocabulary)
        trained = manifest.context if manifest else llama.llama_model_n_ctx_train(self._model)
        self.context = min(context or _USUAL_CONTEXT, max(trained, MIN_PROMPT_TOKENS), MAX_CONTEXT)
        self._context = self._new_context(threads)
        self._cancelled: Callable[[], bool] = lambda: False
        self._abort = llama.ggml_abort_callback(lambda _: self._cancelled())  # asked at every node of the graph
        llama.llama_set_abort_callback(self._context, self._abort, None)
        if adapter is not None:
            self._adapt(adapter)
        self._batch = llama.llama_batch_init(_BATCH, 0, 1)
        self._cached: list[int] = []  # tokens in the cache

    def _texts(self) -> list[str]:
        count = llama.llama_vocab_n_tokens(self._vocab)
        texts = (llama.llama_vocab_get_text(self._vocab, at) or b"" for at in range(count))
        return [text.decode("utf-8", "replace") for text in texts]

    def _bytes(self, token: int) -> bytes:
        """What a token stands for in text; nothing for markers and their like."""
        if llama.llama_vocab_get_attr(self._vocab, token) & _NOT_TEXT or llama.llama_vocab_is_eog(self._vocab, token):
            return b""
        room = ctypes.create_string_buffer(256)
        size = llama.llama_token_to_piece(self._vocab, token, room, len(room), 0, False)
        return room.raw[:size] if size > 0 else b""

    def _new_context(self, threads: int) -> Any:
        parameters = llama.llama_context_default_params()
        parameters.n_ctx = self.context
        parameters.n_batch = parameters.n_ubatch = _BATCH
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
        """The tokens of a text, in which no marker is read."""
        return self._encode(text)

    def _tokens(self, text: str) -> list[int]:
        """The tokens of a text and of what the vocabulary adds to it."""
        data = text.encode("utf-8", "replace")
        room = len(data) + 2
        tokens = (llama.llama_token * room)()
        count = llama.llama_tokenize(self._vocab, data, len(data), tokens, room, False, False)
        if count < 0:
            raise Failed("a text could not be cut into tokens")
        return list(tokens[:count])

    # -- the cache ------------------------------------------------------------------------------

    def _evaluate(self, ids: Sequence[int], cancelled: Callable[[], bool]) -> Logits:
        """Logits behind ``ids``. What the cache holds of their beginning is not worked out again."""
        done = min(shared(self._cached, ids), len(ids) - 1)
        self._keep(done)
        done = len(self._cached)
        self._cancelled = cancelled
        while done < len(ids):
            if cancelled():
                raise Cancelled
            batch = list(ids[done : done + _BATCH])
            self._decode(batch)
            done += len(batch)
        return self._logits()

    def _advance(self, token: int) -> Logits:
        """Logits behind one more token."""
        self._decode([token])
        return self._logits()

    def _keep(self, count: int) -> None:
        """Forget all but the first ``count`` tokens; them too where a model cannot forget a part."""
        memory = llama.llama_get_memory(self._context)
        if not llama.llama_memory_seq_rm(memory, 0, count, -1):
            llama.llama_memory_clear(memory, True)
            count = 0
        del self._cached[count:]

    def _decode(self, tokens: list[int]) -> None:
        """Evaluate tokens behind those in the cache, for the logits of the last."""
        start = len(self._cached)
        if start + len(tokens) > self.context:
            raise Failed("the context is full")
        batch = self._batch
        batch.n_tokens = len(tokens)
        for at, token in enumerate(tokens):
            batch.token[at], batch.pos[at], batch.n_seq_id[at], batch.seq_id[at][0] = token, start + at, 1, 0
            batch.logits[at] = at == len(tokens) - 1
        failed = llama.llama_decode(self._context, batch)
        if failed:
            self._keep(start if failed == _ABORTED else 0)
            raise Cancelled if failed == _ABORTED else Failed("llama.cpp could not evaluate the tokens")
        self._cached += tokens

    def _logits(self) -> Logits:
        """Of the last token; valid until the next evaluation."""
        found = llama.llama_get_logits_ith(self._context, -1)
        return np.ctypeslib.as_array(found, shape=(len(self.vocabulary.pieces),))


def quantize(source: Path, target: Path, kind: str) -> None:
    """Write a GGUF anew with the weights as "Q8_0", "Q6_K", "Q4_K_M", …. Raises ValueError for a kind that
    llama.cpp does not know and RuntimeError when it cannot (K-quants want rows divisible by 256)."""
    found = getattr(llama, f"LLAMA_FTYPE_MOSTLY_{kind}", None)
    if found is None:
        raise ValueError(f"{kind}: llama.cpp knows no such quantisation")
    llama.llama_log_set(_QUIET, ctypes.c_void_p(0))
    llama.llama_backend_init()
    parameters = llama.llama_model_quantize_default_params()
    parameters.ftype = found
    if llama.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(parameters)):
        raise RuntimeError(f"{source}: llama.cpp cannot write it as {kind}")


def _sha256(path: Path, manifest: Manifest) -> str:
    """The hash of weights that name theirs; "" for those whose reading would take seconds."""
    if not manifest.base_sha256 or path.stat().st_size > _MOST_HASHED:
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
