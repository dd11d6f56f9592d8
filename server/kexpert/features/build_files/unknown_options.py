"""Options that no Kconfig file defines: in expressions of Kconfig files, and in files of values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from kexpert.core.c.source import Source
from kexpert.core.kernel.kconfig import parse_kconfig
from kexpert.core.paths import is_configuration, is_kconfig
from kexpert.core.symbols import Kind
from kexpert.features.diagnostics import Diagnostic, Severity
from kexpert.view import View

_MAX_FINDINGS = 500
#: Lines whose words are options: what follows ``depends on``, ``select`` and the like, to the end of the line.
_EXPRESSION = re.compile(
    rb"^[ \t]*(?:depends[ \t]+on|select|imply|visible[ \t]+if|if)[ \t]+((?:[^\n\\#]|\\\n|\\)*)", re.M
)
_WORD = re.compile(rb"""\$\([^)]*\)|"[^"\n]*"|'[^'\n]*'|[\w.-]+""")
_OPTION = re.compile(rb"[A-Z_][A-Z0-9_]*[A-Z][A-Z0-9_]*")
_HELP = re.compile(rb"^[ \t]*(?:help|---help---)[ \t]*$", re.M)
_VALUE = re.compile(rb"^(?:# )?CONFIG_(\w+)(?==| is not set)", re.M)


def unknown_options(view: View, source: Source, cancelled: Callable[[], bool]) -> list[Diagnostic]:
    """The uses of options that no Kconfig file of the tree defines; none while the tree is being read."""
    if not view.complete or cancelled():
        return []
    used = list(_uses(source))
    known = view.kinds_of({f"CONFIG_{name}" for name, _, _ in used})
    found = []
    for name, start, end in used:
        if Kind.CONFIG not in known.get(f"CONFIG_{name}", {}):
            message = f"no Kconfig file of this tree defines {name}"
            found.append(Diagnostic(start, end, Severity.WARNING, "UNKNOWN_OPTION", message, "kexpert"))
            if len(found) == _MAX_FINDINGS:
                break
    return found


def _uses(source: Source) -> Iterator[tuple[str, int, int]]:
    """(name without CONFIG_, start, end) of each use that must be an option."""
    if is_kconfig(source.path):
        helps = _help_spans(source)
        for line in _EXPRESSION.finditer(source.data):
            if any(start <= line.start() < end for start, end in helps):
                continue
            for word in _WORD.finditer(source.data, *line.span(1)):
                if _OPTION.fullmatch(word[0]):
                    yield word[0].decode(), word.start(), word.end()
    elif is_configuration(source.path):
        for match in _VALUE.finditer(source.data):
            yield match[1].decode(), match.start(1) - len("CONFIG_"), match.end(1)


def _help_spans(source: Source) -> list[tuple[int, int]]:
    """Where the help texts are: from ``help`` to the end of the entry."""
    found = []
    for entry in parse_kconfig(source.data, source.path).entries:
        if entry.help:
            match = _HELP.search(source.data, entry.start, entry.end)
            if match:
                found.append((match.start(), entry.end))
    return found
