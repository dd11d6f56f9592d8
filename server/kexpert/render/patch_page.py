"""What a patch touches, as a page of Markdown whose places are links."""

from __future__ import annotations

from kexpert.features.patch.patch import PatchReport
from kexpert.render.linked_places import Link, linked, marked
from kexpert.render.markdown import escape
from kexpert.render.patch import notes, to_sections


def to_markdown(found: PatchReport, title: str, link: Link) -> str:
    """``link`` gives the target of a place, by path and line from 0."""
    lines = [f"# {escape(title)}", ""]
    for heading, section in to_sections(found, marked):
        lines += [f"## {heading}", ""]
        for line in section:
            lines.append(f"{'  ' if line.startswith('    ') else ''}- {linked(line.strip(), link)}")
        lines.append("")
    if len(lines) == 2:
        lines += ["Nothing of the tree is changed.", ""]
    lines += [f"*{escape(note)}*" for note in notes(found)]
    return "\n".join(lines).rstrip("\n") + "\n"
