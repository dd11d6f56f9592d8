"""What may be copied from: the cursor's function and file, the files beside it, functions that call the same.

That is far more than a prompt holds. Texts are cut into blocks that stay as they are while one types elsewhere,
so that each is read by a model once.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from kexpert.abilities import Neighbour, Neighbours, Proximity
from kexpert.core.c.function_extent import enclosing_function
from kexpert.core.c.keywords import KEYWORDS
from kexpert.core.c.source import Source
from kexpert.core.text import decode
from kexpert.features.inline.context import Recent, around_line, decode_text
from kexpert.view import View

#: Bytes of each kind: the function on either side of the cursor, the file on either side, the folder, and one file of
#: it or one function elsewhere.
_FUNCTION, _FILE, _FOLDER, _ONE = 16_000, 150_000, 300_000, 200_000
_MOST_FILES = 40
#: A block ends with the first function behind so many bytes.
_BLOCK = 6_000
#: Functions that call the same: names looked up, callers of each, what is too common to tell, functions that are read.
_CALLED, _CALLERS, _COMMON, _ALIKE, _ALIKE_BYTES = 24, 200, 1000, 24, 8_000
#: Lines around an edit elsewhere, and lines above the cursor where it stands in no function.
_AROUND, _OUTSIDE = 60, 48
_CALL = re.compile(rb"\b([A-Za-z_]\w*)[ \t]*\(")


@dataclass(slots=True)
class Nearby:
    """What was found for one function; it stands while the cursor stays there and nothing new is called."""

    path: str = ""
    start: int = -1
    called: frozenset[str] = frozenset()
    texts: tuple[Neighbour, ...] = field(default=())


def neighbours(view: View, source: Source, offset: int, nearby: Nearby, recent: Recent) -> Neighbours:
    """The neighbours of a cursor. ``nearby`` is kept from question to question, and filled here."""
    data = source.data
    start, end = _surrounding(source, offset)
    before, after = data[max(start, offset - _FUNCTION) : offset], data[offset : min(end, offset + _FUNCTION)]
    called = frozenset(_called(before + b" " + after))
    if (nearby.path, nearby.start) != (source.path, start) or not called <= nearby.called:
        nearby.path, nearby.start, nearby.called = source.path, start, called
        nearby.texts = (*_beside(view, source.path), *_edited(view, source.path, recent), *_alike(view, source, called))
    above, below = data[max(start - _FILE, 0) : start], data[end : end + _FILE]
    own = [*_blocks(Proximity.FILE, above), *_blocks(Proximity.FILE, below)]
    return Neighbours(decode_text(before), decode_text(after), (*own, *nearby.texts))


def _surrounding(source: Source, offset: int) -> tuple[int, int]:
    """The function that holds the cursor; where none does, some lines, which typing leaves as they begin."""
    if function := enclosing_function(source, offset):
        return function.start, function.end
    starts, line = source.lines.starts, source.lines.line_of(offset)
    first = max(line - _OUTSIDE, 0) // _OUTSIDE * _OUTSIDE
    behind = source.data.find(b"\n\n", offset)
    return starts[first], behind + 1 if behind >= 0 else len(source.data)


def _blocks(kin: Proximity, data: bytes) -> Iterator[Neighbour]:
    """A text in pieces that end with a function: an edit changes the one it is in."""
    at = 0
    while at < len(data):
        end = data.find(b"\n}\n", at + _BLOCK)
        end = end + 3 if 0 <= end < at + 4 * _BLOCK else at + 4 * _BLOCK
        block = data[at:end]
        yield Neighbour(hashlib.blake2b(block, digest_size=12).hexdigest() + kin.name, kin, decode_text(block))
        at = end


def _beside(view: View, path: str) -> Iterator[Neighbour]:
    """The C files of the same folder, those named alike first."""
    folder, _, name = path.rpartition("/")

    def likeness(other: str) -> int:
        """Letters in common at the beginning."""
        return next((at for at, (one, two) in enumerate(zip(name, other, strict=False)) if one != two), len(other))

    names = [other for other, is_dir in view.list_dir(folder).items() if not is_dir and other.endswith((".c", ".h"))]
    room = _FOLDER
    for other in sorted(sorted(names), key=likeness, reverse=True)[:_MOST_FILES]:
        data = view.data(f"{folder}/{other}" if folder else other) if other != name else None
        if data and len(data) <= min(room, _ONE):
            room -= len(data)
            yield from _blocks(Proximity.FOLDER, data)


def _edited(view: View, path: str, recent: Recent) -> Iterator[Neighbour]:
    """Stretches around the last edits in other folders."""
    for where, line in recent.places:
        source = view.source(where) if where.rpartition("/")[0] != path.rpartition("/")[0] else None
        if source is not None:
            yield from _blocks(Proximity.FOLDER, around_line(source, line, _AROUND))


def _called(code: bytes) -> list[str]:
    """Names before a ``(``, each once."""
    return [name for name in dict.fromkeys(map(decode, _CALL.findall(code))) if name not in KEYWORDS]


def _alike(view: View, source: Source, called: frozenset[str]) -> Iterator[Neighbour]:
    """Functions of other folders that call most of what is called here, rare names counting more."""
    folder = source.path.rpartition("/")[0]
    shared: defaultdict[tuple[str, int, int], float] = defaultdict(float)
    for name in sorted(called)[:_CALLED]:
        count = view.caller_count(name)
        if 1 < count <= _COMMON:
            for caller in view.callers(name, _CALLERS):
                if caller.path.rpartition("/")[0] != folder:
                    shared[caller.path, caller.start, caller.end] += math.log(_COMMON * math.e / count)
    for path, start, end in sorted(shared, key=lambda at: (-shared[at], at))[:_ALIKE]:
        data = view.data(path)
        if data:
            yield from _blocks(Proximity.TREE, data[start : min(end, start + _ALIKE_BYTES)])


__all__ = ["Nearby", "neighbours"]
