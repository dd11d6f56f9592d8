"""Links in a text: files that ``#include``, ``source``, ``F:`` lines and paths of Documentation name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from kexpert.core.c.source import Source
from kexpert.core.paths import is_kconfig
from kexpert.features.semantics.include_paths import includes_of, resolve_include
from kexpert.features.semantics.kconfig_names import sourced_files
from kexpert.view import View

_DOCUMENT = re.compile(rb"Documentation/[\w./+-]*\w")
_LISTED = re.compile(rb"^F:\s*(\S+[^\s/])[ \t]*$", re.M)
_DIRECTIVE = re.compile(rb"^[ \t]*\.\.[ \t]+(?:kernel-doc|kernel-include)::[ \t]+(\S+)", re.M)
_WILDCARDS = re.compile(rb"[*?\[]")
_MAX_LINKS = 20_000


class Link(NamedTuple):
    """A range of the text, by byte offsets, and the file of the tree that it names."""

    start: int
    end: int
    path: str


def document_links(view: View, source: Source, cancelled: Callable[[], bool]) -> list[Link]:
    """The links of a text to files that exist, by position. Empty as soon as ``cancelled()``."""
    found: list[Link] = []
    for link in _all(view, source):
        if cancelled():
            return []
        found.append(link)
        if len(found) == _MAX_LINKS:
            break
    return sorted(found)


def _all(view: View, source: Source) -> Iterator[Link]:
    if is_kconfig(source.path):
        for start, end, sourced in sourced_files(view, source):
            if sourced is not None:
                yield Link(start, end, sourced)
    elif source.path == "MAINTAINERS":
        for match in _LISTED.finditer(source.data):
            if not _WILDCARDS.search(match[1]) and view.exists(path := match[1].decode("latin-1")):
                yield Link(*match.span(1), path)
        return
    elif source.path.endswith(".rst"):
        for match in _DIRECTIVE.finditer(source.data):
            if view.exists(path := match[1].decode("latin-1")):
                yield Link(*match.span(1), path)
    else:
        for include in includes_of(source):
            included = resolve_include(view, source, include.name, include.quoted)
            if included is not None:
                yield Link(include.start, include.end, included)
    for match in _DOCUMENT.finditer(source.data):
        if view.exists(path := match[0].decode("latin-1")):
            yield Link(match.start(), match.end(), path)
