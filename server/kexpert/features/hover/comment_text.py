"""The comments that go with a line rather than a definition: beside it, and at the head of a file."""

from __future__ import annotations

import re

from kexpert.core.docs.kerneldoc import comment_above, comment_beside, comment_text

_HEAD = re.compile(rb"\s*(/\*.*?\*/|//[^\n]*(?:\n[ \t]*//[^\n]*)*)", re.S)
_LEGAL = re.compile(
    r"copyright|licen[cs]e|\(c\)|spdx|redistribut|warranty|all rights reserved|free software|permission is|"
    r"without limitation|foundation|merchantability|fitness for|liab(?:le|ility)|see the gnu|gpl|gnu general",
    re.I,
)
_AUTHOR = re.compile(
    r"(?:written|authors?|maintained|contact|initial|based on|ported|modified)\b.{0,30}[:@]|.*\S+@\S+\.\w+", re.I
)
_FILE_NAME = re.compile(r"[\w./-]+\.[chS](?:\s*[-:]+\s*|\s*$)")
_MAX_BESIDE = 500
_HEAD_WINDOW = 16384
_MAX_PARAGRAPHS = 2


def beside(data: bytes, end: int) -> str:
    """The words of the comment behind what ends at ``end``, on the same line; "" when there is none."""
    span = comment_beside(data, end)
    return " ".join(comment_text(data[span[0] : span[1]]).split())[:_MAX_BESIDE] if span else ""


def above_line(data: bytes, at: int) -> str:
    """The words of the plain comment above the line that holds ``at``; kernel-doc belongs to a whole definition."""
    span = comment_above(data, data.rfind(b"\n", 0, at) + 1)
    if span is None or data.startswith(b"/**", span[0]):
        return ""
    return comment_text(data[span[0] : span[1]])[:_MAX_BESIDE]


def file_head(data: bytes) -> str:
    """What the comments at the head of a file say of it, authors, copyright and licence left out."""
    at = 0
    window = data[:_HEAD_WINDOW]
    for _ in range(4):
        match = _HEAD.match(window, at)
        if match is None:
            break
        at = match.end()
        told = _told(comment_text(match[1]))
        if told:
            return told
    return ""


def _told(text: str) -> str:
    paragraphs: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text):
        if _LEGAL.search(paragraph) and not _kept_lines(paragraph):
            if paragraphs:
                break
            continue
        kept = " ".join(_kept_lines(paragraph)).strip(" *-=#/")
        if kept and any(char.isalpha() for char in kept):
            paragraphs.append(kept)
        if len(paragraphs) == _MAX_PARAGRAPHS:
            break
    return "\n\n".join(paragraphs)


def _kept_lines(paragraph: str) -> list[str]:
    """The lines of a paragraph that tell something; none once the law begins."""
    kept: list[str] = []
    for line in paragraph.splitlines():
        line = line.strip()
        if _LEGAL.search(line):
            break
        line = _FILE_NAME.sub("", line, count=1) if _FILE_NAME.match(line) else line
        if line and not _AUTHOR.match(line) and not line.startswith(("-*-", "vim:")):
            kept.append(line)
    return kept
