"""Records that are not closed, as while they are typed: ``struct foo { int a;`` and then the next definition."""

from __future__ import annotations

import re

_HEAD = re.compile(rb"\n(?:typedef[ \t]+)?(?:struct|union|enum)\b[^;{}()=\n]*\{[ \t]*+(?=\n)")
#: What cannot begin among members: another record in column 0, a function.
_NEXT = re.compile(
    rb"\n(?:(?:typedef|static|extern|const)[ \t]+)*(?:struct|union|enum)[ \t]+\w+[ \t]*\{"
    rb"|\n[A-Za-z_][\w \t*]*\n?[\w \t*]*\([^;{}()]*(?:\([^;{}()]*\)[^;{}()]*)*\)\s*\{"
)
_BRACE = re.compile(rb"[{}]")
_MAX_RECORDS = 20


def close_records(text: bytes) -> bytes:
    """The text with ``};`` in place of the last member of records that are not closed before the next definition."""
    if text.count(b"{") <= text.count(b"}"):
        return text
    out = bytearray(b"\n" + text)
    at = repaired = 0
    while repaired < _MAX_RECORDS and (head := _HEAD.search(out, at)):
        at = head.end()
        following = _NEXT.search(out, at)
        if following is None or _is_closed(out, at, following.start()):
            continue
        repaired += 1
        begin = out.rfind(b"\n", at, len(out[: following.start()].rstrip()))
        member = out[begin + 1 : following.start()] if begin >= at - 1 and begin >= 0 else b""
        if len(member.strip()) < 2:  # no member yet
            out[at - 1 : at] = b";"
            continue
        start = begin + 1
        end = start + len(bytes(out[start : following.start()]).rstrip())
        out[start:end] = b"};".ljust(end - start)
    return bytes(out[1:])


def _is_closed(text: bytearray, at: int, end: int) -> bool:
    """True if the brace before ``at`` is closed before ``end``."""
    depth = 1
    for brace in _BRACE.finditer(text, at, end):
        depth += 1 if brace[0] == b"{" else -1
        if not depth:
            return True
    return False
