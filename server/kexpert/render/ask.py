"""An answer with its sources as Markdown, as plain text and as JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from kexpert.features.ask.ask import Answer, Citation
from kexpert.features.explain.explanation import Location
from kexpert.render import markdown
from kexpert.render.explain import relative_link

Json: TypeAlias = dict[str, Any]
LinkOf: TypeAlias = Callable[[Location], str]

_CITED = re.compile(r"\[(\d+)\]")
_BY_FACTS = "from the code"
_NO_ANSWER = "No model wrote an answer; these places say most about it."
_NOTHING = "Nothing was found."


def to_markdown(found: Answer, link_of: LinkOf = relative_link) -> str:
    """A page: the answer with who wrote it, then the numbered sources, each linked to its line."""
    parts = [f"# {markdown.escape(found.question)}"]
    if found.text:
        parts.append(f"{_linked(found, link_of)} *({markdown.escape(_origin(found))})*")
    else:
        parts.append(f"*{_NO_ANSWER if found.sources else _NOTHING}*")
    if found.citations:
        parts.append("## Sources\n\n" + "\n".join(_numbered(found.citations, 1, link_of)))
    if found.others:
        parts.append("## See also\n\n" + "\n".join(_listed(found.others, link_of)))
    return "\n\n".join(parts) + "\n"


def _linked(found: Answer, link_of: LinkOf) -> str:
    """The text of an answer; each ``[n]`` links to its source."""
    pieces: list[str] = []
    for at, piece in enumerate(_CITED.split(found.text)):
        if at % 2:
            source = found.citations[int(piece) - 1]
            pieces.append(f"[[{piece}]]({link_of(Location(source.path, source.line))})")
        else:
            pieces.append(markdown.escape(piece))
    return "".join(pieces)


def _numbered(sources: Sequence[Citation], first: int, link_of: LinkOf) -> list[str]:
    return [f"{number}. {line[2:]}" for number, line in enumerate(_listed(sources, link_of), first)]


def _listed(sources: Sequence[Citation], link_of: LinkOf) -> list[str]:
    return [
        f"- {markdown.escape(source.text)} "
        f"[{markdown.escape(f'{source.path}:{source.line + 1}')}]({link_of(Location(source.path, source.line))})"
        for source in sources
    ]


def _origin(found: Answer) -> str:
    if found.origin == "facts":
        return _BY_FACTS
    return f"written by {found.model}" + (f" with {found.adapter}" if found.adapter else "")


def to_plain_text(found: Answer, place_of: Callable[[str], str] = str) -> str:
    """For a terminal: sources as ``path:line: text``. ``place_of`` gives the path as the shell can use it."""
    lines = [f"{found.text} ({_origin(found)})", ""] if found.text else []
    for number, source in enumerate(found.citations, 1):
        lines.append(f"[{number}] {place_of(source.path)}:{source.line + 1}: {source.text}")
    lines += [f"    {place_of(source.path)}:{source.line + 1}: {source.text}" for source in found.others]
    return "\n".join(lines)


def to_json(found: Answer) -> Json:
    """Lines count from 1. ``[n]`` in ``answer`` is the n-th citation. ``model`` is null where no model wrote it."""
    is_model = found.origin == "model"
    return {
        "question": found.question,
        "answer": found.text,
        "origin": found.origin,
        "citations": [_citation(source) for source in found.citations],
        "others": [_citation(source) for source in found.others],
        "model": found.model if is_model else None,
        "adapter": (found.adapter or None) if is_model else None,
    }


def _citation(source: Citation) -> Json:
    return {"path": source.path, "line": source.line + 1, "text": source.text}
