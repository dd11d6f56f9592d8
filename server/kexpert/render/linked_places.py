"""Places in lines of text, which become links in a page of Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from kexpert.render.markdown import escape

#: The target of a place, by path and line from 0.
Link: TypeAlias = Callable[[str, int], str]

#: A place within a line: a path between two marks, and a line.
_MARK = "\x00"
_PLACE = re.compile(rf"{_MARK}([^{_MARK}]*){_MARK}(?::(\d+))?")


def marked(path: str) -> str:
    """A path of which ``linked`` makes a link, with the ``:LINE`` that follows it."""
    return f"{_MARK}{path}{_MARK}"


def linked(line: str, link: Link) -> str:
    """A line as Markdown."""
    parts: list[str] = []
    at = 0
    for match in _PLACE.finditer(line):
        parts.append(escape(line[at : match.start()]))
        number = int(match[2] or 1)
        shown = escape(match[1]) + (f":{number}" if match[2] else "")
        parts.append(f"[{shown}]({link(match[1], number - 1)})")
        at = match.end()
    return "".join([*parts, escape(line[at:])])


def nested(lines: Iterable[str], indent: int, link: Link) -> Iterator[str]:
    """Lines that are indented by ``indent`` spaces a level, as items of a nested list."""
    for line in lines:
        text = line.lstrip(" ")
        yield f"{'  ' * ((len(line) - len(text)) // indent)}- {linked(text.rstrip(), link)}"
