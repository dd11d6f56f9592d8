"""A declaration in as few tokens as say what it is: what the model is told of other files.

One form for training and for serving, as ``core.prompt``; another one calls for a new PROMPT_VERSION.
"""

from __future__ import annotations

import re

from kexpert.core.c.lex import blank_comments
from kexpert.core.symbols import Kind
from kexpert.core.text import decode

#: Bytes of a declaration that are read, and characters of it that are told.
_READ = 8192
MOST = 700

_SPACE = re.compile(r"\s+")
_MEMBER_SPACE = re.compile(r"[^\S\n]+")
_BODIES = (Kind.STRUCT, Kind.UNION, Kind.ENUM)
_HEADERS = (Kind.FUNCTION, Kind.PROTOTYPE, Kind.SYSCALL, Kind.TRACEPOINT)
_NAMES = (Kind.TYPEDEF, Kind.VARIABLE, Kind.DECLARATION)
_TOLD = frozenset((*_BODIES, *_HEADERS, *_NAMES, Kind.MACRO))
_NOISE = re.compile(
    r"\b(?:extern|__must_check|__init|__exit|__always_inline|noinline|asmlinkage|__cold|__printf\(\d+, ?\d+\)) ?"
)


def summarise_declaration(text: bytes, kind: Kind) -> str:
    """A symbol's own text (``View.text``) -> one line ``int foo(struct bar *b);`` for a function, the members
    without comments for a struct, the first line for a macro; "" for what is not worth telling."""
    if kind not in _TOLD:
        return ""
    code = decode(blank_comments(text[:_READ]))
    if kind in _HEADERS:
        header = code.partition("{")[0].rstrip(" \t\r\n;")
        told = _NOISE.sub("", _SPACE.sub(" ", header)).strip() + ";"
        return told if len(told) <= MOST and "(" in told else ""
    if kind in _BODIES:
        lines = (_MEMBER_SPACE.sub(" ", line).strip() for line in code.split("\n"))
        told = "\n".join(line if "{" in line or line.startswith("}") else f"\t{line}" for line in lines if line)
        if len(told) > MOST:
            told = told[: told.rfind("\n", 0, MOST) + 1] + "};"
        return told if told.endswith(";") else told + ";"
    if kind is Kind.MACRO:
        head, _, rest = code.partition("\n")
        told = _SPACE.sub(" ", head.rstrip("\\ \t\r")).strip()
        return told if len(told) <= MOST and (not rest or told.endswith(")")) else ""
    told = _SPACE.sub(" ", code.partition("=")[0]).strip().rstrip("; ") + ";"
    return told if len(told) <= MOST and "{" not in told else ""
