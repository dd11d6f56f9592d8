"""Parser of Kconfig files and ``.config``. Format: Documentation/kbuild/kconfig-language.rst."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from kexpert.core.text import decode

TYPES = ("bool", "tristate", "int", "hex", "string")
_MAX_DEPTH = 64  # enclosing blocks whose conditions are collected


@dataclass(slots=True)
class KconfigEntry:
    """One menu entry. Expressions are as written, with blanks normalised. Offsets are bytes."""

    name: str  # without CONFIG_; "" for a choice without a name, a menu, a comment
    kind: str  # "config", "menuconfig", "choice", "menu", "comment"
    path: str
    line: int  # 0-based
    start: int
    end: int  # after the last attribute or line of help
    type: str = ""  # one of TYPES; "" if not given
    prompt: str = ""
    prompt_if: str = ""
    depends: list[str] = field(default_factory=list)  # enclosing blocks of this file first
    selects: list[tuple[str, str]] = field(default_factory=list)  # (symbol, condition or "")
    implies: list[tuple[str, str]] = field(default_factory=list)
    defaults: list[tuple[str, str]] = field(default_factory=list)
    ranges: list[tuple[str, str, str]] = field(default_factory=list)  # (low, high, condition)
    visible_if: list[str] = field(default_factory=list)  # enclosing menus' first
    help: str = ""
    menus: tuple[str, ...] = ()  # titles of the enclosing menus, outermost first
    choice_start: int = -1  # ``start`` of the choice that it is a member of; -1 for none


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A ``source "drivers/net/Kconfig"`` line or a variant. The file that it names inherits ``depends``."""

    keyword: str  # "source", "rsource" (relative to this file), "osource" (may be absent), "orsource"
    pattern: str  # as written; may contain $(SRCARCH) and globs
    line: int
    start: int
    end: int
    depends: tuple[str, ...]


@dataclass(slots=True)
class KconfigFile:
    """The entries and source lines of one file, in order."""

    path: str
    entries: list[KconfigEntry] = field(default_factory=list)
    sources: list[SourceLine] = field(default_factory=list)

    def named(self, name: str) -> list[KconfigEntry]:
        """All entries of a symbol, given without CONFIG_."""
        return [entry for entry in self.entries if entry.name == name]


@dataclass(slots=True)
class _Block:
    """An open ``if``, ``menu`` or ``choice``, with the conditions that everything inside inherits."""

    keyword: str
    depends: list[str]
    visible_if: list[str]
    title: str = ""
    start: int = -1


_TOKEN = re.compile(r"""("(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?)|([()])|(?<![\w./-])(if)(?![\w./-])|(\#)""")
_QUOTED = re.compile(r"""\s*("(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?)\s*""")
_WORD = re.compile(r"[\w-]+")
_VALUE = re.compile(rb"^(?:CONFIG_(\w+)=([^\r\n]*)|# CONFIG_(\w+) is not set)\r?$", re.MULTILINE)


def parse_kconfig(data: bytes, path: str) -> KconfigFile:
    """Parse one file. Unknown lines are skipped."""
    parser = _Parser(data, path)
    parser.run()
    return parser.file


def parse_dotconfig(data: bytes) -> dict[str, str]:
    """Parse a ``.config``: symbol without CONFIG_ -> "y", "m", "n" (not set) or the value as written."""
    values: dict[str, str] = {}
    for match in _VALUE.finditer(data):
        if match[1]:
            values[decode(match[1])] = decode(match[2])
        else:
            values[decode(match[3])] = "n"
    return values


class _Parser:
    def __init__(self, data: bytes, path: str) -> None:
        self.lines = data.split(b"\n")
        self.file = KconfigFile(path)
        self.blocks: list[_Block] = []
        self.entry: KconfigEntry | None = None
        self.block: _Block | None = None  # opened by the current menu or choice
        self.at = 0  # next line
        self.offset = 0  # of the next line

    def run(self) -> None:
        while self.at < len(self.lines):
            line, start, text = self.at, self.offset, self._logical_line()
            word, _, rest = text.partition(" ")
            if word in _STATEMENTS:
                self._statement(word, rest.strip(), line, start)
            elif self.entry is not None and word in _ATTRIBUTES:
                if word in ("help", "---help---"):
                    self.entry.help = self._help()
                else:
                    self._attribute(self.entry, word, rest.strip())
                self.entry.end = self.offset - 1

    def _next(self) -> bytes:
        line = self.lines[self.at]
        self.at += 1
        self.offset += len(line) + 1
        return line

    def _logical_line(self) -> str:
        """The next line: continuations joined, comment and outer blanks removed, one blank after the keyword."""
        raw = self._next().rstrip(b"\r")
        if raw.endswith(b"\\"):
            parts = []
            while raw.endswith(b"\\") and self.at < len(self.lines):
                parts.append(raw[:-1])
                raw = self._next().rstrip(b"\r")
            raw = b" ".join([*parts, raw])
        text = decode(raw).strip()
        if "#" in text:
            text = text[: next((m.start() for m in _TOKEN.finditer(text) if m[4]), len(text))].rstrip()
        word = _WORD.match(text)
        return f"{word[0]} {text[word.end() :].strip()}".rstrip() if word else text

    def _statement(self, word: str, rest: str, line: int, start: int) -> None:
        self.entry = self.block = None
        if word in ("if", "menu", "choice", "config", "menuconfig", "comment"):
            outer = self.blocks[-_MAX_DEPTH:]
            depends = [condition for block in outer for condition in block.depends]
            if word == "if":
                self.blocks.append(_Block("if", [_squeeze(rest)], []))
                return
            entry = KconfigEntry(
                name=rest.split()[0] if rest and word in ("config", "menuconfig", "choice") else "",
                kind=word, path=self.file.path, line=line, start=start, end=self.offset - 1,
                prompt=_unquote(rest) if word in ("menu", "comment") else "",
                depends=depends,
                visible_if=[condition for block in outer for condition in block.visible_if],
                menus=tuple(block.title for block in outer if block.title),
                choice_start=next((block.start for block in reversed(outer) if block.keyword == "choice"), -1),
            )  # fmt: skip
            if word in ("menu", "choice"):
                self.block = _Block(word, [], [], entry.prompt, start)
                self.blocks.append(self.block)
            self.file.entries.append(entry)
            self.entry = entry
        elif word in ("endif", "endmenu", "endchoice"):
            opener = word[3:]
            while self.blocks and self.blocks.pop().keyword != opener:
                pass
        elif word != "mainmenu":
            conditions = tuple(condition for block in self.blocks[-_MAX_DEPTH:] for condition in block.depends)
            self.file.sources.append(SourceLine(word, _unquote(rest), line, start, self.offset - 1, conditions))

    def _attribute(self, entry: KconfigEntry, word: str, rest: str) -> None:
        value, condition = _split_if(rest)
        if word in TYPES or word == "prompt":
            entry.type = word if word in TYPES else entry.type
            if value:
                entry.prompt, entry.prompt_if = _unquote(value), condition
        elif word.startswith("def_"):
            entry.type = word[4:]
            entry.defaults.append((value, condition))
        elif word == "default":
            entry.defaults.append((value, condition))
        elif word == "select":
            entry.selects.append((value, condition))
        elif word == "imply":
            entry.implies.append((value, condition))
        elif word == "range":
            low, _, high = value.partition(" ")
            entry.ranges.append((low, high.strip(), condition))
        elif word == "depends" and rest.startswith("on"):
            self._inherit(entry.depends, self.block.depends if self.block else None, rest[2:])
        elif word == "visible" and rest.startswith("if"):
            self._inherit(entry.visible_if, self.block.visible_if if self.block else None, rest[2:])

    @staticmethod
    def _inherit(own: list[str], inherited: list[str] | None, expression: str) -> None:
        own.append(_squeeze(expression))
        if inherited is not None:
            inherited.append(_squeeze(expression))

    def _help(self) -> str:
        """The text below ``help``. It ends before the first line that is indented less than its first line."""
        kept: list[str] = []
        margin = 0
        while self.at < len(self.lines):
            line = decode(self.lines[self.at]).expandtabs(8).rstrip()
            depth = len(line) - len(line.lstrip())
            if line:
                if not depth or depth < margin:
                    break
                margin = margin or depth
            kept.append(line[margin:])
            self._next()
        while kept and not kept[-1]:  # blank lines after the text are no part of it
            kept.pop()
            self.at -= 1
            self.offset -= len(self.lines[self.at]) + 1
        return "\n".join(kept).strip("\n")


_STATEMENTS = frozenset((
    "config", "menuconfig", "choice", "menu", "comment", "if", "endif", "endmenu", "endchoice", "mainmenu", "source",
    "rsource", "osource", "orsource",
))  # fmt: skip
_ATTRIBUTES = frozenset((
    "prompt", "default", "select", "imply", "range", "depends", "visible", "help", "---help---",
    *TYPES, *("def_" + name for name in TYPES),
))  # fmt: skip


def _split_if(text: str) -> tuple[str, str]:
    """Split at the ``if`` outside quotes and brackets: ``"text" if A && B`` -> (``"text"``, ``A && B``)."""
    if "if" not in text:
        return _squeeze(text), ""
    depth = 0
    for match in _TOKEN.finditer(text):
        if match[2]:
            depth += 1 if match[2] == "(" else -1
        elif match[3] and depth <= 0:
            return _squeeze(text[: match.start()]), _squeeze(text[match.end() :])
    return _squeeze(text), ""


def _squeeze(text: str) -> str:
    return text.strip() if '"' in text or "'" in text else " ".join(text.split())


def _unquote(text: str) -> str:
    match = _QUOTED.match(text)
    if match is None:
        return text.strip()
    quote = match[1][0]
    return re.sub(r"\\(.)", r"\1", match[1][1:].removesuffix(quote))
