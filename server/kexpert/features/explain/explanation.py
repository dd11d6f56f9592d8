"""What an explanation is, as data. ``render.explain`` says how it looks.

Texts are prose in which code is between backticks; the code itself holds none. Lines are 0-based.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class FactKind(StrEnum):
    """What a fact is about."""

    SIGNATURE = "signature"
    RETURN = "return"
    ERRNO = "errno"
    LOCK = "lock"
    CONTEXT = "context"
    ALLOCATION = "allocation"
    REFERENCE = "reference"
    STATE = "state"
    CALLER = "caller"
    ENTRY = "entry"
    CONFIG = "config"
    DOCUMENTATION = "documentation"
    SIMILAR = "similar"


@dataclass(frozen=True, slots=True)
class Location:
    """A line of a file."""

    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that the code or the index says, and where."""

    kind: FactKind
    text: str
    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence of the page, with the lines that it speaks of."""

    text: str
    locations: tuple[Location, ...] = ()


@dataclass(frozen=True, slots=True)
class ReturnValue:
    """A row of the table of return values: a value, and the conditions under which it is returned."""

    value: str  # prose: "`-EINVAL`", "what `foo()` returns"
    when: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """A step of how a function works; ``depth`` is 0 for the outermost statements."""

    text: str
    line: int
    depth: int = 0
    #: What the author's comment there says, without a full stop.
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """One sentence of what it does. ``sources``: the lines that it was made from."""

    text: str
    origin: Literal["documentation", "facts"]
    sources: tuple[Location, ...] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """A text by a language model, checked against what the model was given: see ``check``. It may still be wrong."""

    text: str
    model: str  # the model's name: "smollm2-135m"
    adapter: str  # of its adapter; "" for none
    #: The lines that the model was given.
    sources: tuple[Location, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is known about a function, a macro or a selection, in the order of a page."""

    name: str
    what: str  # "function", "system call", "macro", "selection"
    path: str
    line: int
    end_line: int
    signature: str
    summary: Summary
    facts: tuple[Fact, ...] = ()
    #: Conditions under which it is compiled.
    built: tuple[Statement, ...] = ()
    calling: tuple[Statement, ...] = ()
    returns: tuple[ReturnValue, ...] = ()
    steps: tuple[Step, ...] = ()
    users: tuple[Statement, ...] = ()
    related: tuple[Statement, ...] = ()
    #: What could not be read, in words.
    gaps: tuple[str, ...] = ()
    #: By a model: one line, and some sentences. None where no model was asked, or nothing of its answer was left.
    written_summary: Written | None = None
    written_text: Written | None = None


def as_code(text: str) -> str:
    """Code for use within the text of a fact."""
    return f"`{text.replace('`', chr(39))}`" if text else ""


def listed(items: list[str], max_items: int, joint: str = "and") -> str:
    """``a, b and c``; what is over ``max_items`` is counted."""
    shown = items[:max_items]
    more = len(items) - len(shown)
    if more:
        shown.append(f"{more} more")
    if len(shown) < 2:
        return "".join(shown)
    return f"{', '.join(shown[:-1])} {joint} {shown[-1]}"
