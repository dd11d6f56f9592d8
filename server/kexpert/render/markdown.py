"""Answers as Markdown. The characters of C names (``_``, ``*``) must not turn into emphasis."""

from __future__ import annotations

import re
from collections.abc import Callable

from kexpert.core.docs import rst
from kexpert.features.hover.card import HoverCard
from kexpert.render.hover_card import write_card
from kexpert.render.markup import Markup

#: What Markdown would read as markup, and no more: some editors show the backslash. Names like ``__init`` become code.
_SPECIAL = re.compile(
    r"(?P<name>(?<!\w)_+[A-Za-z]\w*)"
    r"|\\(?=[!-/:-@\[-`{-~])|[`|]|(?<!\w)_(?!\w)|<(?=[A-Za-z/!?])|~(?=~)|(?<=~)~"
)
_BRACKETS = re.compile(r"[\[\]]")
_LIKE_A_LINK = re.compile(r"\][(\[:]")
#: At the beginning of a line.
_BLOCK = re.compile(r"^( {0,3})(#{1,6}(?=\s)|>|\*(?=\s))", re.M)
#: But for one between blanks.
_STAR = re.compile(r"(?<!\\)(?!(?<=\S )\* )\*")
_BACKTICKS = re.compile(r"`+")


def hover_card(card: HoverCard, link: Callable[[str, int], str] | None = None) -> str:
    """The card of a hover. ``link`` gives the target of a place, by path and line from 0."""
    return write_card(card, _MARKDOWN if link is None else _LinkedMarkdown(link))


def completion_card(card: HoverCard) -> str:
    """The card of a completion item: without rules, which the menus of some editors show as they are written."""
    return write_card(card, _WITHOUT_RULES)


def signature_documentation(text: str) -> str:
    """A sentence of kernel-doc in signature help, as its author wrote it."""
    return text


def escape(text: str) -> str:
    """Prose that renders as it is written."""
    escaped = _BLOCK.sub(r"\1\\\2", _SPECIAL.sub(_escaped, text))
    if rst.ENDS_EMPHASIS.search(text):
        escaped = _STAR.sub(r"\\*", escaped)
    if text.count("[") != text.count("]") or _LIKE_A_LINK.search(text):
        escaped = _BRACKETS.sub(r"\\\g<0>", escaped)
    return escaped


def _escaped(match: re.Match[str]) -> str:
    return f"`{match[0]}`" if match["name"] else f"\\{match[0]}"


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


class _Markdown(Markup):
    separator = "\n\n---\n\n"

    def words(self, text: str) -> str:
        return escape(text)

    def code(self, text: str) -> str:
        return code(text)

    def block(self, text: str) -> str:
        return block(text)

    def strong(self, text: str) -> str:
        return f"**{text}**"

    def restructured_text(self, text: str) -> str:
        return rst.to_markdown(text)

    def cross_references(self, text: str) -> str:
        return rst.inline(text)

    def titled(self, title: str, text: str) -> str:
        begins_with_words = text[:1].isalnum() or text[:2] in ("`-", "``")
        begins_with_words = begins_with_words or (text.startswith("`") and text[1:2] != "`")
        on_one_line = begins_with_words and "\n- " not in text
        return f"**{title}:** {text}" if on_one_line else f"**{title}:**\n\n{text}"

    def prompt(self, text: str) -> str:
        return rst.escape(text)

    def option_help(self, text: str) -> str:
        return rst.to_markdown(text, rst.escape)


class _LinkedMarkdown(_Markdown):
    """Places are links."""

    def __init__(self, link: Callable[[str, int], str]) -> None:
        self._link = link

    def place(self, path: str, line: int) -> str:
        return f"[{escape(path)}:{line + 1}](<{self._link(path, line)}>)"


class _WithoutRules(_Markdown):
    separator = "\n\n"


_WITHOUT_RULES = _WithoutRules()
_MARKDOWN = _Markdown()
