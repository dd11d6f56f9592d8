"""A file cut into what search finds: functions, records, macros, head comments, sections, options."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import pairwise

from kexpert.core.c.extract import extract
from kexpert.core.docs.kerneldoc import comment_above, comment_text, parse_kerneldoc
from kexpert.core.kernel.kconfig import parse_kconfig
from kexpert.core.symbols import FileFacts, Flag, Kind, Symbol
from kexpert.core.text import decode

_MAX_BODY_BYTES = 16_000  # bytes of code that a chunk carries: what a longer one does stands in its beginning
_MAX_SUMMARY_CHARS = 4_000  # characters
_MAX_SECTION_LINES = 2_000  # lines of a Documentation file's section
_MIN_MACRO_BYTES = 100  # a shorter macro on one line says nothing that its name does not
_HEAD_BYTES = 200  # of a comment that describes its file

#: ``{ }``, ``{ return 0; }``: what stands in a header where an option is off.
_EMPTY_BODY = re.compile(rb"\{\s*(?:return\b[^;{}()]{0,60};|return\s+ERR_PTR\([^;{}()]{0,40}\);)?\s*\}\s*\Z")
_LICENCE = re.compile(r"SPDX-License-Identifier|Copyright|\(c\)|All rights reserved|<[\w.+-]+@[\w.-]+>", re.IGNORECASE)
_LEGALESE = re.compile(
    r"General Public License|WITHOUT WARRANTY|hereby granted|Redistribution|free software", re.IGNORECASE
)
_UNDERLINE = re.compile(r"([=\-~^*\"'#.+`:_])\1{2,}\s*")
_DOC_SUFFIXES = (".rst", ".txt")
_CODE_SUFFIXES = (".c", ".h")


class ChunkKind(IntEnum):
    """What a chunk is cut from. The numbers are stored: append, never renumber."""

    FUNCTION = 1  # with its kernel-doc
    STRUCT = 2  # or union, or enum
    MACRO = 3  # of some length
    FILE = 4  # the comment at a file's head
    SECTION = 5  # of a text under Documentation/
    CONFIG = 6  # a Kconfig entry


#: The kinds that are code, not words about it.
CODE_KINDS = frozenset((ChunkKind.FUNCTION, ChunkKind.STRUCT, ChunkKind.MACRO))

_KINDS = {
    Kind.FUNCTION: ChunkKind.FUNCTION, Kind.SYSCALL: ChunkKind.FUNCTION,
    Kind.STRUCT: ChunkKind.STRUCT, Kind.UNION: ChunkKind.STRUCT, Kind.ENUM: ChunkKind.STRUCT,
    Kind.MACRO: ChunkKind.MACRO,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Chunk:
    """One thing that search can find. ``start``/``end`` are bytes of the file, without the comment above."""

    path: str
    kind: ChunkKind
    name: str  # of the symbol; a section's heading; "" for a file's head
    line: int  # 0-based
    start: int
    end: int
    summary: str = ""  # what its author says it is: kernel-doc, comment, help text
    body: str = ""  # the code itself, or a section's text
    ordinal: int = 0  # among the chunks of this kind and name in the file

    @property
    def content(self) -> bytes:
        """A digest of all that an embedding is made from."""
        text = "\0".join((self.path, self.name, self.summary, self.body))
        return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()

    @property
    def id(self) -> str:
        """The same as long as the thing and its text are: 32 hexadecimal digits."""
        key = f"{self.path}\0{self.kind:d}\0{self.name}\0{self.ordinal}\0".encode("utf-8", "surrogateescape")
        return hashlib.blake2b(key + self.content, digest_size=16).hexdigest()


def chunks(path: str, data: bytes, facts: FileFacts | None = None) -> list[Chunk]:
    """The chunks of one file in order of position; ``facts``, where known, saves reading it for symbols."""
    name = path.rpartition("/")[2]
    if name.endswith(_CODE_SUFFIXES):
        if is_generated(path):
            return []
        found: Iterable[Chunk] = _code(path, data, facts if facts is not None else extract(path, data))
    elif name.startswith("Kconfig"):
        found = _options(path, data)
    elif is_documentation(path):
        found = _sections(path, data)
    else:
        return []
    return list(_numbered(found))


def is_documentation(path: str) -> bool:
    """Whether a file's sections are chunks: the symbol index does not know such a file."""
    return path.startswith("Documentation/") and path.endswith(_DOC_SUFFIXES)


def is_generated(path: str) -> bool:
    """Whether a file holds tables that a tool wrote: register headers, four tenths of a tree's bytes."""
    return path.startswith("drivers/gpu/drm/amd/include/")


def _numbered(found: Iterable[Chunk]) -> Iterator[Chunk]:
    """Ordinals for those of one kind and name; what repeats another word for word is left out."""
    seen: Counter[tuple[ChunkKind, str]] = Counter()
    texts: set[tuple[ChunkKind, str, str, str]] = set()
    for chunk in found:
        text = (chunk.kind, chunk.name, chunk.summary, chunk.body)
        if text in texts:
            continue
        texts.add(text)
        key = (chunk.kind, chunk.name)
        yield replace(chunk, ordinal=seen[key]) if seen[key] else chunk
        seen[key] += 1


# -- C -------------------------------------------------------------------------------------------


def _code(path: str, data: bytes, facts: FileFacts) -> Iterator[Chunk]:
    head = _head(path, data)
    if head is not None:
        yield head
    for symbol in facts.symbols:
        kind = _KINDS.get(symbol.kind)
        if kind is None or not 0 <= symbol.start < symbol.end <= len(data):
            continue
        if kind is not ChunkKind.FUNCTION and not _says_something(symbol, data):
            continue
        summary = _summary(data, symbol.start)
        if kind is ChunkKind.FUNCTION and not summary and _is_stub(symbol, data):
            continue
        body = decode(data[symbol.start : min(symbol.end, symbol.start + _MAX_BODY_BYTES)])
        yield Chunk(path, kind, symbol.name, symbol.line, symbol.start, symbol.end, summary, body)


def _says_something(symbol: Symbol, data: bytes) -> bool:
    if symbol.kind is Kind.MACRO:
        return symbol.end - symbol.start >= _MIN_MACRO_BYTES and b"\n" in data[symbol.start : symbol.end]
    return data.find(b"{", symbol.start, symbol.end) >= 0


def _is_stub(symbol: Symbol, data: bytes) -> bool:
    """Whether this stands for a function that is configured out: the real one is found elsewhere."""
    if not symbol.flags & Flag.INLINE or symbol.end - symbol.start > 400:
        return False
    return _EMPTY_BODY.search(data[symbol.start : symbol.end]) is not None


def _summary(data: bytes, start: int) -> str:
    span = comment_above(data, start)
    return _said(data[span[0] : span[1]]) if span else ""


def _said(comment: bytes) -> str:
    """What a comment says, without its marks and the name of what it stands above."""
    doc = parse_kerneldoc(comment)
    if doc is None:
        return comment_text(comment)[:_MAX_SUMMARY_CHARS]
    parts = [doc.summary, doc.description, *(f"{param.name}: {param.text}" for param in doc.params)]
    parts += [doc.context, doc.returns, *(text for _, text in doc.sections)]
    return "\n".join(part for part in parts if part)[:_MAX_SUMMARY_CHARS]


def _head(path: str, data: bytes) -> Chunk | None:
    """The comment that says what a file is for, its licence left out."""
    at, end, said = 0, 0, []
    for _ in range(4):
        while data[at : at + 1].isspace():
            at += 1
        if data.startswith(b"/*", at):
            close = data.find(b"*/", at + 2)
            close = close + 2 if close >= 0 else len(data)
        elif data.startswith(b"//", at):
            close = data.find(b"\n", at)
            close = close if close >= 0 else len(data)
        else:
            break
        said += _plain(comment_text(data[at : min(close, at + 2 * _MAX_BODY_BYTES)]))
        at = end = close
    text = "\n".join(said).strip()[:_MAX_SUMMARY_CHARS]
    if len(text) < _HEAD_BYTES // 4:
        return None
    return Chunk(path, ChunkKind.FILE, "", 0, 0, end, text, "")


def _plain(text: str) -> list[str]:
    """The paragraphs of a comment that are no licence, copyright or address."""
    kept = []
    for paragraph in re.split(r"\n[ \t]*\n", text):
        if not _LEGALESE.search(paragraph):
            kept += [line for line in paragraph.split("\n") if not _LICENCE.search(line)]
    return kept


# -- Kconfig and Documentation -------------------------------------------------------------------


def _options(path: str, data: bytes) -> Iterator[Chunk]:
    for entry in parse_kconfig(data, path).entries:
        if entry.name and entry.kind in ("config", "menuconfig") and (entry.prompt or entry.help):
            summary = "\n".join(part for part in (entry.prompt, entry.help) if part)[:_MAX_SUMMARY_CHARS]
            body = " ".join([*entry.depends, *(name for name, _ in entry.selects), *entry.menus])[:_MAX_BODY_BYTES]
            name = f"CONFIG_{entry.name}"
            yield Chunk(path, ChunkKind.CONFIG, name, entry.line, entry.start, entry.end, summary, body)


def _sections(path: str, data: bytes) -> Iterator[Chunk]:
    """Each underlined heading with the text below it."""
    lines = decode(data).split("\n")
    headings = [at for at in range(len(lines) - 1) if _is_heading(lines, at)]
    offsets = _line_offsets(lines)
    for at, following in pairwise([*headings, len(lines)]):
        text = "\n".join(lines[at + 2 : min(following, at + _MAX_SECTION_LINES)]).strip()
        if text:
            title = lines[at].strip()
            start, end = offsets[at], offsets[following]
            yield Chunk(path, ChunkKind.SECTION, title, at, start, end, title, text[:_MAX_BODY_BYTES])


def _is_heading(lines: list[str], at: int) -> bool:
    title, below = lines[at].strip(), lines[at + 1].rstrip()
    if not title or len(title) > 200 or not _UNDERLINE.fullmatch(below) or _UNDERLINE.fullmatch(title):
        return False
    return len(below) >= min(len(title), 200) and any(c.isalpha() for c in title) and not lines[at].startswith("\t")


def _line_offsets(lines: list[str]) -> list[int]:
    """Where each line begins in bytes, and at last where the text ends."""
    offsets, at = [], 0
    for line in lines:
        offsets.append(at)
        at += len(line.encode("utf-8", "surrogateescape")) + 1
    return [*offsets, at - 1]
