"""Tiny GGUF models for tests, valid for llama.cpp: a scripted one, and one of random weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path

import gguf
import numpy as np

from kexpert.prompt.chat import CHAT_PROMPT_VERSION, END, START
from kexpert.prompt.fim import PROMPT_VERSION, Marker
from kexpert.prompt.manifest import Manifest, dump_manifest, tokenizer_hash

#: Context of the models in tokens.
CONTEXT = 512
_WIDTH = 768  # at least the number of tokens, so that embeddings can be one-hot
_HEADS, _HEAD = 2, 16


def byte_alphabet() -> dict[int, str]:
    """GPT-2's byte-level alphabet: byte -> printable character.

    By hand: most tests that write a model need no transformers, whose import takes a second.
    """
    seen = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in seen]
    return {byte: chr(byte) for byte in seen} | {byte: chr(256 + at) for at, byte in enumerate(hidden)}


_ALPHABET = byte_alphabet()


def spelt(text: str) -> str:
    return "".join(_ALPHABET[byte] for byte in text.encode())


class TinyVocabulary:
    """Byte-level BPE: markers, all bytes, and ``words`` and their prefixes as one token each."""

    def __init__(self, words: Iterable[str] = (), markers: Iterable[str] = tuple(m.value for m in Marker)) -> None:
        self.markers = list(markers)
        self.tokens = [*self.markers, *_ALPHABET.values()]
        self.merges: list[str] = []
        for word in words:
            left = spelt(word)[0]
            for right in spelt(word)[1:]:
                if left + right not in self.tokens:
                    self.tokens.append(left + right)
                    self.merges.append(f"{left} {right}")
                left += right

    def id(self, token: str) -> int:
        return self.tokens.index(token if token in self.markers else spelt(token))

    def write(self, writer: gguf.GGUFWriter) -> None:
        """Write the tokenizer into a model's file."""
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("qwen2")
        writer.add_token_list(self.tokens)
        control, normal = int(gguf.TokenType.CONTROL), int(gguf.TokenType.NORMAL)
        writer.add_token_types([control if token in self.markers else normal for token in self.tokens])
        writer.add_token_merges(self.merges)
        writer.add_add_bos_token(False)


class SentencePieceVocabulary(TinyVocabulary):
    """SentencePiece as in CodeLlama: a space is ``▁`` and precedes every text; other characters fall back to bytes."""

    def __init__(self, words: Iterable[str] = ()) -> None:
        self.markers = ["<unk>", "<s>", "</s>", "▁<PRE>", "▁<MID>", "▁<SUF>", "▁<EOT>"]
        self.tokens = [*self.markers, *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *map(chr, range(33, 127))]
        spelt = [word.replace(" ", "▁") for word in words]
        made = dict.fromkeys(word[:size] for word in spelt for size in range(2, len(word) + 1))
        self.tokens += made
        cuts = ((token[:at], token[at:]) for token in made for at in range(1, len(token)))
        self.merges = [f"{left} {right}" for left, right in cuts if left in self.tokens and right in self.tokens]

    def id(self, token: str) -> int:
        byte = f"<0x{ord(token):02X}>" if len(token) == 1 else ""
        return self.tokens.index(byte if token in "\t\n" else token.replace(" ", "▁"))

    def write(self, writer: gguf.GGUFWriter) -> None:
        types = gguf.TokenType
        known = {"<unk>": types.UNKNOWN} | dict.fromkeys(self.markers[1:], types.CONTROL)
        writer.add_tokenizer_model("llama")
        writer.add_token_list(self.tokens)
        writer.add_token_scores([-float(at) for at in range(len(self.tokens))])
        writer.add_token_types(
            [known.get(token, types.BYTE if token.startswith("<0x") else types.NORMAL) for token in self.tokens]
        )
        writer.add_bos_token_id(1)
        writer.add_add_bos_token(True)


def write_model(
    path: Path,
    vocabulary: TinyVocabulary,
    follows: Mapping[str, str] | None = None,
    *,
    end: str = Marker.END.value,
    seed: int = 0,
    sure: float = 1.0,
    chat_template: str = "",
) -> Path:
    """Write a Llama of one layer.

    With ``follows``, the next token depends on the last one only: ``follows[last]``, else ``end``. Without, the weights
    are random and the whole prompt matters.
    """
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(32)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_key_length(_HEAD)
    writer.add_value_length(_HEAD)
    writer.add_rope_dimension_count(_HEAD)
    writer.add_layer_norm_rms_eps(1e-5)
    vocabulary.write(writer)
    writer.add_eos_token_id(vocabulary.id(end))
    if chat_template:
        writer.add_chat_template(chat_template)
    for name, values in _weights(vocabulary, follows, end, seed, sure).items():
        writer.add_tensor(name, values.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _weights(
    vocabulary: TinyVocabulary, follows: Mapping[str, str] | None, end: str, seed: int, sure: float
) -> dict[str, np.ndarray]:
    count, inner = len(vocabulary.tokens), _HEADS * _HEAD
    assert count <= _WIDTH
    shapes = {"attn_q": (inner, _WIDTH), "attn_k": (inner, _WIDTH), "attn_v": (inner, _WIDTH),
              "attn_output": (_WIDTH, inner), "ffn_gate": (32, _WIDTH), "ffn_up": (32, _WIDTH),
              "ffn_down": (_WIDTH, 32)}  # fmt: skip
    random = np.random.default_rng(seed)
    if follows is None:
        layer = {name: random.normal(0, 0.3, shape) for name, shape in shapes.items()}
        embedding = random.normal(0, 1, (count, _WIDTH))
        output = random.normal(0, 0.05, (count, _WIDTH))
        output[: len(vocabulary.markers)] = 0  # it never ends
    else:
        layer = {name: np.zeros(shape) for name, shape in shapes.items()}
        embedding = np.eye(count, _WIDTH)
        output = np.zeros((count, _WIDTH))
        following = {vocabulary.id(token): vocabulary.id(then) for token, then in follows.items()}
        for token in range(count):
            output[following.get(token, vocabulary.id(end)), token] = sure
    weights = {"token_embd.weight": embedding, "output.weight": output, "output_norm.weight": np.ones(_WIDTH),
               "blk.0.attn_norm.weight": np.ones(_WIDTH), "blk.0.ffn_norm.weight": np.ones(_WIDTH)}  # fmt: skip
    return weights | {f"blk.0.{name}.weight": values for name, values in layer.items()}


def speaking_model(folder: Path, *sentences: tuple[str, ...], sure: float = 1.0) -> Path:
    """A folder with a model that continues the first part of a sentence (one token) with its other parts.

    With ``sure=0.15`` each next token has a probability below one half.
    """
    follows = {part: then for sentence in sentences for part, then in pairwise(sentence)}
    vocabulary = TinyVocabulary(dict.fromkeys(part for sentence in sentences for part in sentence))
    folder.mkdir(exist_ok=True)
    write_model(folder / "tiny.gguf", vocabulary, follows, sure=sure)
    write_manifest(folder, vocabulary, "tiny.gguf")
    return folder


def chatting_model(folder: Path, *words: str, **manifest: object) -> Path:
    """A folder with a ChatML model that answers every chat with the same words, each a token, and then ends.

    A word that comes again begins a loop. ``manifest`` overrides entries of its ``model.json``.
    """
    vocabulary = chat_vocabulary(*words)
    folder.mkdir(exist_ok=True)
    write_model(folder / "tiny.gguf", vocabulary, dict(pairwise(["\n", *words])), end=END)
    write_manifest(folder, vocabulary, "tiny.gguf", **(_CHAT_ENTRIES | manifest))
    return folder


def chat_vocabulary(*words: str) -> TinyVocabulary:
    """The vocabulary of ``chatting_model``."""
    return TinyVocabulary(words, markers=["<|endoftext|>", START, END])


_CHAT_ENTRIES = {"abilities": ("chat",), "prompt_version": 0, "chat_prompt_version": CHAT_PROMPT_VERSION}


def write_lora(path: Path, vocabulary: TinyVocabulary, token: str, then: str, width: int = _WIDTH) -> Path:
    """Write an adapter of rank 1 on the output: ``then`` follows ``token``. ``width=32`` fits no model of this file."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 1.0)
    read, write = np.zeros((1, width), np.float32), np.zeros((len(vocabulary.tokens), 1), np.float32)
    read[0, vocabulary.id(token) % width], write[vocabulary.id(then), 0] = 3, 1
    writer.add_tensor("output.weight.lora_a", read)
    writer.add_tensor("output.weight.lora_b", write)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_manifest(folder: Path, vocabulary: TinyVocabulary, base: str, **more: object) -> Path:
    """Write a ``model.json`` for a model of this vocabulary; ``more`` overrides its entries."""
    entries: dict[str, object] = {
        "name": "tiny", "base": base, "prompt_version": PROMPT_VERSION,
        "tokenizer": tokenizer_hash(vocabulary.tokens), "context": CONTEXT,
    }  # fmt: skip
    path = folder / "model.json"
    path.write_text(dump_manifest(Manifest(**(entries | more))))  # type: ignore[arg-type]
    return path
