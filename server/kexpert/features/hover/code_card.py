"""The C code at the top of a card: a declaration without its body, at a readable width."""

from __future__ import annotations

import re

from kexpert.core.c.lex import blank_comments
from kexpert.core.symbols import Kind, Symbol
from kexpert.core.text import decode

_MAX_COLUMNS = 80
_MAX_HEAD_BYTES = 8192
_MAX_LINE_BYTES = 300
_MAX_ANNOTATION_LINES = 2
_BYTES_PER_LINE = 400
#: Longer initial values are left out.
_MAX_VALUE_BYTES = 60
_BLANKS = re.compile(r"[ \t\r\n\f\v\\]+")
_ANNOTATION_LINE = re.compile(rb"[ \t]*__\w+(?:[ \t]*\([^()\n]*\))?(?:[ \t]+__\w+(?:[ \t]*\([^()\n]*\))?)*[ \t\r]*\Z")
_LEADING = re.compile(rb"[\w \t*(),\"]*\Z")
_SYSCALL = re.compile(r"(?:COMPAT_)?SYSCALL(?:32)?_DEFINE\d\s*\((.*)\)\s*\Z", re.S)


def declaration_head(data: bytes, symbol: Symbol) -> str:
    """The declaration of ``symbol`` in the file ``data``: no body, no comments, attributes kept."""
    start = start_with_annotations(data, symbol.start)
    text = blank_comments(data[start : min(symbol.end, start + _MAX_HEAD_BYTES)], strings=False)
    found = _cut(text, symbol.kind)
    return on_one_line(text[: found[0]], symbol.name, found[1])


def on_one_line(text: bytes, name: str, tail: str = "") -> str:
    """A declaration with its blanks collapsed; over several lines only if it is too wide."""
    line = _BLANKS.sub(" ", decode(blank_comments(text, strings=False))).strip()
    return wrap(re.sub(r"\s+([,;)])", r"\1", re.sub(r"\(\s+", "(", line)) + tail, name)


def wrap(line: str, name: str = "") -> str:
    """A declaration over as few lines as fit, parameters aligned after the parenthesis."""
    if len(line) <= _MAX_COLUMNS:
        return line
    named = re.search(rf"\b{re.escape(name)}\s*\)?\s*\(", line) if name else None
    opening = named.end() - 1 if named else line.find("(")
    closing = _closing(line, opening)
    if opening < 0 or closing is None:
        return line
    indent = opening + 1 if opening < _MAX_COLUMNS // 2 else 8
    pieces = _split_commas(line[opening + 1 : closing])
    pieces[-1] += line[closing:]
    lines, current = [], line[: opening + 1]
    for at, piece in enumerate(pieces):
        text = piece.strip() + ("," if at < len(pieces) - 1 else "")
        joined = current + ("" if current.endswith("(") else " ") + text
        if len(joined) > _MAX_COLUMNS and current.strip() and not current.endswith("("):
            lines.append(current)
            current = " " * indent + text
        else:
            current = joined
    return "\n".join([*lines, current])


def first_lines(text: bytes, max_lines: int = 12) -> str:
    """The first lines of a definition, and "…" if that is not all. Tabs become spaces."""
    max_bytes = max_lines * _BYTES_PER_LINE
    lines = decode(text[:max_bytes]).expandtabs(8).splitlines()
    shown = [line.rstrip() for line in lines[:max_lines]]
    if len(lines) > max_lines or len(text) > max_bytes:
        shown.append("…")
    return "\n".join(shown)


def as_declaration(type_text: str, name: str) -> str:
    """``name`` declared with a type as C writes it: "int (*)(void)" and "f" give "int (*f)(void)"."""
    if "(*" in type_text:
        at = type_text.index("(*") + 2
        while at < len(type_text) and type_text[at] == "*":
            at += 1
        return type_text[:at] + name + type_text[at:]
    if type_text.endswith("]"):
        base = type_text[: type_text.index("[")].rstrip()
        return as_declaration(base, name) + type_text[type_text.index("[") :]
    return f"{type_text}{'' if type_text.endswith('*') else ' '}{name}"


def syscall_prototype(head_text: str, name: str) -> str:
    """The C prototype of ``SYSCALL_DEFINEn(open, const char __user *, filename, …)``; "" for other text."""
    match = _SYSCALL.match(head_text)
    if match is None:
        return ""
    words = [_BLANKS.sub(" ", word).strip() for word in _split_commas(match[1])][1:]
    if len(words) % 2:
        return ""
    pairs = [f"{kind}{'' if kind.endswith('*') else ' '}{word}" for kind, word in zip(*[iter(words)] * 2, strict=True)]
    return wrap(f"long {name}({', '.join(pairs) or 'void'})", name)


def _split_commas(text: str) -> list[str]:
    """The parts between the commas outside all brackets."""
    parts, depth, begin = [], 0, 0
    for at, char in enumerate(text):
        depth += (char in "([{") - (char in ")]}")
        if char == "," and depth == 0:
            parts.append(text[begin:at])
            begin = at + 1
    return [*parts, text[begin:]]


def _closing(line: str, opening: int) -> int | None:
    depth = 0
    for at in range(max(opening, 0), len(line)):
        depth += (line[at] == "(") - (line[at] == ")")
        if depth == 0:
            return at
    return None


def _cut(text: bytes, kind: Kind) -> tuple[int, str]:
    """(end of the declaration in text without comments, the text that replaces the rest)."""
    depth = 0
    for match in re.finditer(rb"[(){};=]|\"[^\"\n]*\"", text):
        char = match[0]
        depth += (char == b"(") - (char == b")")
        if depth > 0:
            continue
        if char == b"{" and kind in (Kind.FUNCTION, Kind.SYSCALL):
            return match.start(), ""
        if char == b"=" and kind == Kind.VARIABLE:
            value = text[match.start() : match.start() + 80]
            if b"{" in value or len(text) - match.start() > _MAX_VALUE_BYTES or b"\n" in value.strip():
                return match.start(), "= …;" if text[match.start() - 1 : match.start()] == b" " else " = …;"
        if char == b"{" and kind in (Kind.STRUCT, Kind.UNION, Kind.ENUM):
            return match.start(), ""
    return len(text), ""


def start_with_annotations(data: bytes, start: int) -> int:
    """``start`` moved back over annotations before it: on its own line, then on lines of their own."""
    line = data.rfind(b"\n", max(0, start - _MAX_LINE_BYTES), start) + 1
    if (line or start <= _MAX_LINE_BYTES) and data[line:start].strip() and _LEADING.match(data[line:start]):
        start = line
    for _ in range(_MAX_ANNOTATION_LINES):
        begin = data.rfind(b"\n", 0, start)
        if begin < 0 or data[begin + 1 : start].strip():
            break
        previous = data.rfind(b"\n", max(0, begin - _MAX_LINE_BYTES), begin) + 1
        if (previous == 0 and begin > _MAX_LINE_BYTES) or not _ANNOTATION_LINE.match(data[previous:begin]):
            break
        start = previous
    return start
