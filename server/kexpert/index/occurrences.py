"""Where an identifier stands in the code of one file."""

from __future__ import annotations

from collections.abc import Iterator

from kexpert.core.lex import blank_comments

_WORD = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz")


def occurrences(data: bytes, name: bytes) -> Iterator[int]:
    """Offsets of ``name`` as a whole word outside comments and strings.

    A query for a popular name reads thousands of files, so a file is not blanked as a whole
    unless the text around a hit looks like a comment or a string; that verdict is then checked.
    """
    find, rfind, size, end = data.find, data.rfind, len(name), len(data)
    code: bytes | None = None
    clear = 0  # no comment is open here
    at = find(name)
    while at >= 0:
        after = at + size
        if (at == 0 or data[at - 1] not in _WORD) and (after == end or data[after] not in _WORD):
            if code is None:
                head = data[rfind(b"\n", 0, at) + 1 : at]
                opened = rfind(b"/*", clear, at)
                in_comment = opened >= 0 and find(b"*/", opened + 2, at) < 0
                if in_comment or b'"' in head or b"'" in head or b"//" in head or head.endswith(b"\\"):
                    code = blank_comments(data)
                else:
                    clear = at
            if code is None or code[at] == name[0]:
                yield at
        at = find(name, after)


def lines_and_columns(data: bytes, offsets: list[int]) -> list[tuple[int, int] | None]:
    """(line, column) of ascending offsets, 0-based; None where the column depends on the encoding
    of what stands before it on its line."""
    if b"\r" in data:  # lines of another kind: for whoever reads the file with care
        return [None] * len(offsets)
    found: list[tuple[int, int] | None] = []
    line = last = 0
    for at in offsets:
        line += data.count(b"\n", last, at)
        start = data.rfind(b"\n", 0, at) + 1
        found.append((line, at - start) if data[start:at].isascii() else None)
        last = at
    return found
