"""What a GGUF says about itself: enough to tell which abilities a model has, without loading it.

The format is https://github.com/ggml-org/ggml/blob/master/docs/gguf.md: a header, then pairs of key and value.
Files are not trusted: every length is checked against the size of the file.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_STRING, _ARRAY = 8, 9
#: Number of a type in the file -> format of ``struct``.
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
#: Arrays that are read; the others are skipped.
_TOKENS = "tokenizer.ggml.tokens"


class GgufError(ValueError):
    """A file is no GGUF that can be read; the message says why, in a few words."""


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """The entries of a GGUF that kexpert asks for; "" and () where they are absent."""

    architecture: str
    kind: str  # "model", or "adapter" for a LoRA
    name: str
    chat_template: str
    tokens: tuple[str, ...]


def read_header(path: Path) -> GgufHeader:
    """Read the header of a GGUF. Raises GgufError, or OSError if the file cannot be read."""
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise GgufError("is no GGUF")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                found = dict(_Reader(data).entries())
            except struct.error:
                raise GgufError("is cut short") from None

    def text(key: str) -> str:
        value = found.get(key, "")
        return value if isinstance(value, str) else ""

    return GgufHeader(
        text("general.architecture"),
        text("general.type") or "model",
        text("general.name"),
        text("tokenizer.chat_template"),
        found.get(_TOKENS, ()),
    )


class _Reader:
    """Reads values one after the other. ``struct.error`` means that the file is cut short."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._at = len(_MAGIC)

    def entries(self) -> Iterator[tuple[str, Any]]:
        """Yield every key with a value that is a scalar or a string, and the tokens."""
        version = self._scalar("<I")
        if version not in _VERSIONS:
            raise GgufError(f"has version {version} of the format, this kexpert reads {_VERSIONS}")
        self._scalar("<Q")  # number of tensors
        for _ in range(self._scalar("<Q")):  # ends by struct.error if the number is a lie
            key, kind = self._string(), self._scalar("<I")
            if kind in _SCALARS:
                yield key, self._scalar(_SCALARS[kind])
            elif kind == _STRING:
                yield key, self._string()
            elif kind == _ARRAY:
                strings = self._array(keep=key == _TOKENS)
                if key == _TOKENS:
                    yield key, strings
            else:
                raise GgufError(f"is damaged: {key[:40]!r} has type {kind}")

    def _array(self, keep: bool) -> tuple[str, ...]:
        """Skip an array; return its strings if ``keep``."""
        kind, count = self._scalar("<I"), self._scalar("<Q")
        if kind in _SCALARS:
            self._skip(count * struct.calcsize(_SCALARS[kind]))
            return ()
        if kind != _STRING:
            raise GgufError("is damaged: it has an array of arrays")
        if not keep:
            for _ in range(count):
                self._skip(self._scalar("<Q"))
            return ()
        return tuple([self._string() for _ in range(count)])

    def _scalar(self, form: str) -> Any:
        (value,) = struct.unpack_from(form, self._data, self._at)
        self._at += struct.calcsize(form)
        return value

    def _string(self) -> str:
        size, start = self._scalar("<Q"), self._at
        self._skip(size)
        return self._data[start : self._at].decode("utf-8", "replace")

    def _skip(self, size: int) -> None:
        if size > len(self._data) - self._at:
            raise struct.error
        self._at += size
