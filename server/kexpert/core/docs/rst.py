"""Conversion of the reStructuredText in kernel-doc comments to Markdown for a hover card.

It converts the constructs that kernel comments use (paragraphs, lists, ``::`` blocks, tables, notes, kernel-doc's cross
references) and leaves the rest as text. docutils is not used: it reports errors for the loose markup of these comments,
does not know ``&struct foo`` and ``@param``, and writes no Markdown.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from textwrap import dedent

_ITEM = re.compile(r"\s*(?:[-*+•]|#\.|\(?[0-9a-zA-Z#]{1,2}[.)])\s+\S")
_DIRECTIVE = re.compile(r"\s*\.\. ([\w-]+)::[ \t]*(.*)")
_RULE = re.compile(r"\s*(?:={3,}|-{3,}|~{3,}|\^{3,}|\*{3,})\s*$")
_TABLE = re.compile(r"\s*(?:=+(?: +=+)+|\+[-=+]*[-=]\+)\s*$")
_MARKED = re.compile(
    r"``(?P<literal>[^`\n]+(?:\n[^`\n]+)?)``"
    r"|(?::[a-z]+){0,2}:[a-z]+:`(?P<role>[^`<\n]+)(?:<[^`\n]*>)?`"
    r"|(?P<tick>`[^`\n]+`)"
    r"|(?<!\w)&(?P<tag>(?:struct|union|enum|typedef)\s+\w+(?:(?:->|\.)\w+)*(?:\(\))?)"
    r"|(?<!\w)&(?P<type>[A-Za-z_]\w*(?:(?:->|\.)\w+)*(?:\(\))?)"
    r"|(?<!\w)%(?P<constant>-?\w+(?:\(\w*\))?)"
    r"|(?<![\w@])@(?P<param>\.\.\.|[A-Za-z_]\w*(?:(?:->|\.)[A-Za-z_]\w*)*(?:\(\))?)"
    r"|(?<![\w$])(?P<env>\$[A-Z_]\w*)"
    r"|(?P<function>\b[A-Za-z_]\w*\(\))"
    r"|(?P<name>(?<![\w`])_+[A-Za-z]\w*)"  # Markdown would need backslashes, which some editors show
    r"|(?P<strong>(?<![\w*])\*{1,2}[^\s*](?:[^*\n]{0,200}[^\s*])?\*{1,2}(?![\w*]))"
    r"|<file:(?P<file>[\w./-]+)>"
    r"|(?P<star>\*+)"
    r"|(?P<escape><(?=[A-Za-z/!?])(?!https?://)|`|\](?=\()|(?<!\w)_++(?=\w)|(?<=\w)_++(?!\w))"
)
_PLAIN = re.compile(
    r"(?P<name>(?<!\w)_+[A-Za-z]\w*)"
    r"|<file:(?P<file>[\w./-]+)>"
    r"|(?P<star>\*+)"
    r"|(?P<escape><(?=[A-Za-z/!?])(?!https?://)|[`\\]|\](?=\()|(?<!\w)_|_(?!\w))"
)
_MAX_INDENT = 16
#: A star that could end an emphasis; without one those of pointers begin none.
ENDS_EMPHASIS = re.compile(r"[^\s*]\*+(?![\w*])|\w\*")


def escape(text: str) -> str:
    """Escape the characters of plain text that Markdown would read as markup. Some editors show the backslashes, so
    there are no more than needed."""
    return _marked_up(_PLAIN, text)


def inline(text: str) -> str:
    """Write cross references (``func()``, ``&struct foo``, ``%CONST``, ``@param``) and literals as Markdown code, and
    escape the characters that Markdown would read as markup."""
    return _marked_up(_MARKED, text)


def _marked_up(pattern: re.Pattern[str], text: str) -> str:
    ends_emphasis = ENDS_EMPHASIS.search(text) is not None

    def written(match: re.Match[str]) -> str:
        if match.lastgroup != "star":
            return _inline(match)
        stars, start = match[0], match.start()
        is_before_blank = text[match.end() : match.end() + 1] == " "
        is_item = is_before_blank and not text[max(text.rfind("\n", 0, start) + 1, start - _MAX_INDENT) : start].strip()
        is_alone = is_before_blank and text[start - 1 : start] == " "
        return stars.replace("*", r"\*") if is_item or (ends_emphasis and not is_alone) else stars

    return pattern.sub(written, text)


def _inline(match: re.Match[str]) -> str:
    kind, text = match.lastgroup, match.group()
    if kind in ("tick", "strong"):
        return text
    if kind == "escape":
        return "".join("\\" + c for c in text)
    code = " ".join(match.group(kind or 0).split())
    return f"`{code}`"


def to_markdown(text: str, words: Callable[[str], str] = inline) -> str:
    """Convert a comment's text (paragraphs, lists, literal blocks) to Markdown; ``words`` renders running text."""
    lines = dedent(text.expandtabs(8)).strip("\n").split("\n")
    return "\n".join(_Writer(lines, words).run()).strip("\n")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


class _Writer:
    """One pass over the lines. ``at`` is the index of the next line."""

    def __init__(self, lines: list[str], words: Callable[[str], str]) -> None:
        self.words = words
        self.lines = [line.rstrip() for line in lines]
        self.at = 0
        self.out: list[str] = []
        self.in_list = False

    def run(self) -> list[str]:
        while self.at < len(self.lines):
            self._block()
        return self.out

    def _block(self) -> None:
        line = self.lines[self.at]
        following = self.lines[self.at + 1] if self.at + 1 < len(self.lines) else ""
        fresh = self.at == 0 or not self.lines[self.at - 1]
        if not line:
            self._gap()
            self.at += 1
        elif directive := _DIRECTIVE.match(line):
            self._directive(directive, _indent(line))
        elif _TABLE.match(line):
            self._fence(self._take(lambda text: bool(text)), "")
        elif _RULE.match(following) and len(following.strip()) >= len(line.strip()) - 1 and not _RULE.match(line):
            self.out += [f"**{self.words(line.strip())}**", ""]
            self.at += 2
        elif _RULE.match(line):
            self.at += 1
        elif line.endswith("::"):
            self._literal(line)
        elif fresh and _indent(line) >= 4 and not self.in_list and not _ITEM.match(line):
            self._fence(self._take(lambda text: not text or _indent(text) >= 4), "")
        else:
            self._text(line)

    def _text(self, line: str) -> None:
        if item := _ITEM.match(line):
            self.in_list = True
            mark = item.end() - 1
            self.out.append(line[:mark].replace("•", "-") + self.words(line[mark:]))
        else:
            if not _indent(line):
                self.in_list = False
            self.out.append(" " * min(_indent(line), 8 if self.in_list else 0) + self.words(line.strip()))
        self.at += 1

    def _literal(self, line: str) -> None:
        """Write ``text::`` and the indented block after it."""
        if lead := line[:-2].rstrip():
            self.lines[self.at] = lead + ("" if lead.endswith(":") else ":")
            self._text(self.lines[self.at])
        else:
            self.at += 1
        depth = _indent(line)
        self._fence(self._take(lambda text: not text or _indent(text) > depth), "c")

    def _directive(self, match: re.Match[str], depth: int) -> None:
        name, rest = match.groups()
        self.at += 1
        if name in ("code-block", "code", "sourcecode", "highlight"):
            self._fence(self._take(lambda text: not text or _indent(text) > depth), rest or "c")
        elif name in ("math", "kernel-figure", "kernel-render", "table", "flat-table"):
            self._fence([rest, *self._take(lambda text: not text or _indent(text) > depth)], "")
        else:
            self.out.append(f"**{name.capitalize()}:** {self.words(rest)}".rstrip())

    def _gap(self) -> None:
        if self.out and self.out[-1]:
            self.out.append("")

    def _take(self, belongs: Callable[[str], bool]) -> list[str]:
        start = self.at
        while self.at < len(self.lines) and belongs(self.lines[self.at]):
            self.at += 1
        return self.lines[start : self.at]

    def _fence(self, block: list[str], language: str) -> None:
        body = dedent("\n".join(block)).strip("\n")
        if not body:
            return
        ticks = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", body)), default=0))
        self._gap()
        self.out += [ticks + language, *body.split("\n"), ticks, ""]
