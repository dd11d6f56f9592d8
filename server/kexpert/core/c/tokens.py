"""C as a flat list of tokens without comments and directives, with brackets paired.

While a line is being typed, the syntax tree is least reliable at the cursor, and macros that take types or whole loops
have no correct tree at all. Tokens are always correct, so scopes, declarations and types are read from them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NamedTuple

_TOKEN = re.compile(
    r"""(?P<skip>/\*.*?(?:\*/|\Z)|//(?:[^\n\\]++|\\\r?.)*+"""
    r"""|^[ \t]*+\#(?:[^\n\\/]++|\\\r?.|/\*.*?(?:\*/|\Z)|/)*+)"""
    r"""|[A-Za-z_]\w*|\.?\d(?:[eEpP][+-]|[\w.])*"""
    r"""|"(?:[^"\\\n]++|\\\r?.)*+"?|'(?:[^'\\\n]++|\\\r?.)*+'?"""
    r"""|->|\+\+|--|<<=?|>>=?|\.\.\.|&&|\|\||\#\#|[-+*/%&|^<>=!]=|[^\s\w\\]""",
    re.S | re.M | re.A,
)
_OPENING = {")": "(", "]": "[", "}": "{"}
#: Macros that take declarations or statements: a ``;`` inside their parentheses does not end them.
_TAKES_STATEMENTS = re.compile(r"for|_*struct_group\w*|[A-Z_]\w*", re.A)


class CToken(NamedTuple):
    """One token. ``text`` has one character per byte (Latin-1); offsets are bytes of the file."""

    text: str
    start: int
    end: int


_new = tuple.__new__  # a named tuple's own constructor takes as long as all the rest


class Tokens:
    """The tokens of one range of a file. Offsets are bytes of the file. An index outside the list reads as an empty
    token, so callers need no bounds checks."""

    __slots__ = ("_base", "_partners", "_text", "end", "items", "starts")

    def __init__(self, data: bytes, start: int = 0, end: int | None = None, base: int = 0) -> None:
        """Tokenize ``data[start:end]``. ``start`` must not be inside a comment or a string. ``base`` is the offset of
        ``data`` in its file."""
        text = data[start:end].decode("latin-1")
        base += start
        self._text, self._base = text, base
        self.items = [
            _new(CToken, (m[0], m.start() + base, m.end() + base)) for m in _TOKEN.finditer(text) if not m.lastindex
        ]
        self.end = base + len(text)
        self.starts = [token.start for token in self.items]
        self._partners = _pair(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, at: int) -> str:
        return self.items[at].text if 0 <= at < len(self.items) else ""

    def start(self, at: int) -> int:
        """Offset where token ``at`` begins."""
        return self.items[at].start if 0 <= at < len(self.items) else self.end

    def stop(self, at: int) -> int:
        """Offset where token ``at`` ends."""
        return self.items[at].end if 0 <= at < len(self.items) else self.end

    def is_word(self, at: int) -> bool:
        """Return True if token ``at`` is an identifier or a keyword."""
        text = self[at]
        return text != "" and (text[0].isalpha() or text[0] == "_")

    def begins_line(self, at: int) -> bool:
        """Return True if token ``at`` is the first of its line."""
        return self._text.find("\n", self.stop(at - 1) - self._base, self.start(at) - self._base) >= 0

    def at_offset(self, offset: int) -> int:
        """Index of the last token that begins at or before ``offset``; -1 if there is none."""
        return bisect_right(self.starts, offset) - 1

    def partner(self, at: int) -> int:
        """Index of the bracket that matches bracket ``at``; -1 if there is none."""
        return self._partners.get(at, -1)

    def past(self, at: int) -> int:
        """Index of the token after the bracketed group that opens at ``at``; ``at + 1`` if it never closes."""
        closing = self.partner(at)
        return closing + 1 if closing > at else at + 1

    def enclosing(self, at: int, *brackets: str) -> int:
        """Index of the innermost opening bracket of these kinds around token ``at``; -1 if there is none. The search
        ends at the start of the statement unless ``brackets`` contains ``{``."""
        at -= 1
        while at >= 0:
            text = self[at]
            if text in _OPENING:
                at = self._partners.get(at, at) - 1
                continue
            if text in brackets:
                return at
            if text == "{" or (text == ";" and "{" not in brackets):
                return -1
            at -= 1
        return -1

    def join(self, start: int, stop: int) -> str:
        """The text of tokens ``start`` to ``stop``, with one space between words."""
        pieces: list[str] = []
        for at in range(max(start, 0), min(stop, len(self.items))):
            if pieces and self.is_word(at) and self.is_word(at - 1):
                pieces.append(" ")
            pieces.append(self.items[at].text)
        return "".join(pieces)

    def commas(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Split a range of tokens at its top-level commas: (start, stop) of each part; [] for an empty range."""
        if start >= stop:
            return []
        parts: list[tuple[int, int]] = []
        begin = at = start
        while at < stop:
            text = self[at]
            if text == ",":
                parts.append((begin, at))
                begin = at + 1
            at = min(self.past(at), stop) if text in ("(", "[", "{") else at + 1
        parts.append((begin, stop))
        return parts


def _pair(items: list[CToken]) -> dict[int, int]:
    """Map each bracket to its partner, in both directions. ``}`` and ``;`` close brackets left open before them, so an
    unfinished call does not swallow the statements below it."""
    partners: dict[int, int] = {}
    stack: list[int] = []
    braces = 0
    for at, (text, _, _) in enumerate(items):
        if text in ("(", "[", "{"):
            stack.append(at)
            braces += text == "{"
        elif text in _OPENING:
            opener = _OPENING[text]
            if text == "}" and not braces:
                continue
            depth = len(stack) - 1
            while depth >= 0 and items[stack[depth]].text not in (opener, "{"):
                depth -= 1
            if depth >= 0 and items[stack[depth]].text == opener:
                partners[stack[depth]], partners[at] = at, stack[depth]
                del stack[depth:]
                braces -= text == "}"
        elif text == ";":
            while stack and items[stack[-1]].text != "{" and not _takes_statements(items, stack[-1]):
                stack.pop()
    return partners


def _takes_statements(items: list[CToken], paren: int) -> bool:
    return paren > 0 and _TAKES_STATEMENTS.fullmatch(items[paren - 1].text) is not None
