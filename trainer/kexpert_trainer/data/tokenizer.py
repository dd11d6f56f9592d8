"""Byte-level BPE for kernel C: Qwen2's pre-tokenizer, markers for holes and files, any text comes back exactly.

There is no normalizer: what is decoded is, byte for byte, what was encoded. The pre-tokenizer's regex is the one
that llama.cpp knows as ``qwen2``, so a GGUF of a model trained here tokenises identically.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate, chain
from pathlib import Path

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from kexpert.prompt.fim import Marker, Piece, token_ids
from kexpert.prompt.manifest import tokenizer_hash

#: As transformers and llama.cpp have it: words with one sign in front, single digits, runs of signs, blanks.
PRETOKENIZER = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
FILE_NAME = "tokenizer.json"
#: The same for ASCII, in the terms of ``re``.
_ASCII_PRETOKEN = re.compile(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\nA-Za-z0-9]?[A-Za-z]+|[0-9]| ?[^\sA-Za-z0-9]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    re.ASCII,
)
#: A line and the blank ones below. No pre-token reaches over its end, for one that holds a line's end goes on to the
#: last one among the white space: it is tokenised the same whatever stands around it.
_STRETCH = re.compile(r"[^\n]*\n(?:\s*[\r\n])?|[^\n]+")
#: Of those last seen the ids are kept, in some 100 MB together.
_PRETOKENS_KEPT = _STRETCHES_KEPT = 1 << 17


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


class Encoder:
    """The ids that a tokenizer gives. Words and whole lines of code recur: those seen before cost a look-up."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.markers = markers(tokenizer)
        self._tokenizer = tokenizer
        self._lengths = byte_lengths(tokenizer)
        self._pretoken = lru_cache(_PRETOKENS_KEPT)(self._encode)
        self._stretch = lru_cache(_STRETCHES_KEPT)(self._encode_stretch)

    def ids(self, text: str) -> list[int]:
        """The ids of a text."""
        return list(chain.from_iterable(map(self._stretch, _STRETCH.findall(text))))

    def starts(self, text: str) -> list[int]:
        """The character that each id of a text begins with or in."""
        starts = [0, *accumulate(map(self._lengths.__getitem__, self.ids(text)))][:-1]
        if text.isascii():
            return starts
        data = np.frombuffer(text.encode(), dtype=np.uint8)
        character = np.cumsum((data & 0xC0) != 0x80) - 1  # of each byte: all but the first of one are 0b10xxxxxx
        return character[starts].tolist()

    def prompt(self, pieces: Sequence[Piece]) -> list[int]:
        """The ids of a rendered prompt."""
        return token_ids(list(pieces), self.ids, self.markers)

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(text).ids)

    def _encode_stretch(self, text: str) -> tuple[int, ...]:
        if not text.isascii():
            return self._encode(text)
        return tuple(chain.from_iterable(map(self._pretoken, _ASCII_PRETOKEN.findall(text))))


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
