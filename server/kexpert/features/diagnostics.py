"""The output of ``scripts/checkpatch.pl --terse --show-types`` as diagnostics of a text."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from enum import Enum

from kexpert.core.c.source import Source

#: More than any file of the kernel has; a file of garbage can give one for every line.
MAX_FINDINGS = 2000

_FINDING = re.compile(rb":(?:(\d{1,9}):)? (ERROR|WARNING|CHECK):([A-Z0-9_]{1,64}): ([^\r\n]*)")


class Severity(Enum):
    ERROR = b"ERROR"
    WARNING = b"WARNING"
    CHECK = b"CHECK"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A finding on ``text[start:end]``."""

    start: int
    end: int
    severity: Severity
    code: str  # checkpatch's message type, as "LONG_LINE"
    message: str
    origin: str = "checkpatch"
    is_quiet: bool = False  # nobody changed this line: no more than a hint


def from_checkpatch(output: bytes, source: Source, changed: Container[int] | None = None) -> list[Diagnostic]:
    """The findings in checkpatch's output on ``source``, in its order, each on its line's text.

    ``changed``: the lines (from 0) that may be reported; None if that is not known: all are, quietly. Lines of another
    form (perl's own warnings, a summary) are skipped. A finding about the whole file is placed on the first line.
    """
    found: list[Diagnostic] = []
    for row in output.splitlines():
        match = _FINDING.search(row)
        if match is None:
            continue
        line, severity, code, message = match.groups()
        number = int(line or 1) - 1
        if changed is not None and number not in changed:
            continue
        start, end = _text_of_line(source, number)
        text = message.decode("utf-8", "surrogateescape")
        found.append(Diagnostic(start, end, Severity(severity), code.decode(), text, is_quiet=changed is None))
        if len(found) == MAX_FINDINGS:
            break
    return found


def _text_of_line(source: Source, line: int) -> tuple[int, int]:
    """The (start, end) of a line without the blanks at its ends. Past the end of the text: of the last line."""
    lines = source.lines
    line = min(max(line, 0), len(lines.starts) - 1)
    text = lines.line_bytes(line)
    start = lines.starts[line] + len(text) - len(text.lstrip())
    return start, max(start, lines.starts[line] + len(text.rstrip()))
