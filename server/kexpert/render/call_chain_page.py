"""A call chain as a page of Markdown whose places are links."""

from __future__ import annotations

from kexpert.features.callgraph.chain import CallChain
from kexpert.render.call_chain import GROWING, others, to_sections
from kexpert.render.linked_places import Link, linked, marked, nested
from kexpert.render.markdown import escape

_INDENT = 2
#: Square brackets around a link would need backslashes.
_ROUND = str.maketrans("[]", "()")


def to_markdown(found: CallChain, link: Link) -> str:
    """``link`` gives the target of a place, by path and line from 0."""
    lines = [f"# {escape(title(found))}", "", linked(f"{marked(found.symbol.path)}:{found.symbol.line + 1}", link), ""]
    for line in others(found, marked):
        lines += [linked(line, link), ""]
    for heading, section in to_sections(found, marked):
        section = [line.translate(_ROUND) for line in section]
        lines += [f"## {heading.capitalize()}", "", *nested(section, _INDENT, link), ""]
    if not found.is_complete:
        lines += [f"*{escape(GROWING)}*", ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def title(found: CallChain) -> str:
    return f"Call chain of {found.symbol.name}"
