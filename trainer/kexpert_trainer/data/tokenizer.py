"""Byte-level BPE for kernel C: Qwen2's pre-tokenizer, and marker tokens for FIM and files.

There is no normalizer, so decoding returns the encoded text byte for byte. The pre-tokenizer's regex is the one that
llama.cpp calls ``qwen2``, so a GGUF of a model trained here tokenises identically.
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
from kexpert_trainer.errors import UserError

#: The regex of transformers and llama.cpp: words with one sign in front, single digits, runs of signs, white space.
PRETOKENIZER = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
FILE_NAME = "tokenizer.json"
#: The same for ASCII text, for ``re``.
_ASCII_PRETOKEN = re.compile(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\nA-Za-z0-9]?[A-Za-z]+|[0-9]| ?[^\sA-Za-z0-9]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    re.ASCII,
)
#: A line and the blank lines below it. No pre-token crosses its end, because a pre-token with a line end extends to the
#: last line end of the white space; so a line is tokenised the same in any context.
_LINE = re.compile(r"[^\n]*\n(?:\s*[\r\n])?|[^\n]+")
#: Sizes of the two caches; together they take about 100 MB.
_CACHED_PRETOKENS = _CACHED_LINES = 1 << 17


def train(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """Train a tokenizer of ``vocabulary`` entries: markers (ids from 0), the 256 bytes, then merges by frequency."""
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
    """Read a ``tokenizer.json``. Raises UserError if it is missing, broken, or lacks a marker."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; make it with kexpert-train tokenizer")
    try:
        tokenizer = _literal(Tokenizer.from_file(str(path)))
    except Exception as problem:  # tokenizers raises nothing more specific
        raise UserError(f"{path}: not a tokenizer.json ({problem}); make it with kexpert-train tokenizer") from None
    markers(tokenizer)
    return tokenizer


def _literal(tokenizer: Tokenizer) -> Tokenizer:
    """Encode a marker's name in a text as text. tokenizer.json does not store this setting."""
    tokenizer.encode_special_tokens = True
    return tokenizer


def markers(tokenizer: Tokenizer) -> dict[Marker, int]:
    """The id of every marker. Raises UserError for a tokenizer that lacks one."""
    found: dict[Marker, int] = {}
    for marker in Marker:
        token_id = tokenizer.token_to_id(marker.value)
        if token_id is None:
            raise UserError(f"the tokenizer has no {marker.value}; make it with kexpert-train tokenizer")
        found[marker] = token_id
    return found


class Encoder:
    """Encodes text as the tokenizer does, with caches of words and lines, which recur in code."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.markers = markers(tokenizer)
        self._tokenizer = tokenizer
        self._lengths = byte_lengths(tokenizer)
        self._pretoken = lru_cache(_CACHED_PRETOKENS)(self._encode)
        self._line = lru_cache(_CACHED_LINES)(self._encode_line)

    def ids(self, text: str) -> list[int]:
        """The ids of a text."""
        return list(chain.from_iterable(map(self._line, _LINE.findall(text))))

    def starts(self, text: str) -> list[int]:
        """The character offset at which each id begins; for an id within a character, that character's."""
        starts = [0, *accumulate(map(self._lengths.__getitem__, self.ids(text)))][:-1]
        if text.isascii():
            return starts
        data = np.frombuffer(text.encode(), dtype=np.uint8)
        character = np.cumsum((data & 0xC0) != 0x80) - 1  # of each byte; continuation bytes are 0b10xxxxxx
        offsets: list[int] = character[starts].tolist()
        return offsets

    def prompt(self, pieces: Sequence[Piece]) -> list[int]:
        """The ids of a rendered prompt."""
        return token_ids(list(pieces), self.ids, self.markers)

    def _encode(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(text).ids)

    def _encode_line(self, text: str) -> tuple[int, ...]:
        if not text.isascii():
            return self._encode(text)
        return tuple(chain.from_iterable(map(self._pretoken, _ASCII_PRETOKEN.findall(text))))


def vocabulary(tokenizer: Tokenizer) -> list[str]:
    """Every token in the order of the ids, in the byte-level alphabet (a space is ``Ġ``)."""
    tokens = (tokenizer.id_to_token(at) for at in range(tokenizer.get_vocab_size()))
    return [token if token is not None else "" for token in tokens]


def identity(tokenizer: Tokenizer) -> str:
    """The hash by which ``model.json`` names the tokenizer."""
    return tokenizer_hash(vocabulary(tokenizer))


def byte_lengths(tokenizer: Tokenizer) -> list[int]:
    """Bytes of text that each id encodes, 0 for a marker; the denominator of bits per byte."""
    named = {marker.value for marker in Marker}
    # In the byte-level alphabet one character is one byte.
    return [0 if token in named else len(token) for token in vocabulary(tokenizer)]


def summary(tokenizer: Tokenizer) -> dict[str, int | str]:
    """The summary that commands print."""
    return {"vocabulary": tokenizer.get_vocab_size(), "identity": identity(tokenizer)}
