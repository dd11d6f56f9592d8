"""What a patch touches, as a page of Markdown whose places are links."""

from __future__ import annotations

import re
from collections.abc import Callable

from kexpert.features.patch.patch import PatchReport
from kexpert.render.markdown import escape
from kexpert.render.patch import notes, to_sections

#: A place within a line: a path between two marks, and a line.
_MARK = "\x00"
_PLACE = re.compile(rf"{_MARK}([^{_MARK}]*){_MARK}(?::(\d+))?")


def to_markdown(found: PatchReport, title: str, link: Callable[[str, int], str]) -> str:
    """``link`` gives the target of a place, by path and line from 0."""
    lines = [f"# {escape(title)}", ""]
    for heading, section in to_sections(found, lambda path: f"{_MARK}{path}{_MARK}"):
        lines += [f"## {heading}", ""]
        for line in section:
            lines.append(f"{'  ' if line.startswith('    ') else ''}- {_linked(line.strip(), link)}")
        lines.append("")
    if len(lines) == 2:
        lines += ["Nothing of the tree is changed.", ""]
    lines += [f"*{escape(note)}*" for note in notes(found)]
    return "\n".join(lines).rstrip("\n") + "\n"


def _linked(line: str, link: Callable[[str, int], str]) -> str:
    parts: list[str] = []
    at = 0
    for match in _PLACE.finditer(line):
        parts.append(escape(line[at : match.start()]))
        number = int(match[2] or 1)
        shown = escape(match[1]) + (f":{number}" if match[2] else "")
        parts.append(f"[{shown}]({link(match[1], number - 1)})")
        at = match.end()
    return "".join([*parts, escape(line[at:])])
