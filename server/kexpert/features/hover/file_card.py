"""Cards of files that a text names: ``#include`` paths and pages under Documentation."""

from __future__ import annotations

import re

from kexpert.core.text import decode
from kexpert.features.hover.card import HoverCard, Place, Title, plain_text, restructured_text
from kexpert.features.hover.card_reader import CardReader
from kexpert.features.hover.comment_text import file_head

_UNDERLINE = re.compile(r"([=\-~^#*+\"'`.:_])\1{2,}\s*\Z")
_SKIPPED = re.compile(r"\s*(?:\.\.|:\w[\w ]*:|%YAML|---|#|\$id|\$schema)")
_PAGE_BYTES = 16384
_MAX_PARAGRAPH_CHARS = 1500


def include_card(reader: CardReader, name: str, path: str | None) -> HoverCard | None:
    """The header of an ``#include``; None if it is not in the tree."""
    data = reader.data(path) if path else None
    if path is None or data is None:
        return None
    card = HoverCard(name, "header" if path.endswith(".h") else "included file", place=Place(path, 0))
    card.documentation = plain_text(file_head(data))
    card.maintainers = reader.maintainers(path)
    return card


def documentation_card(reader: CardReader, name: str, path: str | None) -> HoverCard | None:
    """A page under Documentation: its title and its first paragraph."""
    data = reader.data(path) if path else None
    if path is None or data is None:
        return None
    title, paragraph = page_head(decode(data[:_PAGE_BYTES]))
    card = HoverCard(name, "documentation", place=Place(path, 0))
    card.documentation = (*((Title(title),) if title else ()), *restructured_text(paragraph))
    card.maintainers = reader.maintainers(path)
    return card


def page_head(text: str) -> tuple[str, str]:
    """(title, first paragraph) of a page in reStructuredText, of a YAML binding or of a plain text; "" for none."""
    lines = [line.rstrip() for line in text.splitlines()]
    title, at = _title(lines)
    paragraph: list[str] = []
    while at < len(lines):
        line = lines[at]
        following = lines[at + 1] if at + 1 < len(lines) else ""
        if not line and paragraph:
            break
        if _SKIPPED.match(line) and not paragraph:
            at += 1
            while at < len(lines) and lines[at].startswith("  ") and _SKIPPED.match(line):
                at += 1
            continue
        if line and not _UNDERLINE.match(line) and not (not paragraph and _UNDERLINE.match(following)):
            paragraph.append(line)
        at += 1
    return title, "\n".join(paragraph)[:_MAX_PARAGRAPH_CHARS]


def _title(lines: list[str]) -> tuple[str, int]:
    for at, line in enumerate(lines):
        if line.startswith("title:"):
            return line[len("title:") :].strip(" >|"), at + 1
        if line and _UNDERLINE.match(lines[at + 1] if at + 1 < len(lines) else "") and not _UNDERLINE.match(line):
            return line.strip(), at + 2
    first = next((at for at, line in enumerate(lines) if line and not _SKIPPED.match(line)), len(lines))
    if first + 1 < len(lines) and not lines[first + 1]:
        return lines[first].strip(), first + 1
    return "", first
