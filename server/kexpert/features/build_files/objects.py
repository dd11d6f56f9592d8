"""Names in Makefiles: objects, each built from a source, and folders."""

from __future__ import annotations

import posixpath
import re

from kexpert.core.c.source import Source
from kexpert.core.text import decode
from kexpert.view import View

_WORD = re.compile(rb"(?<![\w$(){}./-])([\w.+-]+(?:/[\w.+-]+)*(?:\.o|/))(?![\w/])")
#: What an object is made from, in the order in which make looks.
_SOURCES = (".c", ".S", ".rs")
_MAX_LINE_BYTES = 4096
#: ``foo-y``, ``foo-objs`` and ``foo-$(CONFIG_X)`` list the parts of foo.o.
_PARTS = rb"^%s-(?:y|m|objs|\$\([^)\n]*\))[ \t]*[:+]?="


def object_at(view: View, source: Source, offset: int) -> tuple[str, int, int, str | None] | None:
    """(word, start, end, path or None) of the object or folder that a Makefile names at an offset.

    The path is that of the source, of the folder's Makefile, or of this Makefile where it lists the parts of a
    composite object.
    """
    data = source.data
    line = max(data.rfind(b"\n", 0, offset) + 1, offset - _MAX_LINE_BYTES)
    end = data.find(b"\n", offset, offset + _MAX_LINE_BYTES)
    comment = data.find(b"#", line, offset)
    for match in _WORD.finditer(data, line, end if end >= 0 else offset + _MAX_LINE_BYTES) if comment < 0 else ():
        if match.start() <= offset <= match.end():
            word = decode(match[1])
            return word, match.start(), match.end(), _file_of(view, source, word)
    return None


def parts_of(source: Source, word: str) -> int | None:
    """The offset of the line that lists the parts of a composite object; None if there is none."""
    match = re.search(_PARTS % re.escape(word.removesuffix(".o").encode()), source.data, re.M)
    return match.start() if match else None


def _file_of(view: View, source: Source, word: str) -> str | None:
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source.path), word))
    if word.endswith("/"):
        candidates = [f"{path}/Kbuild", f"{path}/Makefile"]
    else:
        candidates = [path.removesuffix(".o") + extension for extension in _SOURCES]
    found = next((candidate for candidate in candidates if view.exists(candidate)), None)
    if found is None and parts_of(source, word) is not None:
        return source.path
    return found
