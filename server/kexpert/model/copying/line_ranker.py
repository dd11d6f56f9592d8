"""Which whole line that stands near would stand best at the cursor.

Half of all lines that are written stand word for word in the same file or beside it already. Which of ten thousand it
is, is told by the lines around each and those around the cursor, and by names: a local variable of another function
means nothing here, unless the line declares it and something here needs it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from kexpert.abilities import Neighbours, Proximity
from kexpert.model.copying.line_features import (
    KINDS,
    NAMES,
    Notes,
    Role,
    ends_block,
    indent_of,
    parameters_of,
    read_line,
    stem_of,
)

Floats = NDArray[np.float32]
Columns = dict[str, NDArray[np.generic]]

#: The last two words or signs, of so many bytes before the cursor.
_LAST_WORDS = re.compile(rb"(?:\w++|[^\w\s])\s*+(?:\w++|[^\w\s])\s*+\Z")
_REACH = 200
#: Lines that go on with what is typed: more are too many to tell.
_MOST_TYPED = 2000
_CALL = re.compile(rb"\b([A-Za-z_]\w*)[ \t]*\(")
_RESULT = re.compile(rb"\b(void|bool)\b(?![ \t\n]*\*)")
#: No line speaks louder, as a logarithm, and none is liker to another than this: one that repeats a token could be.
_LOUDEST, _LIKEST = 50.0, 2.0
_BARE, _YES_OR_NO = crc32(b"return;"), (crc32(b"return true;"), crc32(b"return false;"))
#: Blank lines below the cursor that are passed over.
_BLANK = 8
#: What surroundings and names have in common says more where that is no matter of course.
_ELSEWHERE = ("in the folder", "in the tree")

#: By ``scripts/fit_lines.py`` with 1,000 functions of Linux 6.1. Fitted to the other half of them, it chooses the right
#: one for 272 of 953 whole lines (433 have it near) and for 410 of 868 ends of lines (501 have it near).
WEIGHTS: Mapping[str, float] = {
    "begins as typed": -1.54,
    "typed letters": 0.49,
    "above": 1.65,
    "above that": 1.40,
    "below": 1.93,
    "head": 1.22,
    "above, in the folder": 1.27,
    "above, in the tree": 0.98,
    "above that, in the folder": 1.69,
    "above that, in the tree": 0.57,
    "below, in the folder": 1.15,
    "below, in the tree": 0.91,
    "head, in the folder": 1.51,
    "head, in the tree": -0.12,
    "strange names": -2.23,
    "label of this function": 1.87,
    "declares what is needed": 3.00,
    "declares in vain": -2.01,
    "uses what is idle": 0.57,
    "names of the line above": 0.41,
    "named like the function": -0.33,
    "named like its own function": -2.23,
    "stands above or below": -1.52,
    "comment": -1.85,
    "stands in no function": -0.90,
    "opens nothing": -2.04,
    "leaves too early": -0.66,
    "returns otherwise": -1.14,
    "returns yes or no": -0.51,
    "indented alike": 0.98,
    "behind such a line": 0.26,
    "before such a line": 0.35,
    "in the function": -2.17,
    "in the file": -0.73,
    "in the folder": -3.49,
    "in the tree": -1.57,
}
#: How much weighs that no line is right: where nothing of the line is typed, and where something is.
NONE = (121.64, 23.69)


@dataclass(frozen=True, slots=True)
class Copied:
    """``text`` goes on behind the cursor to the end of its line, rightly with this probability; where it stands already
    the next line is indented by so many columns more."""

    text: str
    probability: float
    deeper: int = 0


class Likeness(NamedTuple):
    """How like the lines around each line are to those at the cursor, by tokens, and its function's first line to this
    one's."""

    above: Floats
    above_that: Floats
    below: Floats
    head: Floats


@dataclass(frozen=True, slots=True)
class Candidates:
    """Lines by their numbers, where in each what may come next begins, and how many of the typed letters it has."""

    at: NDArray[np.int64]
    start: NDArray[np.int64]
    typed: NDArray[np.int64]


class Here:
    """What the cursor's function says of a line that is to stand in it."""

    def __init__(self, near: Neighbours) -> None:
        above, _, typed = near.before.rpartition("\n")
        rest, _, below = near.after.partition("\n")
        self.typed, self.rest = _bytes(typed).lstrip(), _bytes(rest).strip()
        self.indent = len(typed.expandtabs(8)) - len(typed.expandtabs(8).lstrip())
        header, _, body = above.partition("{")
        own = _bytes(header[header.rfind("\n\n") + 1 :])
        found = _CALL.search(own)
        self.stem = stem_of(found[1]) if found else -1
        result = _RESULT.search(own, 0, found.start() if found else len(own))
        self.result = result[1] if result else b""
        parts = [Notes(body), Notes(below), Notes(f"{typed} {rest}")]
        whole = Notes.joined(parts)
        declared, self.used = whole.named(Role.DECLARED), whole.named(Role.PLAIN, Role.CALLED)
        declared[list(parameters_of(_bytes(header)))] = True
        self.needed = whole.named(Role.PLAIN) & ~declared
        self.idle = declared & ~self.used
        self.known = declared | self.used
        self.above = _bytes(above).rstrip().rpartition(b"\n")[2].strip()
        below_cursor = _bytes(near.after).split(b"\n")[1 : _BLANK + 1]
        below_line = next((line for line in below_cursor if line.strip()), b"")
        self.below = below_line.strip()
        self.kinds = read_line(self.above)[0], read_line(self.below)[0]
        lower = indent_of(below_line)
        self.goes_on = bool(self.below) and lower >= self.indent and not ends_block(self.kinds[1])
        self.opens = bool(self.below) and lower > self.indent

    def possible(self, notes: Notes) -> Candidates:
        """Which lines go on with what is typed, or with the last words of it, and end with what stands behind the
        cursor."""
        if not self.typed and not self.rest:
            at = np.flatnonzero(notes.says_something)
            return Candidates(at, np.zeros(len(at), np.int64), np.zeros(len(at), np.int64))
        found = _LAST_WORDS.search(self.typed[-_REACH:])
        anchor = found[0] if found else self.typed
        has = bytes.startswith if anchor == self.typed else bytes.__contains__
        with_anchor = (at for at, line in enumerate(notes.lines) if has(line, anchor))
        places = ((at, start) for at in with_anchor if (start := self._start(notes.lines[at], anchor)) >= 0)
        kept = list(islice(places, _MOST_TYPED))
        shared = [_shared_end(self.typed, notes.lines[at][:start]) for at, start in kept]
        at, start = np.array(kept, np.int64).reshape(-1, 2).T
        return Candidates(at, start, np.array(shared, np.int64))

    def _start(self, line: bytes, anchor: bytes) -> int:
        """Where what may come next begins in a line, -1 for nowhere."""
        start = len(self.typed)
        if not line.startswith(self.typed):
            begin = line.find(anchor)
            start = begin + len(anchor)
            if begin and _is_word(line[begin - 1 : begin]) and _is_word(anchor[:1]):
                return -1
        return start if len(line) - start > len(self.rest) and line.endswith(self.rest) else -1


def _is_word(byte: bytes) -> bool:
    return byte.isalnum() or byte == b"_"


def _shared_end(one: bytes, other: bytes) -> int:
    size = min(len(one), len(other))
    return next((at for at in range(size) if one[-1 - at] != other[-1 - at]), size)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def columns(notes: Notes, kin: NDArray[np.int64], like: Likeness, here: Here, may: Candidates) -> Columns:
    """What speaks for each candidate and against it."""
    found = {name: column[may.at] for name, column in _columns(notes, kin, like, here).items()}
    return {"begins as typed": may.start == len(here.typed), "typed letters": np.log1p(may.typed), **found}


def _columns(notes: Notes, kin: NDArray[np.int64], like: Likeness, here: Here) -> Columns:
    """What speaks for each line and against it, wherever the cursor stands in it."""
    role, name, count = notes.role, notes.name, len(notes.lines)

    def any_of(names: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return up_to(1, names) > 0

    def up_to(most: int, names: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.minimum(np.bincount(notes.owner[names], minlength=count), most)

    plain, declares = role == Role.PLAIN, role == Role.DECLARED
    local, label = notes.named(Role.DECLARED, Role.PARAMETER), role == Role.LABEL
    strange = plain & (local & ~here.known)[name] | label & ~here.used[name]
    above = _variables(here.above)
    own = notes.stem == here.stem
    foreign = ~own & (notes.stem == notes.head_stem[notes.owner])
    bare, yes_or_no = notes.key == _BARE, np.isin(notes.key, _YES_OR_NO)
    places = {f"in the {each.name.lower()}": kin == each for each in Proximity}
    alike = {name.replace("_", " "): np.minimum(column, _LIKEST) for name, column in like._asdict().items()}
    return {
        **alike,
        **{f"{name}, {place}": column * places[place] for name, column in alike.items() for place in _ELSEWHERE},
        "strange names": up_to(2, strange),
        "label of this function": any_of(label & here.used[name]),
        "declares what is needed": up_to(3, declares & here.needed[name]),
        "declares in vain": up_to(2, declares & ~here.needed[name]),
        "uses what is idle": any_of(plain & here.idle[name]),
        "names of the line above": any_of(plain & above[name]),
        "named like the function": any_of(own),
        "named like its own function": any_of(foreign),
        "stands above or below": (notes.key == crc32(here.above)) | (notes.key == crc32(here.below)),
        "comment": notes.is_comment,
        "stands in no function": notes.is_outside & (here.indent > 0),
        "opens nothing": (np.diff(notes.indent, append=0) <= 0) & here.opens,
        "leaves too early": notes.is_jump & here.goes_on,
        "returns otherwise": notes.is_return & (bare != (here.result == b"void")),
        "returns yes or no": yes_or_no & (here.result != b"bool"),
        "indented alike": notes.indent == here.indent,
        **dict(zip(("behind such a line", "before such a line"), _order(notes, *here.kinds), strict=True)),
        **places,
    }


def _variables(line: bytes) -> NDArray[np.bool_]:
    """The names of a line that may be variables."""
    found = np.zeros(NAMES, bool)
    found[[name for name, _, role in read_line(line)[1] if role in (Role.PLAIN, Role.DECLARED)]] = True
    return found


def _order(notes: Notes, above: int, below: int) -> tuple[Floats, Floats]:
    """The logarithm of how much oftener than by chance lines of each kind stand behind and before such lines."""
    kind = notes.kind
    total = np.bincount(kind, minlength=KINDS) + 0.01
    share = total / total.sum()
    behind = np.bincount(kind[1:][kind[:-1] == above], minlength=KINDS)
    before = np.bincount(kind[:-1][kind[1:] == below], minlength=KINDS)
    follows = np.log((behind + share) / (behind.sum() + 1) / share)
    leads = np.log((before + share[below]) / (total + 1) / share[below])
    return follows[kind].astype(np.float32), leads[kind].astype(np.float32)


def endings(notes: Notes, may: Candidates) -> NDArray[np.int64]:
    """What tells candidates apart that would write something else."""
    if not may.start.any():
        return notes.key[may.at]
    return np.array([crc32(notes.lines[at][start:]) for at, start in zip(may.at, may.start, strict=True)], np.int64)


def choose(notes: Notes, kin: NDArray[np.int64], like: Likeness, here: Here) -> Copied | None:
    """The line for which most speaks; a line that stands in several places is spoken for by each."""
    may = here.possible(notes)
    if not len(may.at):
        return None
    scores = np.zeros(len(may.at))
    for name, column in columns(notes, kin, like, here, may).items():
        scores += WEIGHTS[name] * column
    _, first, which = np.unique(endings(notes, may), return_index=True, return_inverse=True)
    sums = np.bincount(which, np.exp(np.minimum(scores, _LOUDEST)))
    best = int(sums.argmax())
    at, start = may.at[first[best]], may.start[first[best]]
    text = notes.lines[at][start:].decode("utf-8", "replace")
    deeper = int(notes.indent[min(at + 1, len(notes.lines) - 1)] - notes.indent[at])
    return Copied(text, float(sums[best] / (sums.sum() + NONE[bool(here.typed)])), deeper)
