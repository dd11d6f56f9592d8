"""The tab that is missing at the beginning of a line.

Editors without rules for C keep the indentation of the line above, also below ``if (x)``.
"""

from __future__ import annotations

import re

#: A line that governs the next one: no brace, no semicolon at its end.
_GOVERNS = re.compile(
    rb"([ \t]*)(?:\}[ \t]*)?(?:else|do|(?:else[ \t]+)?(?:if|for|while|\w*for_each\w*)[ \t]*"
    rb"\([^;{}]*(?:;[^;{}]*){0,2}\))[ \t\r]*"
)
_MAX_LINE_BYTES = 400


def missing_indent(data: bytes, offset: int) -> bytes:
    """A tab, if the cursor is alone on its line below a line that governs it, and no deeper than that; else b""."""
    start = data.rfind(b"\n", 0, offset) + 1
    end = data.find(b"\n", offset)
    line, rest = data[start:offset], data[offset : end if end >= 0 else len(data)]
    if not start or line.strip() or rest.strip() or len(line) > _MAX_LINE_BYTES:
        return b""
    above = data[data.rfind(b"\n", 0, start - 1) + 1 : start - 1]
    governs = _GOVERNS.fullmatch(above) if len(above) <= _MAX_LINE_BYTES else None
    if governs is None or governs[1] != line or above.count(b"(") != above.count(b")"):
        return b""
    return b"\t"
