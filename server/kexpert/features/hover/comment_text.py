"""The words of comments beside a line, above a line, and at the head of a file."""

from __future__ import annotations

import re

from kexpert.core.docs.kerneldoc import comment_above, comment_beside, comment_text
from kexpert.core.docs.named_paragraphs import paragraph_about

_HEAD = re.compile(rb"\s*(/\*.*?\*/|//[^\n]*(?:\n[ \t]*//[^\n]*)*)", re.S)
_LEGAL = re.compile(
    r"copyright|licen[cs]e|\(c\)|spdx|redistribut|warranty|all rights reserved|free software|permission is|"
    r"without limitation|foundation|merchantability|fitness for|liab(?:le|ility)|see the gnu|gpl|gnu general",
    re.I,
)
_AUTHOR = re.compile(
    r"(?:written|authors?|maintained|contact|initial|based on|ported|modified)\b.{0,30}[:@]|.*\S+@\S+\.\w+", re.I
)
_INSTRUCTION = re.compile(r"^\s*(?:private|public):\s*", re.I)
_FILE_NAME = re.compile(r"[\w./-]+\.[chS](?:\s*[-:]+\s*|\s*$)")
#: The comment after an ``#if`` or ``#endif``, which says nothing of what comes below.
_MACRO = re.compile(r"!?[A-Z_][A-Z0-9_]*")
_MAX_COMMENT_CHARS = 500
_MAX_PARAGRAPH_CHARS = 1500
_COMPARED_CHARS = 60
_HEAD_BYTES = 16384
_MAX_HEAD_COMMENTS = 4
_MAX_PARAGRAPHS = 2


def comment_beside_text(data: bytes, end: int) -> str:
    """The comment on the same line after a declaration that ends at ``end``; "" if there is none."""
    span = comment_beside(data, end)
    return " ".join(_described(data[span[0] : span[1]]).split())[:_MAX_COMMENT_CHARS] if span else ""


def comment_above_line(data: bytes, at: int) -> str:
    """The plain comment above the line that holds ``at``; "" for kernel-doc, which is about a whole definition."""
    span = comment_above(data, data.rfind(b"\n", 0, at) + 1)
    if span is None or data.startswith(b"/**", span[0]):
        return ""
    text = _described(data[span[0] : span[1]])[:_MAX_COMMENT_CHARS]
    return "" if _MACRO.fullmatch(text.strip()) else text


def _described(comment: bytes) -> str:
    """The words of a comment without ``private:`` and ``public:``, which are instructions to kernel-doc."""
    return _INSTRUCTION.sub("", comment_text(comment))


def about_constant(data: bytes, name: str, own: str) -> str:
    """What the comments of a file say of a constant; "" for nothing. ``own``: the comment at it, which may describe
    many constants; then the paragraph about this one is meant."""
    listed = paragraph_about(data, name)[:_MAX_PARAGRAPH_CHARS]
    beginning = "".join(listed.split())[:_COMPARED_CHARS]
    return own if own and not (beginning and beginning in "".join(own.split())) else listed


def file_head(data: bytes) -> str:
    """The description in the comments at the head of a file, without authors, copyright and licence."""
    at = 0
    window = data[:_HEAD_BYTES]
    for _ in range(_MAX_HEAD_COMMENTS):
        match = _HEAD.match(window, at)
        if match is None:
            break
        at = match.end()
        description = _description(comment_text(match[1]))
        if description:
            return description
    return ""


def _description(text: str) -> str:
    paragraphs: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text):
        if _LEGAL.search(paragraph) and not _descriptive_lines(paragraph):
            if paragraphs:
                break
            continue
        kept = " ".join(_descriptive_lines(paragraph)).strip(" *-=#/")
        if kept and any(char.isalpha() for char in kept):
            paragraphs.append(kept)
        if len(paragraphs) == _MAX_PARAGRAPHS:
            break
    return "\n\n".join(paragraphs)


def _descriptive_lines(paragraph: str) -> list[str]:
    """The lines of a paragraph about the file, up to the first one about copyright or licence."""
    kept: list[str] = []
    for line in paragraph.splitlines():
        line = line.strip()
        if _LEGAL.search(line):
            break
        line = _FILE_NAME.sub("", line, count=1) if _FILE_NAME.match(line) else line
        if line and not _AUTHOR.match(line) and not line.startswith(("-*-", "vim:")):
            kept.append(line)
    return kept
