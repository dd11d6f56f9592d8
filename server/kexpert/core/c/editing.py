"""Bytes overwritten in place, and how to find one's way in C that is not parsed yet."""

from __future__ import annotations

import re

BLANK = bytes(c if c in b"\r\n" else 0x20 for c in range(256))
_STRING = rb'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\''
_COMMENT = rb"/\*.*?\*/|//[^\n]*"
_PARENS = re.compile(rb"[()]|" + _STRING + rb"|" + _COMMENT + rb"|\*/", re.S)
_SEPARATORS = re.compile(rb"[(){}\[\],]|" + _STRING + rb"|" + _COMMENT, re.S)
_SIMPLE_CALL = re.compile(rb"\([^()\"'/\n]*\)")
_INK = re.compile(rb"\\(?!\r?\n)|[^\\\r\n]")
_SPACE = re.compile(rb"(?:\s|\\\r?\n|/\*.*?\*/|//[^\n]*\n)*", re.S)
_BASIC = rb"(?:unsigned|signed|long|short|int|char|void|float|double|bool|[us](?:8|16|32|64)|__[us](?:8|16|32|64))"
_TYPE = re.compile(
    rb"\s*(?:(?:const|volatile)\s+)*"
    rb"(?:(?:struct|union|enum)\s+\w+|" + _BASIC + rb"(?:\s+" + _BASIC + rb")*\b|\w+(?=\s*\*))(?:\s|\*|const\b)*$"
)
_QUALIFIER = re.compile(rb"\b(?:const|volatile|struct|union|enum)\b|[*]")
JUMP = re.compile(rb"\s*\b(goto|return|break|continue)\b\s*")
DECLARED = re.compile(rb"\s*\w[\w\s]*(?:\s|\*)(\w+)\s*$")
_OPERAND = re.compile(rb"[\w\"')]")
LOOKBACK = 400  # bytes searched for the start of a line


class Editor:
    """Bytes that are overwritten in place, and how to find one's way in them."""

    def __init__(self, data: bytes) -> None:
        self.out = bytearray(data)
        #: Bytes that ``closing`` may still look at: keeps nested rubbish from costing squares.
        self.budget = 4 * len(data) + 100_000

    def blank(self, start: int, end: int) -> None:
        """Blanks for a stretch; line breaks and line continuations stay."""
        piece = self.out[start:end]
        self.out[start:end] = piece.translate(BLANK) if b"\\" not in piece else _INK.sub(b" ", piece)

    def put(self, start: int, end: int, text: bytes) -> None:
        """``text`` and blanks in place of a stretch without line breaks that is long enough."""
        self.out[start:end] = text.ljust(end - start)

    def closing(self, opening: int, reach: int = 20_000) -> int:
        """Offset of the ``)`` that closes the ``(`` at ``opening``; -1 when there is none near."""
        out = self.out
        if out[opening : opening + 1] != b"(":
            return -1
        simple = _SIMPLE_CALL.match(out, opening, opening + 500)
        if simple:
            return simple.end() - 1
        depth = 0
        if self.budget <= 0:
            return -1
        at = opening
        for token in _PARENS.finditer(out, opening, opening + reach):
            at = token.start()
            kind = out[at]
            if kind == 0x28:
                depth += 1
            elif kind == 0x29:
                depth -= 1
                if not depth:
                    self.budget -= at - opening
                    return at
            elif kind == 0x2A:
                break
        self.budget -= reach if at + 100 > opening + reach else at - opening + 100
        return -1

    def arguments(self, opening: int, close: int) -> list[tuple[int, int]]:
        """(start, end) of each argument between two parentheses, blanks included."""
        result: list[tuple[int, int]] = []
        start, depth = opening + 1, 0
        for token in _SEPARATORS.finditer(self.out, start, close):
            kind = token.group()
            if kind in b"([{":
                depth += 1
            elif kind in b")]}":
                depth -= 1
            elif kind == b"," and not depth:
                result.append((start, token.start()))
                start = token.end()
        result.append((start, close))
        return result

    def after(self, at: int) -> int:
        """The next offset that holds neither blank nor comment (may be the end of the text)."""
        match = _SPACE.match(self.out, at, at + 4000)
        return match.end() if match else at

    def line_start(self, at: int) -> int:
        """Where the line of ``at`` starts, looking back a few hundred bytes at most."""
        limit = max(at - LOOKBACK, 0)
        newline = self.out.rfind(b"\n", limit, at)
        return newline + 1 if newline >= 0 else limit

    def in_directive(self, at: int) -> bool:
        """Whether the line of ``at`` starts with ``#``."""
        return self.out[self.line_start(at) : at].lstrip()[:1] == b"#"

    def starts_statement(self, at: int) -> bool:
        """Whether what is before ``at`` ends a statement, a declaration, a comment or a directive."""
        out = self.out
        before = bytes(out[max(at - LOOKBACK, 0) : at]).rstrip()
        if not before:
            return True
        if before[-1] in b";{}:)" or before.endswith((b"*/", b"else", b"do")):
            return True
        line = before[before.rfind(b"\n") + 1 :].lstrip()
        return line[:1] == b"#" or line[:2] == b"//"

    def type_argument(self, start: int, end: int) -> bool:
        """Make one identifier of the type in an argument; False where there is no type."""
        text = bytes(self.out[start:end])
        if len(text) > 200 or not _TYPE.match(text):
            return False
        for match in _QUALIFIER.finditer(text):
            self.blank(start + match.start(), start + match.end())
        text = bytes(self.out[start:end])
        left, right = len(text) - len(text.lstrip()), len(text.rstrip())
        if left < right:
            body = text[left:right]
            if b"\n" not in body:
                self.out[start + left : start + right] = re.sub(rb"\s", b"_", body)
        else:  # nothing but qualifiers
            self.out[start : start + 1] = b"0"
        return True

    def operands(self, arguments: list[tuple[int, int]]) -> None:
        """Make each argument an operand: a type its name, ``int a`` its ``a``, what cannot be one ``0``."""
        for start, end in arguments:
            jump = JUMP.match(self.out, start, end)
            if jump:
                self.put(*jump.span(1), b"0" if jump.end() == end else b"")
            text = bytes(self.out[start:end])
            if self.type_argument(start, end):
                continue
            declared = DECLARED.match(text)
            if declared:
                self.blank(start, start + declared.start(1))
            elif b"{" in text or not _OPERAND.search(text):
                self.blank(start, end)
                if text[:1] not in (b"\n", b"\r", b""):
                    self.out[start : start + 1] = b"0"

    def terminate(self, opening: int, close: int, mark: bytes = b";") -> None:
        """``F(a, b)`` without an end -> ``F=a| b;``: an expression that ends, nothing moved."""
        out = self.out
        if bytes(out[close + 1 : close + 2]) in (b" ", b"\t"):
            out[close + 1 : close + 2] = mark
            return
        if out[close - 1 : close] == b" ":
            out[close - 1 : close + 1] = b")" + mark
            return
        if close == opening + 1:
            out[opening : close + 1] = mark + b" "
            return
        arguments = self.arguments(opening, close)
        self.operands(arguments)
        for _, end in arguments:
            out[end : end + 1] = b"|"
        out[opening : opening + 1] = b"="
        out[close : close + 1] = mark
