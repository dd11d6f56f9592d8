"""Paragraphs of a file's comments that begin with a name: how headers describe flags and other constants.

    /*
     * %GFP_NOFS will use direct reclaim but no file system.
     *
     * IRQF_SHARED - allow sharing the irq among several devices
     */
"""

from __future__ import annotations

import re

from kexpert.core.text import decode

_MAX_OCCURRENCES = 400
_MAX_LINES = 40
_MAX_COMMENT_BYTES = 1 << 16
_BEFORE = re.compile(rb"[ \t]*(?:/\*+|\*+|//+)?[ \t]*(?:[-*o][ \t]+)?(?:The[ \t]+)?([%@]?)")
_AFTER = re.compile(rb"(?:([:=]|[ \t]+--?[ \t]|\t|[ ]{2})|[\s,])(?![ \t]*[|&+(])")
_MARGIN = re.compile(r"\A[ \t]*(?:/\*+|\*+(?!/)|//+)?[ \t]?")
#: Another name at the beginning of a line with a mark that parts it from its text; in lower case only with "@" or "%".
_ITEM = re.compile(r"\s*(?:[-*o]\s+)?(?:@\w+|(?:%\w+|(?=[A-Z_0-9]*[A-Z])[A-Z_][A-Z0-9_]{2,})(?=\s*[:=]|\s+-|\t|\s*\Z))")
_BULLET = re.compile(r"\s*(?:[-*o]\s+)?[%@]?")
#: What parts a name from its text, where it is no word of the sentence.
_DELIMITER = re.compile(r"\s*(?:--?|=|\.\.+)\s+|\s*:\s*|\t\s*|\s{2,}|\Z")


def paragraph_about(data: bytes, name: str) -> str:
    """The first paragraph or item in a comment that begins with ``name``; "" if there is none.

    The name is left out where a mark parts it from the text. Names of one or two letters are not looked for.
    """
    word = name.encode()
    at = data.find(word) if len(word) > 2 else -1
    for _ in range(_MAX_OCCURRENCES):
        if at < 0:
            break
        start, end = data.rfind(b"\n", 0, at) + 1, at + len(word)
        before, after = _BEFORE.fullmatch(data, start, at), _AFTER.match(data, end)
        if before is not None and after is not None and _is_in_comment(data, start, at):
            is_item = before[1] == b"@" or after[1] is not None or _begins_paragraph(data, start, at)
            if is_item and (text := _paragraph(data, start, name)):
                return text
        at = data.find(word, end)
    return ""


def _begins_paragraph(data: bytes, start: int, end: int) -> bool:
    """Whether the line at ``start`` is not the continuation of the one above."""
    line = data[data.rfind(b"\n", 0, max(start - 1, 0)) + 1 : start]
    return b"/*" in data[start:end] or not line.strip(b" \t\r\n*/-=")


def _is_in_comment(data: bytes, at: int, end: int) -> bool:
    if b"/*" in data[at:end] or b"//" in data[at:end]:
        return True
    first = max(0, at - _MAX_COMMENT_BYTES)
    return data.rfind(b"/*", first, at) > data.rfind(b"*/", first, at)


def _paragraph(data: bytes, start: int, name: str) -> str:
    lines: list[str] = []
    at = start
    while len(lines) < _MAX_LINES:
        stop = data.find(b"\n", at)
        raw = decode(data[at : stop if stop >= 0 else len(data)]).rstrip()
        text, close, _ = raw.partition("*/")
        text = _MARGIN.sub("", text, count=1).rstrip()
        if lines and (not text.strip(" *-=") or _ITEM.match(text)):
            break
        lines.append(text)
        is_last = raw.lstrip().startswith("//") and not data[stop + 1 : stop + 200].lstrip(b" \t").startswith(b"//")
        if close or stop < 0 or is_last:
            break
        at = stop + 1
    first = _BULLET.sub("", lines[0], count=1)
    rest = first.removeprefix(name)
    if rest != first and (delimiter := _DELIMITER.match(rest)):
        first = rest[delimiter.end() :]
    text = "\n".join([first, *(line.strip() for line in lines[1:])]).strip().rstrip("* ")
    return text if len(text.split()) >= 2 else ""
