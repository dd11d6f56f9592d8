"""Where a suggestion ends: at the end of the statement or the block that the cursor stands in, by syntax."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PART = re.compile(
    r"""/\*.*?(?:\*/|\Z)|//[^\n]*|"(?:[^"\\\n]|\\.)*+"?|'(?:[^'\\\n]|\\.)*+'?|[(){}\[\]\n]|[^\S\n]+|[^\s(){}\[\]"'/]+|/""",
    re.S,
)
_CLOSING = {")": "(", "]": "[", "}": "{"}
_COMMENT = "*/"
#: Characters before the cursor in which its statement is looked for.
_STATEMENT = 2000
#: Blank lines below it that are passed over.
_BLANK = 8


@dataclass(frozen=True, slots=True)
class Shape:
    """How a place wants to be filled."""

    #: What follows on the cursor's own line; the suggestion stays on that line if there is any.
    rest: str
    #: Whether a statement begins here: then several may come.
    fresh: bool
    most_lines: int
    #: ``(`` and ``[`` that are open before the cursor.
    inside: int = 0
    #: The next line that is not blank: repeating it is no suggestion.
    below: str = ""
    #: ``(`` or ``[``, and ``{``, that are closed behind the cursor and must be open where a suggestion ends.
    owed: tuple[int, int] = (0, 0)
    #: Columns by which the cursor's line and the one below are indented.
    indents: tuple[int, int] = (0, 0)

    @property
    def one_line(self) -> bool:
        return bool(self.rest.strip()) or self.most_lines == 1


def shape_at(before: str, after: str, most_lines: int) -> Shape:
    """The shape of the hole between two texts."""
    rest, _, below = after.partition("\n")
    inside, last = 0, ""
    for part in _PART.finditer(before, before.rfind("\n", 0, max(len(before) - _STATEMENT, 0)) + 1):
        piece = part[0]
        if piece in "([":
            inside += 1
        elif piece in ")]":
            inside = max(inside - 1, 0)
        elif piece in "{}" or piece.endswith(";"):
            inside = 0
        last = last if piece.isspace() else _last_ink(piece)
    fresh = not inside and last in ("", ";", "{", "}", ":", _COMMENT)
    following = next((line.rstrip() for line in below.split("\n", _BLANK)[:_BLANK] if line.strip()), "")
    indents = _indent(before[before.rfind("\n") + 1 :]), _indent(following)
    return Shape(rest, fresh, most_lines, inside, following, _owed(before, after), indents)


def _indent(line: str) -> int:
    blank = line[: len(line) - len(line.lstrip())]
    return len(blank.expandtabs(8))


def _owed(before: str, after: str) -> tuple[int, int]:
    """What is closed behind a cursor: brackets of its statement, and braces of its function that were not opened."""
    body = before[before.rfind("\n{") + 1 :]
    behind = after.partition("\n}")[0]
    opened = len(_unclosed(body, "{", "}")[0])
    statement = next((part.start() for part in _PART.finditer(behind) if _last_ink(part[0]) in "{};"), len(behind))
    return _unclosed(behind[:statement], "([", ")]")[1], max(_unclosed(behind, "{", "}")[1] - max(opened - 1, 0), 0)


def _unclosed(text: str, opening: str, closing: str) -> tuple[str, int]:
    """(brackets that a text opens and does not close, how many it closes that it did not open)."""
    opened, more = "", 0
    for part in _PART.finditer(text):
        if part[0] in opening:
            opened += part[0]
        elif part[0] in closing:
            more += not opened
            opened = opened[:-1]
    return opened, more


def end_of(text: str, shape: Shape) -> int | None:
    """Where to cut ``text``; None while it may go on. Asked again with each token."""
    open_brackets = ["("] * shape.inside
    last = ""  # the last ink
    lines = 0
    complete = 0  # up to where whole statements stand
    for part in _PART.finditer(text):
        piece = part[0]
        if piece in ("(", "[", "{"):
            open_brackets.append(piece)
        elif piece == "}" and "{" not in open_brackets:
            return len(text[: part.start()].rstrip())  # the block is over that was open before
        elif piece in _CLOSING and open_brackets and (open_brackets[-1] == "{") == (piece == "}"):
            open_brackets.pop()
        elif piece == "\n":
            if shape.one_line:
                return part.start()
            if last:
                lines += 1
                line = text.rfind("\n", 0, part.start()) + 1
                if line and text[line : part.start()].rstrip() == shape.below:
                    return line - 1
                if shape.owed != (0, 0) and _depths(open_brackets) == shape.owed:
                    return part.start()
                indent = _indent(text[line : part.start()]) if line else shape.indents[0]
                if shape.indents[1] > indent and last not in (";", "}", _COMMENT):
                    return part.start()  # what it begins stands below
                if not open_brackets and last in (";", "}", ":", _COMMENT):
                    complete = part.start()
                    if not shape.fresh or (last == "}" and lines > 1):
                        return complete
                if lines >= shape.most_lines:
                    return complete or part.start()
                if text.startswith("\n", part.end()):
                    return part.start()
        if not piece.isspace():
            last = _last_ink(piece)
    return None


def whole_until(text: str) -> int:
    """The last end of a line, if every statement before it is whole, else 0."""
    at = text.rfind("\n")
    return at if at > 0 and text[:at].rstrip()[-1:] in (";", "}") and not _is_open(text[:at]) else 0


def _depths(open_brackets: list[str]) -> tuple[int, int]:
    curly = open_brackets.count("{")
    return len(open_brackets) - curly, curly


def _last_ink(piece: str) -> str:
    return _COMMENT if piece.startswith(("/*", "//")) else piece[-1]


def trimmed(text: str, shape: Shape) -> str:
    """A finished suggestion without what stands behind the cursor already."""
    rest = shape.rest.strip()
    if rest:
        without = text.rstrip().removesuffix(rest)
        return text if _is_open(without) or without == text.rstrip() else without
    text = text.rstrip()
    above, newline, last = text.rpartition("\n")
    repeats = newline and last.strip() == shape.below.strip() and not _is_open(above)
    return above.rstrip() if repeats else text


def _is_open(text: str) -> bool:
    """Whether a text opens a bracket and does not close it."""
    opened: list[str] = []
    for part in _PART.finditer(text):
        if part[0] in ("(", "[", "{"):
            opened.append(part[0])
        elif opened and _CLOSING.get(part[0]) == opened[-1]:
            opened.pop()
    return bool(opened)
