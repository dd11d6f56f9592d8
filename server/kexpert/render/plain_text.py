"""Answers as plain text, for clients that show no Markdown: no escapes, no fences, no emphasis.

kernel-doc stays as its author laid it out. Only marks that mean nothing to a reader go: those of cross
references (``&struct foo``, ``%CONST``), of literals, of emphasis, of directives and under titles.
"""

from __future__ import annotations

import re
from textwrap import dedent

from kexpert.features.hover.card import HoverCard
from kexpert.render.hover_card import write_card
from kexpert.render.markup import Markup

_MARKED = re.compile(
    r"``(?P<literal>[^`\n]+)``"
    r"|`(?P<link>[^`<\n]+)<(?P<target>[^`>\n]+)>`_{0,2}"
    r"|(?::[a-z]+){0,2}:[a-z]+:`(?P<role>[^`\n]+)`"
    r"|`(?P<tick>[^`\n]+)`_{0,2}"
    r"|(?<!\w)&(?P<type>(?:(?:struct|union|enum|typedef)\s+)?[A-Za-z_]\w*)"
    r"|(?<!\w)%(?P<constant>-?\w+)"
    r"|(?<![\w@])@(?P<param>\.\.\.|[A-Za-z_]\w*)"
    r"|(?<![\w*])\*\*(?P<strong>[^\s*](?:[^*\n]{0,200}[^\s*])?)\*\*(?![\w*])"
    r"|(?<![\w*])\*(?P<emphasis>[^\s*](?:[^*\n]{0,200}[^\s*])?)\*(?![\w*])"
)
_ROLE_TARGET = re.compile(r"\s*<[^>]*>\Z")
_DIRECTIVE = re.compile(r"(?P<indent>\s*)\.\. (?P<name>[\w-]+)::[ \t]*(?P<rest>.*)")
_UNDERLINE = re.compile(r"\s*(?:={3,}|-{3,}|~{3,}|\^{3,}|\*{3,})\s*\Z")
_CODE_DIRECTIVES = ("code-block", "code", "sourcecode", "highlight", "math", "kernel-figure", "kernel-render", "table",
                    "flat-table")  # fmt: skip


def hover_card(card: HoverCard) -> str:
    """The card of a hover or of a completion item."""
    return write_card(card, MARKUP)


def signature_documentation(text: str) -> str:
    """A sentence of kernel-doc in signature help."""
    return without_marks(text)


def without_marks(text: str) -> str:
    """Running text of a kernel-doc comment without the marks of cross references, literals and emphasis."""
    return _MARKED.sub(_unmarked, text)


def _unmarked(match: re.Match[str]) -> str:
    if match["link"] is not None:
        return f"{match['link'].rstrip()} ({match['target']})"
    if match["role"] is not None:
        return _ROLE_TARGET.sub("", match["role"])
    return match[match.lastgroup or 0]


def from_restructured_text(text: str) -> str:
    """The text of a comment or a page. Literal blocks stay as they are: they are indented."""
    lines = [line.rstrip() for line in dedent(text.expandtabs(8)).strip("\n").split("\n")]
    written: list[str] = []
    literal_indent: int | None = None  # of the line before a literal block; None outside
    for line in lines:
        if literal_indent is not None and (not line or _indent(line) > literal_indent):
            written.append(line)
            continue
        literal_indent = None
        directive = _DIRECTIVE.match(line)
        if directive and directive["name"] in _CODE_DIRECTIVES:
            literal_indent = len(directive["indent"])
        elif directive:
            heading = f"{directive['name'].capitalize()}: {without_marks(directive['rest'])}"
            written.append(directive["indent"] + heading.rstrip())
        elif _UNDERLINE.match(line):
            continue
        elif line.endswith("::"):
            literal_indent = _indent(line)
            lead = without_marks(line[:-2].rstrip())
            written += [lead.rstrip(":") + ":"] if lead else []
        else:
            written.append(without_marks(line))
    return _without_double_gaps(written)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _without_double_gaps(lines: list[str]) -> str:
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


class _PlainText(Markup):
    separator = "\n\n"

    def words(self, text: str) -> str:
        return text

    def code(self, text: str) -> str:
        return " ".join(text.split())

    def block(self, text: str) -> str:
        return text.rstrip()

    def strong(self, text: str) -> str:
        return text

    def restructured_text(self, text: str) -> str:
        return from_restructured_text(text)

    def cross_references(self, text: str) -> str:
        return without_marks(text)

    def titled(self, title: str, text: str) -> str:
        return f"{title}:\n{text}" if "\n" in text else f"{title}: {text}"

    def prompt(self, text: str) -> str:
        return text

    def option_help(self, text: str) -> str:
        return dedent(text.expandtabs(8)).strip("\n")


MARKUP = _PlainText()
