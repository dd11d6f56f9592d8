"""The shape of a hole in code: what the text on either side says of the suggestion that fits into it."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Comments, strings, brackets, line ends, blanks, and runs of everything else. Possessive where it can be.
PIECE = re.compile(
    r"""/\*.*?(?:\*/|\Z)|//[^\n]*|"(?:[^"\\\n]|\\.)*+"?|'(?:[^'\\\n]|\\.)*+'?|[(){}\[\]\n]|[^\S\n]+|[^\s(){}\[\]"'/]+|/""",
    re.S,
)
CLOSING = {")": "(", "]": "[", "}": "{"}
#: Stands for a comment where the last character of a piece is asked for.
COMMENT = "*/"
#: Characters before the cursor in which the beginning of its statement is looked for.
_STATEMENT_CHARS = 2000
#: Blank lines after the cursor that are skipped.
_MAX_BLANK_LINES = 8


@dataclass(frozen=True, slots=True)
class HoleShape:
    """The hole at a cursor."""

    #: The text after the cursor on its line; the suggestion stays on that line if there is any.
    rest: str
    #: True if a statement begins here: then several may be suggested.
    begins_statement: bool
    max_lines: int
    #: Number of ``(`` and ``[`` that are open before the cursor.
    open_brackets: int = 0
    #: The next line that is not blank: a suggestion does not repeat it.
    below: str = ""
    #: Numbers of ``(`` or ``[``, and of ``{``, that the text after the cursor closes: a suggestion leaves them open.
    closed_after: tuple[int, int] = (0, 0)
    #: Columns by which the cursor's line and the line below are indented.
    indents: tuple[int, int] = (0, 0)

    @property
    def one_line(self) -> bool:
        return bool(self.rest.strip()) or self.max_lines == 1


def hole_shape(before: str, after: str, max_lines: int) -> HoleShape:
    """The shape of the hole between two texts."""
    rest, _, below = after.partition("\n")
    open_brackets, last = 0, ""
    for part in PIECE.finditer(before, before.rfind("\n", 0, max(len(before) - _STATEMENT_CHARS, 0)) + 1):
        piece = part[0]
        if piece in "([":
            open_brackets += 1
        elif piece in ")]":
            open_brackets = max(open_brackets - 1, 0)
        elif piece in "{}" or piece.endswith(";"):
            open_brackets = 0
        last = last if piece.isspace() else last_character(piece)
    begins_statement = not open_brackets and last in ("", ";", "{", "}", ":", COMMENT)
    lines = below.split("\n", _MAX_BLANK_LINES)[:_MAX_BLANK_LINES]
    following = next((line.rstrip() for line in lines if line.strip()), "")
    indents = indent_of(before[before.rfind("\n") + 1 :]), indent_of(following)
    return HoleShape(rest, begins_statement, max_lines, open_brackets, following, _closed_after(before, after), indents)


def indent_of(line: str) -> int:
    """Columns of the blanks at the beginning of a line."""
    blanks = line[: len(line) - len(line.lstrip())]
    return len(blanks.expandtabs(8))


def last_character(piece: str) -> str:
    """The last character of a piece of code; ``COMMENT`` for a comment."""
    return COMMENT if piece.startswith(("/*", "//")) else piece[-1]


def has_open_bracket(text: str) -> bool:
    """True if a text opens a bracket and does not close it."""
    opened: list[str] = []
    for part in PIECE.finditer(text):
        if part[0] in ("(", "[", "{"):
            opened.append(part[0])
        elif opened and CLOSING.get(part[0]) == opened[-1]:
            opened.pop()
    return bool(opened)


def _closed_after(before: str, after: str) -> tuple[int, int]:
    """Brackets of the statement, and braces of the function, that the text after the cursor closes."""
    body = before[before.rfind("\n{") + 1 :]
    rest_of_function = after.partition("\n}")[0]
    opened_before = len(_unbalanced(body, "{", "}")[0])
    ends = (part.start() for part in PIECE.finditer(rest_of_function) if last_character(part[0]) in "{};")
    statement = rest_of_function[: next(ends, len(rest_of_function))]
    braces = _unbalanced(rest_of_function, "{", "}")[1] - max(opened_before - 1, 0)
    return _unbalanced(statement, "([", ")]")[1], max(braces, 0)


def _unbalanced(text: str, opening: str, closing: str) -> tuple[str, int]:
    """(brackets that a text opens and does not close, number of those that it closes and did not open)."""
    opened, extra = "", 0
    for part in PIECE.finditer(text):
        if part[0] in opening:
            opened += part[0]
        elif part[0] in closing:
            extra += not opened
            opened = opened[:-1]
    return opened, extra
