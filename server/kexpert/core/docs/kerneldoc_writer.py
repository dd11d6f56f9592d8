"""Writing kernel-doc comments, wrapped as kernel code is.

``kerneldoc.comment_template`` writes one for the user to fill in; this module writes one with texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_MAX_COLUMNS = 80
_INDENT = "    "  # of a continued text
_SPACE = re.compile(r"\s+")
#: At the start of a line these would begin a section or a parameter.
_MARK = re.compile(r"(@?[\w.]+)\s*:(?!:)")
_SECTIONS = ("description", "context", "return", "returns", "note", "notes", "example", "examples")


@dataclass(frozen=True, slots=True)
class CommentTexts:
    """The texts of a comment. ``params`` are (name, text), in order. Empty texts are left out with their marks."""

    title: str  # "foo()", "struct foo"
    brief: str
    params: Sequence[tuple[str, str]] = ()
    #: Paragraphs.
    description: Sequence[str] = ()
    context: str = ""
    returns: str = ""


def write_comment(texts: CommentTexts) -> str:
    """The comment from ``/**`` to ``*/``, without a newline at its end."""
    lines = _wrapped(f"{texts.title} - {one_line(texts.brief)}", _INDENT)
    for name, text in texts.params:
        lines += param_lines(name, text)
    for paragraph in texts.description:
        lines += ["", *_wrapped(one_line(paragraph), "")]
    sections = [section_lines(*section) for section in (("Context", texts.context), ("Return", texts.returns))]
    sections = [section for section in sections if section]
    if sections:
        lines.append("")
        lines += [line for section in sections for line in section]
    return "\n".join(["/**", *comment_lines(lines), " */"])


def param_lines(name: str, text: str) -> list[str]:
    """``@name: text`` without the comment's margin."""
    return _wrapped(f"@{name}: {one_line(text)}", _INDENT)


def section_lines(title: str, text: str) -> list[str]:
    """``Return: text`` without the comment's margin; [] for no text."""
    return _wrapped(f"{title}: {one_line(text)}", "") if text else []


def comment_lines(lines: Iterable[str]) -> list[str]:
    """Lines with the margin of a comment."""
    return [f" * {line}".rstrip() for line in lines]


def one_line(text: str) -> str:
    """A text that fits into a comment: on one line, and without the end of a comment."""
    return _SPACE.sub(" ", text.replace("*/", "* /").replace("/*", "/ *")).strip()


def _wrapped(text: str, indent: str) -> list[str]:
    """Lines of at most 80 columns with the margin; continued ones are indented and begin with no mark of a section."""
    room = _MAX_COLUMNS - len(" * ")
    lines: list[str] = []
    current = ""
    for word in _pieces(text):
        wide = f"{current} {word}" if current else word
        if current and len(wide) > room and not _begins_section(word):
            lines.append(current)
            current = indent + word
        else:
            current = wide
    return [*lines, current]


def _pieces(text: str) -> list[str]:
    """The words of a text; code between double backticks is not divided if it is short."""
    pieces: list[str] = []
    for at, part in enumerate(text.split("``")):
        if at % 2 and len(part) <= 40:
            part = part.replace(" ", "\0")
        pieces.append(part)
    return [word.replace("\0", " ") for word in "``".join(pieces).split(" ") if word]


def _begins_section(word: str) -> bool:
    match = _MARK.match(word)
    return match is not None and (match[1].startswith("@") or match[1].lower() in _SECTIONS)
