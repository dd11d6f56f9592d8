"""A file before and after a patch, made from the file as it is in the tree, which may be either or neither."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from kexpert.core.unified_diff import FilePatch, Hunk

#: Lines of context that may differ at each end of a hunk, as in ``patch``.
_MAX_FUZZ = 2
#: Places that are compared for one hunk, nearest first.
_MAX_CANDIDATES = 1000


class TreeState(Enum):
    """What the tree's file is to the patch; the value is for messages."""

    BEFORE = "not applied"
    AFTER = "applied"
    PARTIAL = "some hunks do not fit"
    ABSENT = "not in the tree"
    OTHER = "no hunk fits"


@dataclass(slots=True)
class FileStates:
    """Both texts, the changed lines in each (0-based), and the hunks that have no place."""

    old: bytes
    new: bytes
    state: TreeState
    is_old_in_tree: bool
    removed: list[int] = field(default_factory=list)
    added: list[int] = field(default_factory=list)
    unplaced: list[Hunk] = field(default_factory=list)


def states_of(patch: FilePatch, text: bytes | None, prefers_after: bool = False) -> FileStates:
    """The file before and after its patch. ``text``: as it is in the tree; None if it is not there.

    ``prefers_after``: where both fit, the tree has the patch.
    """
    if text is None:
        old = _whole_side(patch, "-") if patch.new_name is None else b""
        new = _whole_side(patch, "+") if patch.old_name is None else b""
        is_whole = patch.new_name is None or patch.old_name is None
        states = FileStates(old, new, TreeState.ABSENT, True)
        if is_whole:
            states.removed = list(range(old.count(b"\n")))
            states.added = list(range(new.count(b"\n")))
        else:
            states.unplaced = list(patch.hunks)
        return states
    lines = text.split(b"\n")
    before, after = _placed(patch.hunks, lines, "-"), _placed(patch.hunks, lines, "+")
    if patch.old_name is None or patch.new_name is None:  # a whole file: its text decides
        is_after = patch.old_name is None
    else:
        scores = _score(after), _score(before)
        # both fit: lines at the end of a file that only one side has are there
        is_longer = len(_whole_side(patch, "+")) > len(_whole_side(patch, "-"))
        is_after = scores[0] > scores[1] or (scores[0] == scores[1] and (prefers_after or is_longer))
    places = after if is_after else before
    found = [(place, hunk) for place, hunk in zip(places, patch.hunks, strict=True) if place is not None]
    states = _spliced(lines, sorted(found, key=lambda each: each[0].line), is_after)
    states.unplaced = [hunk for place, hunk in zip(places, patch.hunks, strict=True) if place is None]
    if states.unplaced:
        states.state = TreeState.PARTIAL if found else TreeState.OTHER
    return states


def _whole_side(patch: FilePatch, tag: str) -> bytes:
    return b"\n".join([line for hunk in patch.hunks for line in hunk.side(tag)] + [b""])


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a side of a hunk, without ``skipped`` lines at its start and ``cut`` at its end, is in a text."""

    line: int
    skipped: int
    cut: int


def _placed(hunks: Sequence[Hunk], lines: list[bytes], tag: str) -> list[_Place | None]:
    """The place of each hunk's side, nearest to where the hunk says it is and after the hunk before it."""
    index: dict[bytes, list[int]] = {}
    for number, line in enumerate(lines):
        index.setdefault(line.rstrip(b"\r"), []).append(number)
    places: list[_Place | None] = []
    shift = least = 0
    for hunk in hunks:
        side = [line.rstrip(b"\r") for line in hunk.side(tag)]
        expected = (hunk.old_start if tag == "-" else hunk.new_start) + shift
        place = _nearest(side, _context(hunk), lines, index, expected, least)
        places.append(place)
        if place is not None:
            shift += place.line - place.skipped - expected
            least = place.line + len(side) - place.skipped - place.cut
    return places


def _score(places: Sequence[_Place | None]) -> tuple[int, int]:
    """How well a side fits: the hunks that have a place, and fewer lines of context left out."""
    found = [place for place in places if place is not None]
    return len(found), -sum(place.skipped + place.cut for place in found)


def _context(hunk: Hunk) -> tuple[int, int]:
    """The number of unchanged lines at the start and at the end."""
    changed = [at for at, (tag, _) in enumerate(hunk.lines) if tag != " "]
    return (changed[0], len(hunk.lines) - 1 - changed[-1]) if changed else (0, 0)


def _nearest(
    side: list[bytes],
    context: tuple[int, int],
    lines: list[bytes],
    index: dict[bytes, list[int]],
    expected: int,
    least: int,
) -> _Place | None:
    if not side:  # nothing before or after: an empty file
        return _Place(0, 0, 0) if not any(lines) else None
    for fuzz in range(_MAX_FUZZ + 1):
        skipped, cut = min(fuzz, context[0]), min(fuzz, context[1])
        part = side[skipped : len(side) - cut]
        if not part or (fuzz and (skipped, cut) == (min(fuzz - 1, context[0]), min(fuzz - 1, context[1]))):
            continue
        # the line of the part that the text has least often leads to the candidates
        rarest = min(range(len(part)), key=lambda at: len(index.get(part[at], ())))
        wanted = expected + skipped
        starts = [at - rarest for at in index.get(part[rarest], ()) if at - rarest >= least]
        if len(starts) > _MAX_CANDIDATES:
            starts = sorted(starts, key=lambda at: abs(at - wanted))[:_MAX_CANDIDATES]
        fitting = [at for at in starts if _fits(part, lines, at)]
        if fitting:
            return _Place(min(fitting, key=lambda at: abs(at - wanted)), skipped, cut)
    return None


def _fits(part: list[bytes], lines: list[bytes], at: int) -> bool:
    if at + len(part) > len(lines):
        return False
    return all(lines[at + number].rstrip(b"\r") == line for number, line in enumerate(part))


def _spliced(lines: list[bytes], found: Sequence[tuple[_Place, Hunk]], is_after: bool) -> FileStates:
    """The other text, made by replacing the placed hunks, and the changed lines of both."""
    mine, theirs = ("+", "-") if is_after else ("-", "+")
    other: list[bytes] = []
    my_changed: list[int] = []
    their_changed: list[int] = []
    done = 0
    for place, hunk in found:
        if place.line < done:
            continue
        other += lines[done : place.line]
        mine_at, theirs_at = place.line, len(other)
        for tag, text in hunk.lines[place.skipped : len(hunk.lines) - place.cut]:
            if tag == mine:
                my_changed.append(mine_at)
                mine_at += 1
            elif tag == theirs:
                their_changed.append(theirs_at)
                other.append(text)
                theirs_at += 1
            else:
                other.append(lines[mine_at])
                mine_at += 1
                theirs_at += 1
        done = mine_at
    other += lines[done:]
    text, made = b"\n".join(lines), b"\n".join(other)
    if is_after:
        return FileStates(made, text, TreeState.AFTER, False, their_changed, my_changed)
    return FileStates(text, made, TreeState.BEFORE, True, my_changed, their_changed)
