"""An editor that overwrites bytes in place and navigates C that is not parsed yet."""

from __future__ import annotations

import re

#: ``translate`` table: every byte but line breaks becomes a blank.
BLANK = bytes(c if c in b"\r\n" else 0x20 for c in range(256))
#: ``translate`` table: every byte that is not part of a word becomes a blank.
NOT_WORD = bytes(c if (c < 128 and chr(c).isalnum()) or c == 0x5F else 0x20 for c in range(256))
#: Byte -> whether it is part of a word.
IS_WORD = [c != 0x20 for c in NOT_WORD]
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
LOOKBACK_BYTES = 400  # bytes searched for the start of a line


class Editor:
    """Overwrites bytes of one text in place: no edit changes the length or a line break."""

    def __init__(self, data: bytes) -> None:
        self.out = bytearray(data)
        #: Bytes that ``closing`` may still scan. Without it, deeply nested broken code would take quadratic time.
        self.budget = 4 * len(data) + 100_000

    def blank(self, start: int, end: int) -> None:
        """Overwrite a range with blanks; keep line breaks and line continuations."""
        piece = self.out[start:end]
        self.out[start:end] = piece.translate(BLANK) if b"\\" not in piece else _INK.sub(b" ", piece)

    def put(self, start: int, end: int, text: bytes) -> None:
        """Overwrite a range with ``text`` padded with blanks. The range must hold no line break and be long enough."""
        self.out[start:end] = text.ljust(end - start)

    def closing(self, opening: int, reach: int = 20_000) -> int:
        """Offset of the ``)`` that closes the ``(`` at ``opening``; -1 if there is none within ``reach`` bytes."""
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
        """(start, end) of each argument between two parentheses, surrounding blanks included."""
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
        """The next offset that holds neither blank nor comment, or the end of the text."""
        match = _SPACE.match(self.out, at, at + 4000)
        return match.end() if match else at

    def line_start(self, at: int) -> int:
        """Start of the line that holds ``at``. Looks back ``LOOKBACK_BYTES`` at most."""
        limit = max(at - LOOKBACK_BYTES, 0)
        newline = self.out.rfind(b"\n", limit, at)
        return newline + 1 if newline >= 0 else limit

    def in_directive(self, at: int) -> bool:
        """Return True if the line that holds ``at`` starts with ``#``."""
        return self.out[self.line_start(at) : at].lstrip()[:1] == b"#"

    def starts_statement(self, at: int) -> bool:
        """Return True if the text before ``at`` ends a statement, a declaration, a comment or a directive."""
        out = self.out
        before = bytes(out[max(at - LOOKBACK_BYTES, 0) : at]).rstrip()
        if not before:
            return True
        if before[-1] in b";{}:)" or before.endswith((b"*/", b"else", b"do")):
            return True
        line = before[before.rfind(b"\n") + 1 :].lstrip()
        return line[:1] == b"#" or line[:2] == b"//"

    def type_argument(self, start: int, end: int) -> bool:
        """Replace the type in an argument by one identifier. Returns False if the argument is not a type."""
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
        """Replace each argument by an operand: a type by its name, ``int a`` by ``a``, a block by ``0``."""
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
        """``F(a, b)`` without a terminator -> ``F=a| b;``: a terminated expression of the same length."""
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

    def subscript(self, opening: int, close: int, arguments: list[tuple[int, int]]) -> None:
        """``F(name, a, b)`` -> ``F name[a| b]``: an array whose type is the macro; every word stays."""
        out = self.out
        out[opening : opening + 1] = b" "
        for index, (_, stop) in enumerate(arguments[:-1]):
            out[stop : stop + 1] = b"|" if index else b"["
        self.operands(arguments[1:])
        out[close : close + 1] = b"]"

    def char_after(self, close: int) -> bytes:
        """The first byte after ``close`` that is neither blank nor comment; b"" at the end of the text."""
        at = self.after(close + 1)
        return bytes(self.out[at : at + 1])

    def last_ink(self, at: int) -> int:
        """Offset of the last byte before ``at`` that is not blank. Looks back ``LOOKBACK_BYTES`` at most."""
        start = max(at - LOOKBACK_BYTES, 0)
        return start + len(bytes(self.out[start:at]).rstrip()) - 1
