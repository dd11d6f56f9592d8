"""The occurrences of an identifier in the code of one file."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kexpert.core.c.lex import blank_comments, is_member_use
from kexpert.core.symbols import UNKNOWN_COLUMN, FileUses

_WORD = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz")


def uses(path: str, data: bytes, name: bytes) -> FileUses:
    """The occurrences of ``name`` in the code of one file."""
    found = list(occurrences(data, name))
    members = [is_member_use(data, at) for at in found]
    return FileUses(path, len(name), found, members, *lines_and_columns(data, found))


def occurrences(data: bytes, name: bytes) -> Iterator[int]:
    """Offsets of ``name`` as a whole word outside comments and strings.

    A query for a popular name reads thousands of files, so comments are blanked only if the text around a hit
    may be a comment or a string.
    """
    find, rfind, size, end = data.find, data.rfind, len(name), len(data)
    code: bytes | None = None
    clear = 0  # no comment is open here
    at = find(name)
    while at >= 0:
        after = at + size
        if (at == 0 or data[at - 1] not in _WORD) and (after == end or data[after] not in _WORD):
            if code is None:
                line = rfind(b"\n", 0, at) + 1
                opened = rfind(b"/*", clear, at)
                if opened >= 0 and find(b"*/", opened + 2, at) < 0:
                    # ``*/*`` and ``/*/`` may end a comment, ``//*`` begins a line comment
                    clearly = data[opened - 1 : opened] not in (b"*", b"/") and data[opened + 2 : opened + 3] != b"/"
                    if clearly and _plain(data, rfind(b"\n", 0, opened) + 1, opened):
                        at = find(name, after)
                        continue  # in a comment
                    code = blank_comments(data)
                elif _plain(data, line, at):
                    clear = at
                elif opened < line and not _DOUBTFUL.search(data, line, at) and data[line - 2 : line] != b"\\\n":
                    clear = at
                    if data.count(b'"', line, at) % 2:
                        at = find(name, after)
                        continue  # in a string
                else:
                    code = blank_comments(data)
            if code is None or code[at] == name[0]:
                yield at
        at = find(name, after)


#: Characters because of which a count of quotes does not decide.
_DOUBTFUL = re.compile(rb"['\\/]")


def _plain(data: bytes, line: int, at: int) -> bool:
    """True if a line up to ``at`` surely opens neither a string nor a ``//`` comment."""
    return not (
        data.find(b'"', line, at) >= 0
        or data.find(b"'", line, at) >= 0
        or data.find(b"//", line, at) >= 0
        or data[line - 2 : line] in (b"\\\n", b"\\\r")
        or data[line - 3 : line] == b"\\\r\n"
    )


def lines_and_columns(data: bytes, offsets: list[int]) -> tuple[list[int], list[int]]:
    """Lines and columns of ascending offsets, 0-based; UNKNOWN_COLUMN where the column depends on the
    position encoding because the line before it is not ASCII."""
    if b"\r" in data:  # lines may end at ``\r``: whoever shows the position looks into the file
        return [0] * len(offsets), [UNKNOWN_COLUMN] * len(offsets)
    lines, columns = [], []
    line = last = 0
    for at in offsets:
        line += data.count(b"\n", last, at)
        start = data.rfind(b"\n", 0, at) + 1
        lines.append(line)
        columns.append(at - start if data[start:at].isascii() else UNKNOWN_COLUMN)
        last = at
    return lines, columns
