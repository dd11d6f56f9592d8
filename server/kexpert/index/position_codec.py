"""Positions of common words in a part of the tree: finding, packing and unpacking them.

Numpy finds them in all files of a part at once; unpacking does without numpy, which the server loads late.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, repeat
from typing import TYPE_CHECKING

from kexpert.core.c.lex import MAX_LOOK_BEHIND_BYTES, blank_comments
from kexpert.core.c.word_scan import WORDS_ONLY
from kexpert.core.symbols import UNKNOWN_COLUMN, FileUses

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]

#: (ids of the covered files, as int64; (word, packed positions) of each word that they hold)
Part = tuple[bytes, list[tuple[str, bytes]]]

#: A word in more files than this is common: reading as many takes a tenth of a second.
COMMON_FILES = 1000
#: Between the files of a part: it ends a line, and is neither a word nor blank.
_SEPARATOR = b";\n"
_BLANKS = b" \t\n\r\x0b\x0c"


def find_positions(ids: Sequence[int], texts: Sequence[bytes], words: Sequence[bytes]) -> Part:
    """The positions of ``words`` in the code of some files, comments and strings left out."""
    import numpy as np

    text = _SEPARATOR + _SEPARATOR.join(texts)
    code = (_SEPARATOR + _SEPARATOR.join(map(blank_comments, texts))).translate(WORDS_ONLY)
    number_of = {word: number for number, word in enumerate(words)}
    tokens = code.split()
    number = np.fromiter(map(number_of.get, tokens, repeat(len(words))), np.int64, len(tokens))
    del tokens
    is_word = np.frombuffer(code, np.uint8) != 0x20
    at = np.flatnonzero(is_word[1:] & ~is_word[:-1]) + 1
    common = np.flatnonzero(number < len(words))
    common = common[np.argsort(number[common], kind="stable")]
    number, at = number[common], at[common]

    sizes = [len(file_text) + len(_SEPARATOR) for file_text in texts]
    begins = np.array([*accumulate(sizes, initial=len(_SEPARATOR))], np.int64)
    file = np.searchsorted(begins, at, "right") - 1
    data = np.frombuffer(text, np.uint8)
    newlines = np.flatnonzero(data == 0x0A)
    line = np.searchsorted(newlines, at)
    line_start = newlines[line - 1] + 1
    is_plain = _none_between(np.flatnonzero(data >= 0x80), line_start, at)
    is_plain &= _none_between(np.flatnonzero(data == 0x0D), begins[file], begins[file + 1])
    rows = np.stack(
        (
            file,
            at - begins[file],
            line - np.searchsorted(newlines, begins)[file],
            np.where(is_plain, at - line_start, UNKNOWN_COLUMN),
            _are_members(data, at),
        )
    )
    bounds = np.searchsorted(number, np.arange(len(words) + 1))
    found = [
        (word.decode(), _pack(rows[:, first:last]))
        for word, first, last in zip(words, bounds[:-1], bounds[1:], strict=True)
        if first < last
    ]
    return array("q", ids).tobytes(), found


def _none_between(marks: Numbers, starts: Numbers, ends: Numbers) -> NDArray[np.bool_]:
    """For each range ``[start, end)``: whether none of the ascending ``marks`` lies in it."""
    import numpy as np

    found: NDArray[np.bool_] = np.searchsorted(marks, starts) == np.searchsorted(marks, ends)
    return found


def _are_members(data: NDArray[np.uint8], at: Numbers) -> NDArray[np.bool_]:
    """``is_member_use`` for many positions, shape (n,)."""
    import numpy as np

    is_blank = np.isin(np.arange(256), np.frombuffer(_BLANKS, np.uint8))
    last = at - 1
    waiting = np.flatnonzero(is_blank[data[last]])
    for _ in range(MAX_LOOK_BEHIND_BYTES - 1):
        if not len(waiting):
            break
        last[waiting] -= 1
        waiting = waiting[is_blank[data[last[waiting]]]]
    third, second, first = data[last - 2], data[last - 1], data[last]
    arrow = (second == ord("-")) & (first == ord(">"))
    ellipsis = (third == ord(".")) & (second == ord("."))
    dot = (first == ord(".")) & ~ellipsis
    members: NDArray[np.bool_] = arrow | dot
    return members


def _pack(rows: Numbers) -> bytes:
    """Compress rows (file, start, line, column, is member), each of shape (n,), as one array of C ints.

    The array holds the number of files, their indices in the part, the number of positions in each, and then, for
    all positions, differences of starts, differences of lines, columns, member flags.
    """
    import numpy as np

    file, start, line, column, member = rows
    files, counts = np.unique(file, return_counts=True)
    flat = (files, counts, np.ediff1d(start, None, start[:1]), np.ediff1d(line, None, line[:1]), column, member)
    return zlib.compress(np.concatenate(([len(files)], *flat)).astype(np.intc).tobytes(), 1)


class CommonWord:
    """The stored positions of one word. ``covered``: ids of the files that its parts cover."""

    def __init__(self, word: str, parts: Iterable[tuple[bytes, bytes | None]]) -> None:
        self._size = len(word)
        self._parts = [(array("q", files), packed) for files, packed in parts]
        self.covered = {file_id for ids, _ in self._parts for file_id in ids}

    def uses(self, paths: Mapping[int, str]) -> Iterator[FileUses]:
        """The positions in some files (id -> path), one item a file."""
        for ids, packed in self._parts:
            if packed is not None and not paths.keys().isdisjoint(ids):
                yield from self._unpack([paths.get(file_id) for file_id in ids], packed)

    def _unpack(self, paths: Sequence[str | None], packed: bytes) -> Iterator[FileUses]:
        flat = array("i", zlib.decompress(packed))
        files = flat[0]
        first = 2 * files + 1
        each = (len(flat) - first) // 4
        starts, lines, columns, members = (flat[first + n * each : first + (n + 1) * each] for n in range(4))
        at, line_at = list(accumulate(starts)), list(accumulate(lines))
        begin = 0
        for number, end in zip(flat[1 : files + 1], accumulate(flat[files + 1 : first]), strict=True):
            if path := paths[number]:
                here = slice(begin, end)
                yield FileUses(path, self._size, at[here], members[here], line_at[here], columns[here])
            begin = end
