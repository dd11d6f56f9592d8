"""Names in Kconfig files: options without CONFIG_, and the files that ``source`` lines read."""

from __future__ import annotations

import posixpath

from kexpert.core.c.source import Source
from kexpert.core.kernel.kconfig import parse_kconfig
from kexpert.core.kernel.kconfig_facts import names_option
from kexpert.core.symbols import Kind, Symbol
from kexpert.core.text import decode, identifier_at
from kexpert.features.semantics.include_paths import arch_for
from kexpert.view import View


def sourced_files(view: View, source: Source) -> list[tuple[int, int, str | None]]:
    """(start, end, path or None) of what each ``source`` line names, in order."""
    found = []
    arch = arch_for(view, source.path)
    for each in parse_kconfig(source.data, source.path).sources:
        start = max(source.data.find(each.pattern.encode(), each.start, each.end + 1), each.start)
        pattern = each.pattern.replace("$(SRCARCH)", arch).replace("$SRCARCH", arch)
        if each.keyword in ("rsource", "orsource"):
            pattern = posixpath.join(posixpath.dirname(source.path), pattern)
        path = posixpath.normpath(pattern)
        found.append((start, start + len(each.pattern.encode()), path if view.exists(path) else None))
    return found


def sourced_file(view: View, source: Source, offset: int) -> tuple[str, int, int, str | None] | None:
    """(pattern, start, end, path or None) of the ``source`` line that holds an offset; None for other lines."""
    for start, end, path in sourced_files(view, source):
        line_start = source.data.rfind(b"\n", 0, start) + 1
        line_end = source.data.find(b"\n", start)
        if line_start <= offset <= (line_end if line_end >= 0 else len(source.data)):
            return decode(source.data[start:end]), start, end, path
    return None


def option_at(view: View, source: Source, offset: int) -> tuple[str, int, int, list[Symbol]] | None:
    """(name with CONFIG_, start, end, entries) of the option that a Kconfig file names at an offset."""
    span = identifier_at(source.data, offset)
    if span is None or not names_option(source.data, span[0]):
        return None
    name = "CONFIG_" + decode(source.data[slice(*span)])
    options = view.lookup(name, (Kind.CONFIG,))
    return (name, *span, options) if options else None
