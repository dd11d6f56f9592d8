"""What the index keeps of a Kconfig file, and where a Kconfig file uses options."""

from __future__ import annotations

import re

from kexpert.core.c.word_scan import identifiers
from kexpert.core.kernel.kconfig import parse_kconfig
from kexpert.core.symbols import FileFacts, Kind, Symbol

#: Lines that may name options; others are prompts, help and comments.
_USING = re.compile(
    rb"[ \t]*(?:config|menuconfig|choice|select|imply|depends|default|if|visible|range|def_\w+|bool|tristate|int|hex"
    rb"|string|prompt)\b"
)


def kconfig_facts(path: str, data: bytes) -> FileFacts:
    """The options that a Kconfig file defines, named with CONFIG_."""
    symbols = [
        Symbol(
            f"CONFIG_{entry.name}", Kind.CONFIG, path, entry.line,
            data.index(entry.name.encode(), entry.start), entry.start, entry.end,
        )
        for entry in parse_kconfig(data, path).entries
        if entry.name
    ]  # fmt: skip
    return FileFacts(symbols=symbols, identifiers=identifiers(data))


def names_option(data: bytes, at: int) -> bool:
    """True if a word at an offset of a Kconfig file can name an option: not in a prompt, a help text or a comment."""
    line = data.rfind(b"\n", 0, at) + 1
    while line and data[line - 2 : line - 1] == b"\\":
        line = data.rfind(b"\n", 0, line - 1) + 1
    before = data[line:at]
    if not _USING.match(data, line) or b"#" in before or before.count(b'"') % 2:
        return False
    return _USING.match(before) is not None or not before.strip()
