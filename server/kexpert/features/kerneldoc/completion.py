"""Adding to a kernel-doc comment what it lacks; nothing that is there is changed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kexpert.core.docs.kerneldoc_writer import param_lines, section_lines
from kexpert.core.text import decode, encode
from kexpert.features.kerneldoc.declaration import Declaration
from kexpert.features.kerneldoc.target import Existing

_PARAM = re.compile(r"(\s*\*?\s*)@([\w.\-\[\]>]+|\.\.\.)\s*(?:\(\))?\s*(?::|\s-)")
_MARK = re.compile(r"\s*\*\s*(?:@|[A-Za-z][\w ]*:(?!:))")
_BLANK = re.compile(r"\s*\*?\s*")
_CONTEXT = re.compile(r"\s*\*\s*context\s*:", re.I)


@dataclass(frozen=True, slots=True)
class Edit:
    """``text`` replaces the bytes ``start:end`` of a file."""

    start: int
    end: int
    text: str


def completing_edits(
    data: bytes, declaration: Declaration, existing: Existing, params: Mapping[str, str], returns: str
) -> tuple[Edit, ...]:
    """Lines for the missing parameters, each after the one that is declared before it, and for the returned value."""
    lines = decode(data[existing.start : existing.end]).split("\n")
    if len(lines) < 3:
        return ()  # kernel-doc begins on the line below its opening mark
    starts = [existing.start]
    for line in lines:
        starts.append(starts[-1] + len(encode(line)) + 1)
    newline = "\r\n" if lines[0].endswith("\r") else "\n"
    described = {match[2].removesuffix("..."): at for at, line in enumerate(lines) if (match := _PARAM.match(line))}
    margin = next((match[1] for line in lines if (match := _PARAM.match(line))), " * ")
    edits: list[Edit] = []
    after = _past_title(lines) if not described else min(described.values())
    for parameter in declaration.parameters:
        if parameter.name in described:
            after = _past_block(lines, described[parameter.name])
        elif parameter.name in params:
            text = newline.join(margin + line for line in param_lines(parameter.name, params[parameter.name]))
            edits.append(Edit(starts[after], starts[after], text + newline))
    if returns:
        last = len(lines) - 1  # holds the closing mark
        above = lines[last - 1]
        joined = _BLANK.fullmatch(above) or any(map(_CONTEXT.match, lines[_last_block(lines) : last]))
        added = [*([] if joined else [" *"]), *(f" * {line}" for line in section_lines("Return", returns))]
        edits.append(Edit(starts[last], starts[last], newline.join(added) + newline))
    return tuple(_joined(edits))


def _joined(edits: list[Edit]) -> Iterator[Edit]:
    """One edit for each place: clients differ in the order of two."""
    for start in dict.fromkeys(edit.start for edit in edits):
        yield Edit(start, start, "".join(edit.text for edit in edits if edit.start == start))


def completed(data: bytes, existing: Existing, edits: Sequence[Edit]) -> str:
    """The comment after the edits."""
    pieces, done = [], existing.start
    for edit in edits:
        pieces += [decode(data[done : edit.start]), edit.text]
        done = edit.end
    return "".join([*pieces, decode(data[done : existing.end])])


def _past_title(lines: list[str]) -> int:
    at = 2
    while at < len(lines) - 1 and not _BLANK.fullmatch(lines[at]) and not _MARK.match(lines[at]):
        at += 1
    return at


def _past_block(lines: list[str], at: int) -> int:
    """The line after a parameter's text, which a blank line, a mark or the end of the comment ends."""
    at += 1
    while at < len(lines) - 1 and not _BLANK.fullmatch(lines[at]) and not _MARK.match(lines[at]):
        at += 1
    return at


def _last_block(lines: list[str]) -> int:
    at = len(lines) - 2
    while at > 1 and not _BLANK.fullmatch(lines[at]):
        at -= 1
    return at
