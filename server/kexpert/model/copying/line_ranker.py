"""Rank the lines of neighbouring texts by how well they fill the rest of the cursor's line.

About half of all new lines of kernel code occur word for word in the same file or its neighbours. The ranker is a
log-linear model over tens of thousands of candidate lines. Its features compare the lines around a candidate with those
around the cursor, and check names: a local variable of another function does not fit, unless the line declares it and
the cursor's function needs it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from kexpert.abilities import Neighbours, Proximity
from kexpert.model.copying.line_features import (
    LINE_KINDS,
    NAME_BUCKETS,
    TAB_COLUMNS,
    LineFeatures,
    Role,
    ends_block,
    indent_of,
    parameters_of,
    read_line,
    stem_hash,
)

Floats = NDArray[np.float32]
Columns = dict[str, NDArray[Any]]

#: The last two words or signs before the cursor, within the last ``_ANCHOR_BYTES``.
_LAST_WORDS = re.compile(rb"(?:\w++|[^\w\s])\s*+(?:\w++|[^\w\s])\s*+\Z")
_ANCHOR_BYTES = 200
#: Maximum candidates that continue the typed text.
_MAX_TYPED_CANDIDATES = 2000
_CALL = re.compile(rb"\b([A-Za-z_]\w*)[ \t]*\(")
_RETURN_TYPE = re.compile(rb"\b(void|bool)\b(?![ \t\n]*\*)")
#: Upper bounds of a line's score (it is exponentiated) and of a similarity (a line that repeats a token may exceed 1).
_MAX_SCORE, _MAX_SIMILARITY = 50.0, 2.0
_RETURN, _RETURN_BOOL = crc32(b"return;"), (crc32(b"return true;"), crc32(b"return false;"))
#: Lines below the cursor that are searched for one that is not blank.
_LINES_BELOW = 8
#: Similarities have further weights for texts of these proximities.
_DISTANT = ("in the folder", "in the tree")

#: Fitted by ``scripts/fit_line_ranker.py`` on 1,000 functions of Linux 6.1. In two-fold cross-validation it ranks the
#: right line first for 272 of 953 holes of whole lines (433 have it among their candidates) and for 410 of 868 holes
#: inside lines (501 have it).
WEIGHTS: Mapping[str, float] = {
    "begins as typed": -1.54,
    "typed characters matched": 0.49,
    "line above": 1.65,
    "second line above": 1.40,
    "line below": 1.93,
    "function header": 1.22,
    "line above, in the folder": 1.27,
    "line above, in the tree": 0.98,
    "second line above, in the folder": 1.69,
    "second line above, in the tree": 0.57,
    "line below, in the folder": 1.15,
    "line below, in the tree": 0.91,
    "function header, in the folder": 1.51,
    "function header, in the tree": -0.12,
    "unknown names": -2.23,
    "label of this function": 1.87,
    "declares a needed name": 3.00,
    "declares an unneeded name": -2.01,
    "uses an unused variable": 0.57,
    "uses a name of the line above": 0.41,
    "stem of this function": -0.33,
    "stem of its own function": -2.23,
    "equals a line next to the cursor": -1.52,
    "comment": -1.85,
    "outside functions": -0.90,
    "opens no block": -2.04,
    "jumps before the end of a block": -0.66,
    "return does not fit the return type": -1.14,
    "returns a bool elsewhere": -0.51,
    "same indentation": 0.98,
    "kind after the line above": 0.26,
    "kind before the line below": 0.35,
    "in the function": -2.17,
    "in the file": -0.73,
    "in the folder": -3.49,
    "in the tree": -1.57,
}
#: Weight of the outcome that no candidate is right: where nothing of the line is typed, and where something is.
NONE_WEIGHT = (121.64, 23.69)


@dataclass(frozen=True, slots=True)
class CopiedLine:
    """``text`` completes the cursor's line; ``probability``: that it is right. ``next_indent``: where it was copied
    from, the indentation of the next line minus its own, in columns."""

    text: str
    probability: float
    next_indent: int = 0


class LineSimilarity(NamedTuple):
    """Similarities of each candidate's surroundings to the cursor's, as cosines of their tokens."""

    line_above: Floats
    second_line_above: Floats
    line_below: Floats
    function_header: Floats


@dataclass(frozen=True, slots=True)
class Candidates:
    """Candidate lines. For each: its number, the offset of the text that it would insert, and how many of the bytes
    before that offset equal the last typed bytes."""

    line: NDArray[np.int64]
    start: NDArray[np.int64]
    matched: NDArray[np.int64]


class HoleFeatures:
    """Features of the cursor's line and function.

    ``typed`` and ``rest`` are the line before and after the cursor. ``needed`` (used, not declared), ``unused``
    (declared, not used), ``used`` and ``known`` are masks over name buckets.
    """

    def __init__(self, neighbours: Neighbours) -> None:
        above, _, typed = neighbours.before.rpartition("\n")
        rest, _, below = neighbours.after.partition("\n")
        self.typed, self.rest = _bytes(typed).lstrip(), _bytes(rest).strip()
        expanded = typed.expandtabs(TAB_COLUMNS)
        self.indent = len(expanded) - len(expanded.lstrip())
        header, _, body = above.partition("{")
        own_header = _bytes(header[header.rfind("\n\n") + 1 :])
        name = _CALL.search(own_header)
        self.stem = stem_hash(name[1]) if name else -1
        return_type = _RETURN_TYPE.search(own_header, 0, name.start() if name else len(own_header))
        self.return_type = return_type[1] if return_type else b""
        function = LineFeatures.joined([LineFeatures(body), LineFeatures(below), LineFeatures(f"{typed} {rest}")])
        declared = function.names_with(Role.DECLARED)
        self.used = function.names_with(Role.PLAIN, Role.CALLED)
        declared[list(parameters_of(_bytes(header)))] = True
        self.needed = function.names_with(Role.PLAIN) & ~declared
        self.unused = declared & ~self.used
        self.known = declared | self.used
        self.line_above = _bytes(above).rstrip().rpartition(b"\n")[2].strip()
        following = _bytes(neighbours.after).split(b"\n")[1 : _LINES_BELOW + 1]
        line_below = next((line for line in following if line.strip()), b"")
        self.line_below = line_below.strip()
        self.kinds = read_line(self.line_above)[0], read_line(self.line_below)[0]
        indent_below = indent_of(line_below)
        self.block_continues = (
            bool(self.line_below) and indent_below >= self.indent and not ends_block(self.kinds[1])
        )
        self.opens_block = bool(self.line_below) and indent_below > self.indent

    def candidates(self, lines: LineFeatures) -> Candidates:
        """Lines that continue the typed text, or its last two words, and end with the rest of the cursor's line."""
        if not self.typed and not self.rest:
            numbers = np.flatnonzero(lines.is_statement)
            return Candidates(numbers, np.zeros(len(numbers), np.int64), np.zeros(len(numbers), np.int64))
        last_words = _LAST_WORDS.search(self.typed[-_ANCHOR_BYTES:])
        anchor = last_words[0] if last_words else self.typed
        has = bytes.startswith if anchor == self.typed else bytes.__contains__
        anchored = (number for number, line in enumerate(lines.lines) if has(line, anchor))
        fitting = ((number, start) for number in anchored if (start := self._start(lines.lines[number], anchor)) >= 0)
        kept = list(islice(fitting, _MAX_TYPED_CANDIDATES))
        matched = [_common_suffix(self.typed, lines.lines[number][:start]) for number, start in kept]
        numbers, starts = np.array(kept, np.int64).reshape(-1, 2).T
        return Candidates(numbers, starts, np.array(matched, np.int64))

    def _start(self, line: bytes, anchor: bytes) -> int:
        """The offset in a line at which the new text would begin; -1 if the line does not fit."""
        start = len(self.typed)
        if not line.startswith(self.typed):
            begin = line.find(anchor)
            start = begin + len(anchor)
            if begin and _is_word(line[begin - 1 : begin]) and _is_word(anchor[:1]):
                return -1
        return start if len(line) - start > len(self.rest) and line.endswith(self.rest) else -1


def _is_word(byte: bytes) -> bool:
    return byte.isalnum() or byte == b"_"


def _common_suffix(one: bytes, other: bytes) -> int:
    size = min(len(one), len(other))
    return next((at for at in range(size) if one[-1 - at] != other[-1 - at]), size)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def feature_columns(
    lines: LineFeatures,
    proximity: NDArray[np.int64],
    similarity: LineSimilarity,
    hole: HoleFeatures,
    candidates: Candidates,
) -> Columns:
    """The features of ``WEIGHTS``, in its order; each an array with one entry a candidate."""
    columns = {
        name: column[candidates.line] for name, column in _line_columns(lines, proximity, similarity, hole).items()
    }
    typed = {
        "begins as typed": candidates.start == len(hole.typed),
        "typed characters matched": np.log1p(candidates.matched),
    }
    return {**typed, **columns}


def _line_columns(
    lines: LineFeatures, proximity: NDArray[np.int64], similarity: LineSimilarity, hole: HoleFeatures
) -> Columns:
    """The features that do not depend on where in a line its new text begins; one entry a line."""
    role, name, count = lines.role, lines.name, len(lines.lines)

    def any_of(names: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return count_of(1, names) > 0

    def count_of(maximum: int, names: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.minimum(np.bincount(lines.owner[names], minlength=count), maximum)

    is_plain, is_declared, is_label = role == Role.PLAIN, role == Role.DECLARED, role == Role.LABEL
    local = lines.names_with(Role.DECLARED, Role.PARAMETER)
    unknown = is_plain & (local & ~hole.known)[name] | is_label & ~hole.used[name]
    variables_above = _variables(hole.line_above)
    own_stem = lines.stem == hole.stem
    foreign_stem = ~own_stem & (lines.stem == lines.function_stem[lines.owner])
    is_bare_return, returns_bool = lines.key == _RETURN, np.isin(lines.key, _RETURN_BOOL)
    places = {f"in the {each.name.lower()}": proximity == each for each in Proximity}
    similarities = {
        name.replace("_", " "): np.minimum(column, _MAX_SIMILARITY) for name, column in similarity._asdict().items()
    }
    kind_after, kind_before = _kind_transitions(lines, *hole.kinds)
    return {
        **similarities,
        **{f"{name}, {place}": column * places[place] for name, column in similarities.items() for place in _DISTANT},
        "unknown names": count_of(2, unknown),
        "label of this function": any_of(is_label & hole.used[name]),
        "declares a needed name": count_of(3, is_declared & hole.needed[name]),
        "declares an unneeded name": count_of(2, is_declared & ~hole.needed[name]),
        "uses an unused variable": any_of(is_plain & hole.unused[name]),
        "uses a name of the line above": any_of(is_plain & variables_above[name]),
        "stem of this function": any_of(own_stem),
        "stem of its own function": any_of(foreign_stem),
        "equals a line next to the cursor": (lines.key == crc32(hole.line_above))
        | (lines.key == crc32(hole.line_below)),
        "comment": lines.is_comment,
        "outside functions": lines.is_outside_functions & (hole.indent > 0),
        "opens no block": (np.diff(lines.indent, append=0) <= 0) & hole.opens_block,
        "jumps before the end of a block": lines.is_jump & hole.block_continues,
        "return does not fit the return type": lines.is_return & (is_bare_return != (hole.return_type == b"void")),
        "returns a bool elsewhere": returns_bool & (hole.return_type != b"bool"),
        "same indentation": lines.indent == hole.indent,
        "kind after the line above": kind_after,
        "kind before the line below": kind_before,
        **places,
    }


def _variables(line: bytes) -> NDArray[np.bool_]:
    """A mask over name buckets: the names of a line that may be variables."""
    found = np.zeros(NAME_BUCKETS, bool)
    found[[name for name, _, role in read_line(line)[1] if role in (Role.PLAIN, Role.DECLARED)]] = True
    return found


def _kind_transitions(lines: LineFeatures, above: int, below: int) -> tuple[Floats, Floats]:
    """The pointwise mutual information, in nats and smoothed, of each line's kind with the kind of the line above the
    cursor, and with that of the line below; from the bigrams of kinds in ``lines``."""
    kind = lines.kind
    total = np.bincount(kind, minlength=LINE_KINDS) + 0.01
    share = total / total.sum()
    after = np.bincount(kind[1:][kind[:-1] == above], minlength=LINE_KINDS)
    before = np.bincount(kind[:-1][kind[1:] == below], minlength=LINE_KINDS)
    follows = np.log((after + share) / (after.sum() + 1) / share)
    precedes = np.log((before + share[below]) / (total + 1) / share[below])
    return follows[kind].astype(np.float32), precedes[kind].astype(np.float32)


def insertion_keys(lines: LineFeatures, candidates: Candidates) -> NDArray[np.int64]:
    """CRC-32 of the text that each candidate would insert; candidates with equal text share their weight."""
    if not candidates.start.any():
        return lines.key[candidates.line]
    starts = zip(candidates.line, candidates.start, strict=True)
    return np.array([crc32(lines.lines[number][start:]) for number, start in starts], np.int64)


def best_line(
    lines: LineFeatures, proximity: NDArray[np.int64], similarity: LineSimilarity, hole: HoleFeatures
) -> CopiedLine | None:
    """The text with the highest total weight of the candidates that would insert it. None without candidates."""
    candidates = hole.candidates(lines)
    if not len(candidates.line):
        return None
    scores = np.zeros(len(candidates.line))
    for name, column in feature_columns(lines, proximity, similarity, hole, candidates).items():
        scores += WEIGHTS[name] * column
    _, first, group = np.unique(insertion_keys(lines, candidates), return_index=True, return_inverse=True)
    sums = np.bincount(group, np.exp(np.minimum(scores, _MAX_SCORE)))
    best = int(sums.argmax())
    number, start = candidates.line[first[best]], candidates.start[first[best]]
    text = lines.lines[number][start:].decode("utf-8", "replace")
    next_indent = int(lines.indent[min(number + 1, len(lines.lines) - 1)] - lines.indent[number])
    return CopiedLine(text, float(sums[best] / (sums.sum() + NONE_WEIGHT[bool(hole.typed)])), next_indent)
