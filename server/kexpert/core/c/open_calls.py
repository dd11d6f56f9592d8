"""Calls at file level of macros that the file does not define, as far as these may declare something."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from kexpert.core.c.idioms import declares_as_known
from kexpert.core.c.made_names import NEXT_CALL, call_at, enum_items
from kexpert.core.c.vocabulary import ANNOTATION_CALLS
from kexpert.core.symbols import OpenCall

_CALL = re.compile(rb"\n(?=[A-Za-z_])((?:(?:static|extern|const|inline)[ \t]++)*+)(?!\d)(\w++)[ \t]*+\(")
#: Macros that declare nothing to which a name leads.
_SILENT = re.compile(rb"MODULE_\w+|static_assert|_Static_assert|BUILD_BUG_ON\w*|ALLOW_ERROR_INJECTION|asm\w*|__asm__")
_WORD = re.compile(r"\w")
_STRING = re.compile(r'"[^"]*"')
_BEFORE = (b"", b";", b"}", b")")
_MAX_BYTES = 4000  # of the arguments of a call
_MAX_CALLS = 10_000  # of one file


def find_open_calls(code: bytes, text: bytes, own: Collection[bytes]) -> list[OpenCall]:
    """The calls in ``text``, which is ``code`` without directives and bodies; ``own``: macros of the file."""
    found: list[OpenCall] = []
    line = seen = 0
    for match in _CALL.finditer(b"\n" + text):
        name, prefix, start, opening = match[2], match[1].decode(), match.start(), match.end() - 2
        if not _may_declare(name, own) or text[max(0, start - 4000) : start].rstrip()[-1:] not in _BEFORE:
            continue
        while len(found) < _MAX_CALLS and (call := call_at(code, opening)):
            end = call[1]
            following = NEXT_CALL.match(text, end)
            if end - opening > _MAX_BYTES or not (following or _is_whole(text, end)):
                break
            written = code[opening:end].decode("latin-1")
            if _may_declare(name, own) and _WORD.search(_STRING.sub("", written)):
                line += code.count(b"\n", seen, start)
                seen = start
                found.append(OpenCall(name.decode(), prefix, written, start, end, line, opening, written))
            if not following:
                break
            name, prefix, start, opening = following[1], "", following.start(1), following.end() - 1
    if b"enum" in text:
        found += _in_enums(code, text, own)
        found.sort(key=lambda call: call.start)
    return found


def _in_enums(code: bytes, text: bytes, own: Collection[bytes]) -> Iterator[OpenCall]:
    """Calls that may expand to enumerators: ``enum foo { FOO_LIST(MAKE) }``. The prefix is the head of the enum."""
    for item in enum_items(code, text, False):
        if item.opening < 0 or item.name in own or item.end - item.opening > _MAX_BYTES:
            continue
        written = code[item.opening : item.end].decode("latin-1")
        line = code.count(b"\n", 0, item.start)
        prefix = f"enum {item.scope} {{"
        yield OpenCall(item.name.decode(), prefix, written, item.start, item.end, line, item.opening, written)


def _may_declare(name: bytes, own: Collection[bytes]) -> bool:
    if name in own or name in ANNOTATION_CALLS or _SILENT.fullmatch(name):
        return False
    return not declares_as_known(name.decode())


def _is_whole(text: bytes, end: int) -> bool:
    """True if a call that ends here is a declaration, and not the head of a function or of an initialiser."""
    follow = text[end : end + 400].lstrip()[:1]
    if follow in (b"", b";", b"#", b"}"):
        return True
    line_end = text.find(b"\n", end)
    return (follow.isalpha() or follow == b"_") and not text[end : line_end if line_end >= 0 else end].strip()
