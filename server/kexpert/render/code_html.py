"""Source text as HTML: one string a line, every identifier a link, nothing of the text unescaped.

The lexer looks at single tokens and never fails: what it does not know stays plain text. Classes of ``span``: ``c``
comment, ``s`` string, ``p`` directive, ``k`` keyword, ``n`` number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from html import escape
from urllib.parse import quote

from kexpert.core.c.keywords import KEYWORDS
from kexpert.core.paths import is_kconfig
from kexpert.core.text import decode

LinkOf = Callable[[str], str | None]

_C = re.compile(
    r"""(?P<c>/\*.*?(?:\*/|\Z)|//(?:[^\n\\]++|\\\r?.|\\\Z)*+)"""
    r"""|(?P<include>^[ \t]*+\#[ \t]*+include[ \t]*+(?:<[^>\n]*+>|"[^"\n]*+"))"""
    r"""|(?P<p>^[ \t]*+\#[ \t]*+\w*+)"""
    r"""|(?P<word>[A-Za-z_]\w*+)"""
    r"""|(?P<n>\.?\d(?:[eEpP][+-]|[\w.])*+)"""
    r"""|(?P<s>"(?:[^"\\\n]++|\\\r?.)*+"?|'(?:[^'\\\n]++|\\\r?.)*+'?)""",
    re.S | re.M | re.A,
)
_KCONFIG = re.compile(
    r"""(?P<c>\#[^\n]*+)|(?P<s>"(?:[^"\\\n]++|\\.)*+"?)"""
    r"""|(?P<k>^[ \t]*+(?:config|menuconfig|choice|endchoice|menu|endmenu|if|endif|source|bool|tristate|int|hex"""
    r"""|string|def_bool|def_tristate|default|depends[ ]on|select|imply|prompt|help|range|comment"""
    r"""|visible[ ]if|mainmenu)\b)"""
    r"""|(?P<option>\b[A-Z][A-Z0-9_]{2,}+\b)""",
    re.M | re.A,
)
#: Any other text: options and functions that it names.
_TEXT = re.compile(r"(?P<config>\bCONFIG_\w++)|(?P<call>\b[A-Za-z_]\w++)(?=\(\))", re.A)
_KERNEL_TYPES = frozenset(
    {"bool", "u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "size_t", "ssize_t", "__u8", "__u16", "__u32",
     "__u64", "__be16", "__be32", "__be64", "__le16", "__le32", "__le64", "uint8_t", "uint16_t", "uint32_t", "uint64_t"}
)  # fmt: skip
_NO_LINK = KEYWORDS | {"defined", "__attribute__", "asm", "typeof", "true", "false"}
_INCLUDED = re.compile(r'[<"]([^>"\n]*+)')
#: A comment that began before a part of a text is found when it began so close.
_MAX_COMMENT_BYTES = 1 << 16


def symbol_link(name: str) -> str:
    """The address of the page about a name."""
    return f"/symbol/{quote(name, safe='')}"


def source_link(path: str, line: int | None = None, last: int | None = None) -> str:
    """The address of a file, or of its lines from 1: ``/source/fs/open.c#L10-L20``."""
    address = f"/source/{quote(path, safe='/', errors='surrogateescape')}"
    if line is None:
        return address
    return f"{address}#L{line}" + (f"-L{last}" if last is not None and last != line else "")


def html_lines(path: str, data: bytes, file_of: LinkOf = lambda _: None) -> list[str]:
    """The lines of a file. ``file_of``: the path that an ``#include`` of this file means, if it is known."""
    text = shown_text(data)
    pieces: Iterable[str]
    name = path.rpartition("/")[2]
    if is_kconfig(path):
        pieces = _kconfig(text)
    elif name.endswith((".c", ".h", ".S", ".dts", ".dtsi", ".lds", ".cpp", ".y", ".l")):
        pieces = _c(text, file_of)
    else:
        pieces = _text(text)
    lines = "".join(pieces).split("\n")
    if lines and not lines[-1]:
        lines.pop()
    return lines


def html_code(text: str) -> str:
    """A piece of C, as in a card; its identifiers link to their pages."""
    return "".join(_c(text, lambda _: None))


def comment_state(data: bytes, start: int) -> int:
    """Where to begin to read so that ``start`` is not inside a comment: ``start``, or the ``/*`` around it."""
    opened = data.rfind(b"/*", max(0, start - _MAX_COMMENT_BYTES), start)
    return opened if opened >= 0 and data.find(b"*/", opened, start) < 0 else start


def shown_text(data: bytes) -> str:
    """File bytes as text that can be sent: what is not UTF-8 is read as Latin-1, lines end with ``\\n``."""
    text = decode(data)
    if not text.isascii():
        text = "".join(chr(ord(char) - 0xDC00) if "\udc80" <= char <= "\udcff" else char for char in text)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.replace("\0", "\ufffd").replace("\f", " ")


def _c(text: str, file_of: LinkOf) -> Iterable[str]:
    at = 0
    for match in _C.finditer(text):
        kind, token = match.lastgroup, match.group()
        yield escape(text[at : match.start()], quote=False)
        at = match.end()
        if kind == "word":
            yield _word(token)
        elif kind == "include":
            yield _include(token, file_of)
        else:
            yield _span(kind or "", token)
    yield escape(text[at:], quote=False)


def _word(token: str) -> str:
    if token in _NO_LINK:
        return f"<span class=k>{token}</span>"
    shown = ' class="k"' if token in _KERNEL_TYPES else ""
    return f'<a href="/symbol/{token}"{shown}>{token}</a>'


def _include(token: str, file_of: LinkOf) -> str:
    found = _INCLUDED.search(token)
    path = file_of(found[1]) if found else None
    if found is None or path is None:
        return _span("p", token)
    directive, name = token[: found.start()], token[found.start() :]
    return (
        f'<span class=p>{escape(directive, quote=False)}</span>'
        f'<a class=s href="{source_link(path)}">{escape(name, quote=False)}</a>'
    )


def _kconfig(text: str) -> Iterable[str]:
    at = 0
    for match in _KCONFIG.finditer(text):
        yield escape(text[at : match.start()], quote=False)
        at = match.end()
        if match.lastgroup == "option":
            yield f'<a href="/symbol/CONFIG_{match.group()}">{match.group()}</a>'
        else:
            yield _span(match.lastgroup or "", match.group())
    yield escape(text[at:], quote=False)


def _text(text: str) -> Iterable[str]:
    at = 0
    for match in _TEXT.finditer(text):
        yield escape(text[at : match.start()], quote=False)
        at = match.end()
        yield f'<a href="/symbol/{match.group()}">{match.group()}</a>'
    yield escape(text[at:], quote=False)


def _span(kind: str, token: str) -> str:
    """A token in its class; one of several lines is closed and opened at each line's end."""
    return "\n".join(
        f"<span class={kind}>{escape(line, quote=False)}</span>" if line else "" for line in token.split("\n")
    )
