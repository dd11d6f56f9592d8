"""Byte-level BPE for kernel C: Qwen2's pre-tokenizer, markers for holes and files, any text comes back exactly.

There is no normalizer: what is decoded is, byte for byte, what was encoded. The pre-tokenizer's regex is the one
that llama.cpp knows as ``qwen2``, so a GGUF of a model trained here tokenises identically.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from kexpert.core.manifest import tokenizer_hash
from kexpert.core.prompt import Marker, Piece, token_ids

#: As transformers and llama.cpp have it: words with one sign in front, single digits, runs of signs, blanks.
PRETOKENIZER = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
FILE_NAME = "tokenizer.json"


def train(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """A tokenizer of ``vocabulary`` entries: markers (ids from 0), the 256 bytes, then merges by frequency."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZER), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[marker.value for marker in Marker],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _literal(tokenizer)


def load(path: Path) -> Tokenizer:
    """The tokenizer of a ``tokenizer.json``, which must know the markers."""
    tokenizer = _literal(Tokenizer.from_file(str(path)))
    markers(tokenizer)
    return tokenizer


def _literal(tokenizer: Tokenizer) -> Tokenizer:
    """A marker's name that stands in a text is text; the setting is not kept in the file."""
    tokenizer.encode_special_tokens = True
    return tokenizer


def markers(tokenizer: Tokenizer) -> dict[Marker, int]:
    """The id of every marker. Raises ValueError for a tokenizer that lacks one."""
    found = {marker: tokenizer.token_to_id(marker.value) for marker in Marker}
    missing = [marker.value for marker, at in found.items() if at is None]
    if missing:
        raise ValueError(f"the tokenizer has no {', '.join(missing)}")
    return found


def encode(tokenizer: Tokenizer, pieces: Sequence[Piece]) -> list[int]:
    """The ids of a rendered prompt."""
    return token_ids(list(pieces), lambda text: tokenizer.encode(text).ids, markers(tokenizer))


def vocabulary(tokenizer: Tokenizer) -> list[str]:
    """Every token in the order of the ids, in the byte-level alphabet (a blank is ``Ġ``)."""
    return [tokenizer.id_to_token(at) for at in range(tokenizer.get_vocab_size())]


def identity(tokenizer: Tokenizer) -> str:
    """What ``model.json`` calls the tokenizer by."""
    return tokenizer_hash(vocabulary(tokenizer))


def byte_lengths(tokenizer: Tokenizer) -> list[int]:
    """Bytes of text that each id stands for, 0 for a marker: what bits per byte divide by."""
    named = {marker.value for marker in Marker}
    # In the byte-level alphabet one character is one byte.
    return [0 if token in named else len(token) for token in vocabulary(tokenizer)]
