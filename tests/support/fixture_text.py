"""Small trees in one string: ``//- path`` lines cut files, ``/*|*/`` marks the cursor."""

from __future__ import annotations

import re

CURSOR = "/*|*/"
DEFAULT_PATH = "drivers/x/x.c"

_FILE = re.compile(r"^//- (\S+)\n", re.M)
#: Bytes of one unit of a position, by encoding.
_UNIT_BYTES = {"utf-8": 1, "utf-16": 2, "utf-32": 4}


def files_of(fixture: str) -> dict[str, bytes]:
    """The files of a fixture; one without any ``//- path`` line is ``drivers/x/x.c``."""
    parts = _FILE.split(fixture)
    if len(parts) == 1:
        return {DEFAULT_PATH: fixture.encode()}
    return {path: text.encode() for path, text in zip(parts[1::2], parts[2::2], strict=True)}


def cut_cursor(files: dict[str, bytes]) -> tuple[str, int]:
    """Take the mark out of the file that has it; the file's path and the byte offset of the mark."""
    path = next(path for path, data in files.items() if CURSOR.encode() in data)
    offset = files[path].index(CURSOR.encode())
    files[path] = files[path].replace(CURSOR.encode(), b"", 1)
    return path, offset


def cursor(marked: str) -> tuple[str, dict[str, int]]:
    """A text without its mark, and the position of the mark in UTF-16 units."""
    before, mark, after = marked.partition(CURSOR)
    assert mark, f"no {CURSOR} in {marked!r}"
    return before + after, position_after(before)


def position_after(before: str, encoding: str = "utf-16") -> dict[str, int]:
    """The protocol's position of the end of a text."""
    lines = before.split("\n")
    units = len(lines[-1].encode("utf-16-le" if encoding == "utf-16" else encoding.replace("32", "32-le")))
    return {"line": len(lines) - 1, "character": units // _UNIT_BYTES[encoding]}


_NAMED_MARK = re.compile(rb"/\*\|(\w*)\*/")


def cut_marks(files: dict[str, bytes]) -> tuple[dict[str, bytes], dict[str, tuple[str, int]]]:
    """The files without ``/*|name*/`` marks, and the path and byte offset of each mark by its name."""
    marks: dict[str, tuple[str, int]] = {}
    clean: dict[str, bytes] = {}
    for path, data in files.items():
        removed = 0
        for match in _NAMED_MARK.finditer(data):
            name = match[1].decode()
            assert name not in marks, f"two marks {name!r}"
            marks[name] = path, match.start() - removed
            removed += len(match[0])
        clean[path] = _NAMED_MARK.sub(b"", data)
    return clean, marks
