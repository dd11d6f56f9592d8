"""A plain comment above a definition: its text becomes part of the kernel-doc comment, or it stays where it is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kexpert.core.docs.kerneldoc import comment_above, comment_text

_MAX_BRIEF_CHARS = 110
_SENTENCE = re.compile(r"(.+?[.!?])(?:\s+(?=[A-Z(@%&])|\Z)", re.S)
_NAMED = re.compile(r"(?:\w+\(\)|\w+)\s*(?:-{1,2}|:)\s+")
_FUNCTION_WORDS = re.compile(
    r"(?:this|the) (?:function|routine|helper|macro|structure|struct) (?:is (?:used|called) to |will )?", re.I
)
#: How a sentence begins that says when or how to call something, not what it does.
_NO_BRIEF = re.compile(
    r"(?:must|should|call(?:ed|er|s)?|note|nb|this|that|these|we|it|its|if|when|while|returns?|assum\w+|the caller|"
    r"we're|because|since|so|see|here|there|todo|fixme|xxx|hack|warning|copyright|spdx)\b",
    re.I,
)
_SEPARATOR = re.compile(rb"([-=*#~+])\1{4}")
_SECTION = re.compile(r"@[\w.]+\s*:|(?:description|context|returns?|notes?|examples?)\s*:(?!:)", re.I)


@dataclass(frozen=True, slots=True)
class PlainComment:
    """``span``: its bytes if the new comment replaces it; None if it stays above, because its form would be lost."""

    brief: str = ""
    description: tuple[str, ...] = ()
    span: tuple[int, int] | None = None


def plain_comment(data: bytes, start: int, name: str) -> PlainComment:
    """The comment directly above a definition, if it is prose about it."""
    span = comment_above(data, start)
    if span is None:
        return PlainComment()
    raw = data[span[0] : span[1]]
    text = comment_text(raw)
    if _SEPARATOR.search(raw):
        return PlainComment()  # the head of a part of the file
    if "SPDX-License" in text or "Copyright" in text or not any(char.isalpha() for char in text):
        return PlainComment()
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip()]
    brief, rest = _brief(paragraphs[0], name)
    if not _is_prose(text) or data[max(data.rfind(b"\n", 0, span[0]) + 1, 0) : span[0]].strip(b" \t"):
        return PlainComment(brief)
    if data[max(data.rfind(b"\n", 0, span[0]) + 1, 0) : span[0]]:
        return PlainComment(brief)  # indented
    description = tuple(part for part in ([rest, *paragraphs[1:]] if brief else paragraphs) if part)
    return PlainComment(brief, description, span)


def _brief(paragraph: str, name: str) -> tuple[str, str]:
    """(the first sentence as a brief line, what follows it); ("", …) if it says something else."""
    match = _NAMED.match(paragraph)
    text = paragraph[match.end() :] if match and match[0].rstrip(" -:").removesuffix("()") == name else paragraph
    found = _SENTENCE.match(text)
    sentence, rest = (found[1], text[found.end() :]) if found else (text, "")
    sentence = _FUNCTION_WORDS.sub("", sentence, count=1) if _FUNCTION_WORDS.match(sentence) else sentence
    sentence = sentence.rstrip(" .:;-")
    if not 8 <= len(sentence) <= _MAX_BRIEF_CHARS or _NO_BRIEF.match(sentence) or " " not in sentence:
        return "", paragraph
    if _SECTION.match(sentence):
        return "", paragraph
    return sentence, rest


def _is_prose(text: str) -> bool:
    """Paragraphs without lists, tables, code, or what kernel-doc would take for a section."""
    for line in text.split("\n"):
        if line.startswith((" ", "\t")) or "\t" in line or "  " in line.replace(".  ", ". ").strip():
            return False
        if _SECTION.match(line) or re.match(r"[-*+#|=~]|\d+[.)]\s|\w\)", line) or line.endswith(("::", ":")):
            return False
        if any(char in line for char in ("`", "|", "_ ")) or re.search(r"(?<!\w)\*\w|\w\*(?!\w)", line):
            return False
    return True
