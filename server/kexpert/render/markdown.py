"""Markdown from plain text: what C names are made of (``_``, ``*``) must not turn into emphasis."""

from __future__ import annotations

import re

#: Inside a word ``_`` is no markup, and an editor that shows the text as it is would show a backslash.
_SPECIAL = re.compile(r"([\\`*\[\]<>|#~]|(?<!\w)_|_(?!\w))")
_BACKTICKS = re.compile(r"`+")


def escape(text: str) -> str:
    """Prose that renders as it is written."""
    return _SPECIAL.sub(r"\\\1", text)


def code(text: str) -> str:
    """An inline code span around text that may itself hold backticks."""
    text = re.sub(r"\s+", " ", text).strip()
    fence = "`" * (1 + max((len(run) for run in _BACKTICKS.findall(text)), default=0))
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def block(text: str, language: str = "c") -> str:
    """A fenced code block around text that may itself hold fences."""
    fence = "`" * max(3, 1 + max((len(run) for run in _BACKTICKS.findall(text)), default=0))
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
