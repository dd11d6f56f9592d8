"""Outlines of MAINTAINERS, Makefiles and files of options."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kexpert.core.c.source import Source
from kexpert.core.paths import is_configuration, is_makefile
from kexpert.core.symbols import Kind, Symbol
from kexpert.core.text import decode

#: Of MAINTAINERS: a title line, then a field. The head of the file explains the fields, each after a tab.
_SECTION = re.compile(rb"^(\S[^\n]*)\n(?:[A-Z]:[ \t][^\n]*\n?)+", re.M)
#: Of a Makefile: what is added to a list, up to the continuation's end.
_LIST = re.compile(
    rb"^([\w.-]+-(?:y|m|objs|\$[({][^)}\n]*[)}])|[\w.-]+)[ \t]*(?:\+=|:=|\?=|=)(?:[^\\\n]|\\\n|\\)*", re.M
)
#: ``# General setup`` between two lines of ``#``.
_HEADING = re.compile(rb"^#\n# (?!CONFIG_)([^\n]+)\n#\n", re.M)
_MAX_ENTRIES = 20_000


def sections(source: Source) -> list[Symbol] | None:
    """The parts of a file that is no C, by position; None for C and Kconfig."""
    if source.path == "MAINTAINERS":
        found = _sections(source, _SECTION, is_bounded=False)
    elif is_makefile(source.path):
        found = _sections(source, _LIST, is_bounded=False)
    elif is_configuration(source.path):
        found = _sections(source, _HEADING, is_bounded=True)
    else:
        return None
    return [symbol for _, symbol in zip(range(_MAX_ENTRIES), found, strict=False)]


def _sections(source: Source, head: re.Pattern[bytes], *, is_bounded: bool) -> Iterator[Symbol]:
    """``is_bounded``: a part ends where the next one begins."""
    matches = list(head.finditer(source.data))
    for at, match in enumerate(matches):
        end = match.end()
        if is_bounded:
            end = matches[at + 1].start() if at + 1 < len(matches) else len(source.data)
        name = decode(match[1]).strip()
        yield Symbol(name, Kind.CONFIG, source.path, source.lines.line_of(match.start(1)), match.start(1),
                     match.start(), end)  # fmt: skip
