"""Texts that may be copied from: the cursor's function and file, its folder, functions that call the same.

That is far more than a prompt holds. Texts are cut into blocks that do not change while the user types elsewhere, so
that a model reads each block once.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from kexpert.abilities import Neighbour, Neighbours, Proximity
from kexpert.core.c.keywords import KEYWORDS
from kexpert.core.text import decode
from kexpert.features.inline.prompt_context import RecentEdits, decode_text, lines_around
from kexpert.features.semantics.cursor import CursorContext
from kexpert.view import View

#: Maximum bytes: of the function and of the file on either side of the cursor, of the folder, of one of its files.
_FUNCTION_BYTES, _FILE_BYTES, _FOLDER_BYTES, _FOLDER_FILE_BYTES = 16_000, 150_000, 300_000, 200_000
_MAX_FOLDER_FILES = 40
#: A block ends with the first function that ends after this many bytes.
_BLOCK_BYTES = 6_000
#: Similar functions: names looked up, callers read of each, functions read, bytes read of each.
_MAX_CALLED, _MAX_CALLERS, _MAX_SIMILAR, _SIMILAR_BYTES = 24, 200, 24, 8_000
#: Names with more callers than this are too common to count.
_COMMON_CALLERS = 1000
#: Lines on either side of an edit elsewhere; lines above a cursor that is in no function.
_EDIT_LINES, _OUTSIDE_LINES = 60, 48
_CALL = re.compile(rb"\b([A-Za-z_]\w*)[ \t]*\(")


@dataclass(slots=True)
class NeighbourCache:
    """The texts of other files for one function. They hold while the cursor stays in it and nothing new is called."""

    path: str = ""
    start: int = -1
    called: frozenset[str] = frozenset()
    texts: tuple[Neighbour, ...] = field(default=())


def find_neighbours(cursor: CursorContext, cache: NeighbourCache, edits: RecentEdits) -> Neighbours:
    """The neighbours of a cursor. ``cache`` is kept from request to request, and filled here."""
    view, source, offset = cursor.view, cursor.source, cursor.offset
    data = source.data
    start, end = _surrounding(cursor)
    before = data[max(start, offset - _FUNCTION_BYTES) : offset]
    after = data[offset : min(end, offset + _FUNCTION_BYTES)]
    called = frozenset(_called(before + b" " + after))
    if (cache.path, cache.start) != (source.path, start) or not called <= cache.called:
        cache.path, cache.start, cache.called = source.path, start, called
        cache.texts = (
            *_folder(view, source.path),
            *_edited(view, source.path, edits),
            *_calling_the_same(view, source.path, called),
        )
    above, below = data[max(start - _FILE_BYTES, 0) : start], data[end : end + _FILE_BYTES]
    own = [*_blocks(Proximity.FILE, above), *_blocks(Proximity.FILE, below)]
    return Neighbours(decode_text(before), decode_text(after), (*own, *cache.texts))


def _surrounding(cursor: CursorContext) -> tuple[int, int]:
    """The function around the cursor; outside functions some lines, whose beginning typing does not move."""
    if function := cursor.function:
        return function.start, function.end
    source = cursor.source
    starts, line = source.lines.starts, source.lines.line_of(cursor.offset)
    first = max(line - _OUTSIDE_LINES, 0) // _OUTSIDE_LINES * _OUTSIDE_LINES
    blank_line = source.data.find(b"\n\n", cursor.offset)
    return starts[first], blank_line + 1 if blank_line >= 0 else len(source.data)


def _blocks(proximity: Proximity, data: bytes) -> Iterator[Neighbour]:
    """A text in pieces that end with a function: an edit changes only the piece that holds it."""
    at = 0
    while at < len(data):
        end = data.find(b"\n}\n", at + _BLOCK_BYTES)
        end = end + 3 if 0 <= end < at + 4 * _BLOCK_BYTES else at + 4 * _BLOCK_BYTES
        block = data[at:end]
        key = hashlib.blake2b(block, digest_size=12).hexdigest() + proximity.name
        yield Neighbour(key, proximity, decode_text(block))
        at = end


def _folder(view: View, path: str) -> Iterator[Neighbour]:
    """The C files of the same folder, those with the most similar names first."""
    folder, _, name = path.rpartition("/")

    def common_prefix(other: str) -> int:
        """Number of letters in common at the beginning."""
        return next((at for at, pair in enumerate(zip(name, other, strict=False)) if pair[0] != pair[1]), len(other))

    names = [other for other, is_dir in view.list_dir(folder).items() if not is_dir and other.endswith((".c", ".h"))]
    room = _FOLDER_BYTES
    for other in sorted(sorted(names), key=common_prefix, reverse=True)[:_MAX_FOLDER_FILES]:
        data = view.data(f"{folder}/{other}" if folder else other) if other != name else None
        if data and len(data) <= min(room, _FOLDER_FILE_BYTES):
            room -= len(data)
            yield from _blocks(Proximity.FOLDER, data)


def _edited(view: View, path: str, edits: RecentEdits) -> Iterator[Neighbour]:
    """Lines around the last edits in other folders."""
    for edited_path, line in edits.places:
        is_elsewhere = edited_path.rpartition("/")[0] != path.rpartition("/")[0]
        source = view.source(edited_path) if is_elsewhere else None
        if source is not None:
            yield from _blocks(Proximity.FOLDER, lines_around(source, line, _EDIT_LINES))


def _called(code: bytes) -> list[str]:
    """Names before a ``(``, each once."""
    return [name for name in dict.fromkeys(map(decode, _CALL.findall(code))) if name not in KEYWORDS]


def _calling_the_same(view: View, path: str, called: frozenset[str]) -> Iterator[Neighbour]:
    """Functions of other folders that share the most calls with this one; rarely called names count for more."""
    folder = path.rpartition("/")[0]
    scores: defaultdict[tuple[str, int, int], float] = defaultdict(float)
    for name in sorted(called)[:_MAX_CALLED]:
        count = view.caller_count(name)
        if 1 < count <= _COMMON_CALLERS:
            for caller in view.callers(name, _MAX_CALLERS):
                if caller.path.rpartition("/")[0] != folder:
                    scores[caller.path, caller.start, caller.end] += math.log(_COMMON_CALLERS * math.e / count)
    for other, start, end in sorted(scores, key=lambda at: (-scores[at], at))[:_MAX_SIMILAR]:
        data = view.data(other)
        if data:
            yield from _blocks(Proximity.TREE, data[start : min(end, start + _SIMILAR_BYTES)])
