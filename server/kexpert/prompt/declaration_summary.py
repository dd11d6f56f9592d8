"""Short forms of declarations in other files, for the context of a prompt.

Training and serving use the same form; a changed form needs a new ``PROMPT_VERSION``.
"""

from __future__ import annotations

import re

from kexpert.core.c.lex import blank_comments
from kexpert.core.symbols import Kind
from kexpert.core.text import decode

_MAX_DECLARATION_BYTES = 8192  # read of one declaration
_MAX_SUMMARY_CHARS = 700

_SPACE = re.compile(r"\s+")
_MEMBER_SPACE = re.compile(r"[^\S\n]+")
_BODIES = (Kind.STRUCT, Kind.UNION, Kind.ENUM)
_HEADERS = (Kind.FUNCTION, Kind.PROTOTYPE, Kind.SYSCALL, Kind.TRACEPOINT)
_NAMES = (Kind.TYPEDEF, Kind.VARIABLE, Kind.DECLARATION)
_SUMMARISED = frozenset((*_BODIES, *_HEADERS, *_NAMES, Kind.MACRO))
_NOISE = re.compile(
    r"\b(?:extern|__must_check|__init|__exit|__always_inline|noinline|asmlinkage|__cold|__printf\(\d+, ?\d+\)) ?"
)


def summarise_declaration(text: bytes, kind: Kind) -> str:
    """Shorten the text of a symbol (``View.text``).

    A function becomes one line ``int foo(struct bar *b);``, a struct its members without comments, a macro its first
    line. Returns "" for other kinds, and for text that is too long or incomplete.
    """
    if kind not in _SUMMARISED:
        return ""
    code = decode(blank_comments(text[:_MAX_DECLARATION_BYTES]))
    if kind in _HEADERS:
        header = code.partition("{")[0].rstrip(" \t\r\n;")
        summary = _NOISE.sub("", _SPACE.sub(" ", header)).strip() + ";"
        return summary if len(summary) <= _MAX_SUMMARY_CHARS and "(" in summary else ""
    if kind in _BODIES:
        lines = (_MEMBER_SPACE.sub(" ", line).strip() for line in code.split("\n"))
        summary = "\n".join(line if "{" in line or line.startswith("}") else f"\t{line}" for line in lines if line)
        if len(summary) > _MAX_SUMMARY_CHARS:
            summary = summary[: summary.rfind("\n", 0, _MAX_SUMMARY_CHARS) + 1] + "};"
        return summary if summary.endswith(";") else summary + ";"
    if kind is Kind.MACRO:
        head, _, rest = code.partition("\n")
        summary = _SPACE.sub(" ", head.rstrip("\\ \t\r")).strip()
        return summary if len(summary) <= _MAX_SUMMARY_CHARS and (not rest or summary.endswith(")")) else ""
    summary = _SPACE.sub(" ", code.partition("=")[0]).strip().rstrip("; ") + ";"
    return summary if len(summary) <= _MAX_SUMMARY_CHARS and "{" not in summary else ""
