"""Where a suggestion ends: with its statement or block, by syntax, or where another line becomes unlikely."""

from __future__ import annotations

from kexpert.features.inline.hole_shape import (
    CLOSING,
    COMMENT,
    PIECE,
    HoleShape,
    has_open_bracket,
    indent_of,
    last_character,
)

#: Maximum characters read of an answer.
MAX_TEXT = 4096
#: Natural log-probability that the text after the last complete statement must keep to be shown as well.
MIN_FURTHER_LOGPROB = -1.0


class StoppingRule:
    """Reads an answer token by token until it is as long as the suggestion should be.

    Pure: no model, no clock. ``text`` is what was read; ``suggestion`` is the part of it to keep.
    """

    def __init__(self, shape: HoleShape) -> None:
        self.text = ""
        self._shape = shape
        self._end: int | None = None
        self._complete = 0  # up to here statements are complete
        self._further_logprob = 0.0  # of what is written after that

    @property
    def suggestion(self) -> str:
        return self.text[: self._end]

    def feed(self, text: str, logprob: float, last: bool = False) -> bool:
        """Read a token; True if the suggestion ends here. ``last``: the model ends its answer with it."""
        self.text += text
        self._end = end_of(self.text, self._shape)
        if self._end is not None or last:
            return True
        if "\n" in text and (complete := complete_until(self.text)) > self._complete:
            self._complete, self._further_logprob = complete, 0.0
        elif self._complete:
            self._further_logprob += logprob
        if self._further_logprob < MIN_FURTHER_LOGPROB:
            self._end = self._complete
            return True
        if len(self.text) > MAX_TEXT:
            self.run_out()
            return True
        return False

    def run_out(self) -> None:
        """No more tokens come: drop the last line, which is not finished."""
        self._end = 0 if self._shape.one_line else max(self.text.rfind("\n"), 0)


def end_of(text: str, shape: HoleShape) -> int | None:
    """Number of characters to keep of an answer; None while it may go on. Called again with each token."""
    open_brackets = ["("] * shape.open_brackets
    last = ""  # the last character that is not blank
    lines = 0
    complete = 0  # up to here statements are complete
    for part in PIECE.finditer(text):
        piece = part[0]
        if piece in ("(", "[", "{"):
            open_brackets.append(piece)
        elif piece == "}" and "{" not in open_brackets:
            return len(text[: part.start()].rstrip())  # closes the block around the cursor
        elif piece in CLOSING and open_brackets and (open_brackets[-1] == "{") == (piece == "}"):
            open_brackets.pop()
        elif piece == "\n":
            if shape.one_line:
                return part.start()
            if last:
                lines += 1
                line = text.rfind("\n", 0, part.start()) + 1
                if line and text[line : part.start()].rstrip() == shape.below:
                    return line - 1
                if shape.closed_after != (0, 0) and _depths(open_brackets) == shape.closed_after:
                    return part.start()
                indent = indent_of(text[line : part.start()]) if line else shape.indents[0]
                if shape.indents[1] > indent and last not in (";", "}", COMMENT):
                    return part.start()  # the line below is the body of what begins here
                if not open_brackets and last in (";", "}", ":", COMMENT):
                    complete = part.start()
                    if not shape.begins_statement or (last == "}" and lines > 1):
                        return complete
                if lines >= shape.max_lines:
                    return complete or part.start()
                if text.startswith("\n", part.end()):
                    return part.start()
        if not piece.isspace():
            last = last_character(piece)
    return None


def complete_until(text: str) -> int:
    """The last end of a line if every statement before it is complete, else 0."""
    at = text.rfind("\n")
    return at if at > 0 and text[:at].rstrip()[-1:] in (";", "}") and not has_open_bracket(text[:at]) else 0


def without_repeated_end(text: str, shape: HoleShape) -> str:
    """A finished suggestion without an end that follows the cursor already."""
    rest = shape.rest.strip()
    if rest:
        without = text.rstrip().removesuffix(rest)
        return text if has_open_bracket(without) or without == text.rstrip() else without
    text = text.rstrip()
    above, newline, last = text.rpartition("\n")
    repeats = newline and last.strip() == shape.below.strip() and not has_open_bracket(above)
    return above.rstrip() if repeats else text


def _depths(open_brackets: list[str]) -> tuple[int, int]:
    """Numbers of open ``(`` or ``[``, and of open ``{``."""
    curly = open_brackets.count("{")
    return len(open_brackets) - curly, curly
