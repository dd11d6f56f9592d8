"""A function cut to a budget of characters, with the lines that say most about it."""

from __future__ import annotations

import re

_SPACE = re.compile(r"[^\S\n]+")
_BRACES = re.compile(r"[{};\s]*")
#: ``int ret;``, ``struct foo *foo = bar;``: a declaration that calls nothing.
_PLAIN_DECLARATION = re.compile(r"(?:const |static |unsigned |struct |enum |union )*\w+[ *]+\w[\w ,*=>.\[\]-]*;")
_ERROR_PATH = re.compile(
    r"if \((?:!|IS_ERR\()?\w+(?: ?< ?0)?\)*(?: \{)?|return (?:ret|err|rc|error|status|-E\w+);|goto \w+;|\w+:"
)
_CALL_OR_COMMENT = re.compile(r"\w\(|/\*|//|^\*|\breturn\b")


def shorten_code(code: str, max_chars: int) -> str:
    """Shorten the text of a function, macro or record. Its first lines, up to ``{``, always remain (if they fit).

    Indentation, lines of braces and blank lines are dropped. If the rest does not fit, first plain declarations and
    checks of errors go, then lines without a call, comment or return, then what has no room any more.
    """
    stripped = (_SPACE.sub(" ", line).strip() for line in code.split("\n"))
    lines = [line for line in stripped if not _BRACES.fullmatch(line)]
    text = "\n".join(lines)
    if len(text) <= max_chars:
        return text
    head = _head_lines(lines)
    body = lines[head:]
    for dropped in (_PLAIN_DECLARATION, _ERROR_PATH):
        body = [line for line in body if not dropped.fullmatch(line)]
    text = "\n".join(lines[:head] + body)
    if len(text) <= max_chars:
        return text
    body = [line for line in body if _CALL_OR_COMMENT.search(line)]
    kept: list[str] = []
    room = max_chars - 2
    for line in lines[:head] + body:
        if room < len(line) + 1:
            continue
        kept.append(line)
        room -= len(line) + 1
    return "\n".join([*kept, "…"]) if kept else text[: max_chars - 1] + "…"


def _head_lines(lines: list[str]) -> int:
    """The number of lines up to the one that ends with ``{`` or ``)``: the declarator of a function."""
    for at, line in enumerate(lines[:12]):
        if line.endswith(("{", ")")):
            return at + 1
    return 1
