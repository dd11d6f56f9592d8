"""Chunking: the functions, records, macros, head comments, sections and options of a file that search can find."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import pairwise

from kexpert.core.c.lex import comment_spans
from kexpert.core.docs.kerneldoc import comment_above, comment_text, parse_kerneldoc
from kexpert.core.kernel.kconfig import parse_kconfig
from kexpert.core.symbols import FileFacts, Flag, Kind, Symbol
from kexpert.core.text import decode

_MAX_BODY_BYTES = 16_000  # of code in a chunk; the beginning of a longer function tells what it does
_MAX_SUMMARY_CHARS = 4_000
_MAX_INNER_BYTES = 3_000  # of the comments inside a chunk
_MAX_SECTION_LINES = 2_000  # of a section under Documentation/
_MIN_MACRO_BYTES = 100  # a shorter macro tells no more than its name
_MIN_HEAD_CHARS = 50  # of a comment that describes its file

#: ``{ }``, ``{ return 0; }``: the stub in a header for a disabled option.
_EMPTY_BODY = re.compile(rb"\{\s*(?:return\b[^;{}()]{0,60};|return\s+ERR_PTR\([^;{}()]{0,40}\);)?\s*\}\s*\Z")
_LICENCE = re.compile(r"SPDX-License-Identifier|Copyright|\(c\)|All rights reserved|<[\w.+-]+@[\w.-]+>", re.IGNORECASE)
_LEGALESE = re.compile(
    r"General Public License|WITHOUT WARRANTY|hereby granted|Redistribution|free software", re.IGNORECASE
)
_UNDERLINE = re.compile(r"([=\-~^*\"'#.+`:_])\1{2,}\s*")
_DOC_SUFFIXES = (".rst", ".txt")
_CODE_SUFFIXES = (".c", ".h")


class ChunkKind(IntEnum):
    """The kind of thing that a chunk holds. The numbers are stored: append, never renumber."""

    FUNCTION = 1  # with its kernel-doc
    STRUCT = 2  # or union, or enum
    MACRO = 3  # with several lines
    FILE = 4  # the comment at the head of a file
    SECTION = 5  # of a file under Documentation/
    CONFIG = 6  # a Kconfig entry


#: The kinds that hold code, not documentation.
CODE_KINDS = frozenset((ChunkKind.FUNCTION, ChunkKind.STRUCT, ChunkKind.MACRO))

_KINDS = {
    Kind.FUNCTION: ChunkKind.FUNCTION, Kind.SYSCALL: ChunkKind.FUNCTION,
    Kind.STRUCT: ChunkKind.STRUCT, Kind.UNION: ChunkKind.STRUCT, Kind.ENUM: ChunkKind.STRUCT,
    Kind.MACRO: ChunkKind.MACRO,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Chunk:
    """One thing that search can find. ``start`` and ``end`` are byte offsets, without the comment above."""

    path: str
    kind: ChunkKind
    name: str  # of the symbol; the heading of a section; "" for FILE
    line: int  # 0-based
    start: int
    end: int
    summary: str = ""  # kernel-doc, comment or help text
    body: str = ""  # the code without comments, or the text of a section
    inner: str = ""  # the comments inside the code, with their marks
    ordinal: int = 0  # among the chunks of the same kind and name in the file

    @property
    def content(self) -> bytes:
        """A digest of everything that is stored of the text."""
        text = "\0".join((self.path, self.name, self.summary, self.body, self.inner))
        return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()

    @property
    def id(self) -> str:
        """An identifier, 32 hexadecimal digits. It changes when the path, the name or the text changes."""
        key = f"{self.path}\0{self.kind:d}\0{self.name}\0{self.ordinal}\0".encode("utf-8", "surrogateescape")
        return hashlib.blake2b(key + self.content, digest_size=16).hexdigest()


def chunks(path: str, data: bytes, facts: FileFacts | None = None) -> list[Chunk]:
    """The chunks of one file, in order of position. Without ``facts``, the file is extracted here."""
    name = path.rpartition("/")[2]
    if name.endswith(_CODE_SUFFIXES):
        if is_generated(path):
            return []
        if facts is None:
            from kexpert.core.c.extract import extract  # most that know chunks never make one

            facts = extract(path, data)
        found: Iterable[Chunk] = _code(path, data, facts)
    elif name.startswith("Kconfig"):
        found = _options(path, data)
    elif is_documentation(path):
        found = _sections(path, data)
    else:
        return []
    return list(_numbered(found))


def is_documentation(path: str) -> bool:
    """Return True for a file whose sections are chunks. The symbol index does not contain such files."""
    return path.startswith("Documentation/") and path.endswith(_DOC_SUFFIXES)


def is_generated(path: str) -> bool:
    """Return True for generated register headers, which are four tenths of the bytes of a tree."""
    return path.startswith("drivers/gpu/drm/amd/include/")


def _numbered(found: Iterable[Chunk]) -> Iterator[Chunk]:
    """Number chunks of the same kind and name, and leave out exact repetitions."""
    seen: Counter[tuple[ChunkKind, str]] = Counter()
    texts: set[tuple[ChunkKind, str, str, str, str]] = set()
    for chunk in found:
        text = (chunk.kind, chunk.name, chunk.summary, chunk.body, chunk.inner)
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
        if kind is not ChunkKind.FUNCTION and not _has_content(symbol, data):
            continue
        summary = _summary(data, symbol.start)
        if kind is ChunkKind.FUNCTION and not summary and _is_stub(symbol, data):
            continue
        body, inner = split_comments(data[symbol.start : min(symbol.end, symbol.start + _MAX_BODY_BYTES)])
        yield Chunk(path, kind, symbol.name, symbol.line, symbol.start, symbol.end, summary, body, inner)


def split_comments(code: bytes) -> tuple[str, str]:
    """Return (code without its comments, the comments)."""
    kept, comments, at = [], [], 0
    for start, end in comment_spans(code):
        kept.append(code[at:start])
        comments.append(code[start:end])
        at = end
    if not comments:
        return decode(code), ""
    return decode(b" ".join([*kept, code[at:]])), decode(b" ".join(comments)[:_MAX_INNER_BYTES])


def _has_content(symbol: Symbol, data: bytes) -> bool:
    if symbol.kind is Kind.MACRO:
        return symbol.end - symbol.start >= _MIN_MACRO_BYTES and b"\n" in data[symbol.start : symbol.end]
    return data.find(b"{", symbol.start, symbol.end) >= 0


def _is_stub(symbol: Symbol, data: bytes) -> bool:
    """Return True for the stub of a function that is configured out. The real function is a chunk elsewhere."""
    if not symbol.flags & Flag.INLINE or symbol.end - symbol.start > 400:
        return False
    return _EMPTY_BODY.search(data[symbol.start : symbol.end]) is not None


def _summary(data: bytes, start: int) -> str:
    span = comment_above(data, start)
    return _comment_summary(data[span[0] : span[1]]) if span else ""


def _comment_summary(comment: bytes) -> str:
    """The text of a comment without its marks and without the name of what it documents."""
    doc = parse_kerneldoc(comment)
    if doc is None:
        return comment_text(comment)[:_MAX_SUMMARY_CHARS]
    parts = [doc.summary, doc.description, *(f"{param.name}: {param.text}" for param in doc.params)]
    parts += [doc.context, doc.returns, *(text for _, text in doc.sections)]
    return "\n".join(part for part in parts if part)[:_MAX_SUMMARY_CHARS]


def _head(path: str, data: bytes) -> Chunk | None:
    """The comments at the head of a file that describe it, without the licence; None if they say too little."""
    at, end, lines = 0, 0, []
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
        lines += _plain(comment_text(data[at : min(close, at + 2 * _MAX_BODY_BYTES)]))
        at = end = close
    text = "\n".join(lines).strip()[:_MAX_SUMMARY_CHARS]
    if len(text) < _MIN_HEAD_CHARS:
        return None
    return Chunk(path, ChunkKind.FILE, "", 0, 0, end, text, "")


def _plain(text: str) -> list[str]:
    """The lines of a comment without licence, copyright and addresses."""
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
    """Yield each underlined heading with the text below it."""
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
    """The byte offset of each line, then the end of the text."""
    offsets, at = [], 0
    for line in lines:
        offsets.append(at)
        at += len(line.encode("utf-8", "surrogateescape")) + 1
    return [*offsets, at - 1]
