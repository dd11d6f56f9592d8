"""Features of the lines of a text, for the line ranker: kind, indentation, and the names with their roles.

Lexical and per line: neighbours are fragments, and there are tens of thousands of lines.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache
from itertools import chain
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

_TOKEN = re.compile(rb'"(?:[^"\\\n]|\\.)*+"?|\'(?:[^\'\\\n]|\\.)*+\'?|->|[A-Za-z_]\w*|\d\w*|[^\w\s]')
_KEYWORDS = frozenset(
    b"if else for while do switch case default return goto break continue sizeof struct union enum const volatile "
    b"static inline unsigned signed int char long short void bool float double register extern typedef NULL true "
    b"false u8 u16 u32 u64 s8 s16 s32 s64 size_t __u8 __u16 __u32 __u64 __le16 __le32 __be16 __be32".split()
)
_DECLARATION = re.compile(
    rb"(?:(?:static|const|volatile|register|unsigned|signed|struct|union|enum|long|short) +){0,4}[A-Za-z_]\w*"
    rb"(?:[ \t]|\*)[ \t*]*([A-Za-z_]\w*)[ \t]*(?=[=;,\[]|\Z)"
)
_FURTHER_DECLARATOR = re.compile(rb",[ \t*]*([A-Za-z_]\w*)[ \t]*(?=[,;=\[])")
_PARAMETER = re.compile(rb"\b([A-Za-z_]\w*)[ \t]*(?:\[\w*\][ \t]*)?[,)]")
_ASSIGNMENT_SIGN = re.compile(rb"[^=!<>]=[^=]")
#: Names are hashed into this many buckets.
NAME_BUCKETS = 1 << 17
#: Bytes of a line that are read.
_MAX_LINE_BYTES = 400
TAB_COLUMNS = 8


class Role(IntEnum):
    """The role of a name in its line."""

    PLAIN = 0
    CALLED = 1
    MEMBER = 2
    DECLARED = 3
    LABEL = 4
    OTHER = 5
    PARAMETER = 6


#: A line's kind is ``first * _LAST_VALUES + last``: how it begins (a word of this list, or a class below), and its last
#: character, with all letters and digits counted as "a".
_FIRST_WORDS = b"if else for while do switch case default return goto break continue { } /* #".split()
_FIRST = {word: number for number, word in enumerate(_FIRST_WORDS)}
_DECLARES, _INITIALISES, _LABEL, _STRING, _CALL, _ASSIGNMENT, _ELSE = range(len(_FIRST), len(_FIRST) + 7)
_LAST_VALUES = 128
#: Upper bound of all kinds.
LINE_KINDS = (_ELSE + 1) * _LAST_VALUES
_COMMENT, _DIRECTIVE = _FIRST[b"/*"] * _LAST_VALUES, _FIRST[b"#"] * _LAST_VALUES

#: Statements after which the rest of a block is unreachable, and beginnings of lines that are reachable nevertheless.
_JUMPS = [_FIRST[word] for word in (b"return", b"goto", b"break", b"continue")]
_BLOCK_ENDS = [_FIRST[word] for word in (b"}", b"case", b"default")] + [_LABEL]


def name_hash(word: bytes) -> int:
    """The bucket of a name."""
    return crc32(word) % NAME_BUCKETS


def stem_hash(word: bytes) -> int:
    """The bucket of a name's first part, up to ``_``; the names of one driver often share it."""
    return name_hash(word.lstrip(b"_").partition(b"_")[0])


def parameters_of(header: bytes) -> set[int]:
    """The buckets of the parameter names in a function header, or in one line of it."""
    return {name_hash(word) for word in _PARAMETER.findall(header)}


def ends_block(kind: int) -> bool:
    """True if a line of this kind may follow a jump statement."""
    return kind // _LAST_VALUES in _BLOCK_ENDS


def indent_of(line: bytes) -> int:
    """The indentation in columns."""
    expanded = line[:_MAX_LINE_BYTES].expandtabs(TAB_COLUMNS)
    return len(expanded) - len(expanded.lstrip())


def read_line(line: bytes) -> tuple[int, list[tuple[int, int, Role]]]:
    """(kind, [(name bucket, stem bucket, role)]) of a line that is stripped of white space."""
    return _read_line(line[:_MAX_LINE_BYTES])


@lru_cache(maxsize=4096)
def _read_line(line: bytes) -> tuple[int, list[tuple[int, int, Role]]]:
    if line.startswith((b"/*", b"//", b"* ", b"*/")) or line == b"*":
        return _COMMENT, []
    if line.startswith(b"#"):
        return _DIRECTIVE, []
    words: list[bytes] = _TOKEN.findall(line)
    declared = _declared(line, words)
    names = [
        (name_hash(word), stem_hash(word), _role(word, words[at - 1] if at else b"", words[at + 1 : at + 2], declared))
        for at, word in enumerate(words)
        if (word[:1].isalpha() or word[:1] == b"_") and word not in _KEYWORDS
    ]
    return _kind(line, words, bool(declared)), names


def _declared(line: bytes, words: Sequence[bytes]) -> set[bytes]:
    found = None if words and words[0] in _FIRST else _DECLARATION.match(line)
    if found is None:
        return set()
    further = [] if b"(" in line.partition(b"=")[0] else _FURTHER_DECLARATOR.findall(line)
    return {found[1], *further}


def _role(word: bytes, previous: bytes, following: Sequence[bytes], declared: set[bytes]) -> Role:
    if previous in (b"->", b"."):
        return Role.MEMBER
    if previous in (b"struct", b"union", b"enum"):
        return Role.OTHER
    if word in declared:
        return Role.DECLARED
    if previous == b"goto":
        return Role.LABEL
    if following == [b"("]:
        return Role.CALLED
    return Role.OTHER if word.isupper() else Role.PLAIN


def _role_in_header(role: Role, is_parameter: bool) -> Role:
    return Role.PARAMETER if role == Role.PLAIN and is_parameter else role


def _kind(line: bytes, words: Sequence[bytes], declares: bool) -> int:
    first = words[0] if words else b""
    if first in _FIRST:
        kind = _FIRST[first]
    elif declares:
        kind = _INITIALISES if b"=" in line else _DECLARES
    elif line.endswith(b":"):
        kind = _LABEL
    elif first[:1] == b'"':
        kind = _STRING
    elif words[1:2] == [b"("]:
        kind = _CALL
    else:
        kind = _ASSIGNMENT if _ASSIGNMENT_SIGN.search(line) else _ELSE
    last = line[-1:]
    return kind * _LAST_VALUES + (ord("a") if last.isalnum() else min(line[-1], _LAST_VALUES - 1) if last else 0)


class LineFeatures:
    """Features of the lines of a text that are not blank.

    One entry a line: ``lines`` (stripped), ``kind``, ``indent`` (columns), ``key`` (CRC-32 of the line) and ``head``
    (the number of the line that begins its function). One entry a name: ``name`` and ``stem`` (buckets), ``role``, and
    ``owner`` (the number of its line).
    """

    def __init__(self, text: str = "") -> None:
        self.lines: list[bytes] = []
        kinds, indents, heads, owners, head = list[int](), list[int](), list[int](), list[int](), 0
        names: list[tuple[int, int, Role]] = []
        in_header = False
        for raw in text.encode("utf-8", "replace").split(b"\n"):
            if line := raw.strip():
                kind, found = read_line(line)
                if not raw[:1].isspace() and b"(" in line and kind not in (_COMMENT, _DIRECTIVE):
                    head, in_header = len(self.lines), True
                if in_header:
                    parameters = parameters_of(line)
                    found = [(name, stem, _role_in_header(role, name in parameters)) for name, stem, role in found]
                    in_header = line.endswith(b",")
                kinds.append(kind)
                indents.append(indent_of(raw))
                heads.append(head)
                owners += [len(self.lines)] * len(found)
                names += found
                self.lines.append(line)
        self.kind = np.array(kinds, np.int64)
        self.indent = np.array(indents, np.int32)
        self.head = np.array(heads, np.int64)
        self.key = np.array([crc32(line) for line in self.lines], np.int64)
        self.owner = np.array(owners, np.int64)
        self.name = np.array([name for name, _, _ in names], np.int32)
        self.stem = np.array([stem for _, stem, _ in names], np.int32)
        self.role = np.array([role for _, _, role in names], np.int8)

    @classmethod
    def joined(cls, parts: Sequence[LineFeatures]) -> LineFeatures:
        """Concatenate the features of several texts."""
        joined = cls()
        if parts:
            starts = np.cumsum([0, *(len(part.lines) for part in parts)])[:-1]
            joined.lines = list(chain.from_iterable(part.lines for part in parts))
            for field in ("kind", "indent", "key", "name", "stem", "role"):
                setattr(joined, field, np.concatenate([getattr(part, field) for part in parts]))
            joined.head = np.concatenate([part.head + start for part, start in zip(parts, starts, strict=True)])
            joined.owner = np.concatenate([part.owner + start for part, start in zip(parts, starts, strict=True)])
        return joined

    @property
    def is_comment(self) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = self.kind == _COMMENT
        return found

    @property
    def is_statement(self) -> NDArray[np.bool_]:
        """True for lines that hold more than the beginning or the end of a block."""
        is_opening_brace = self.kind == _FIRST[b"{"] * _LAST_VALUES + ord("{")
        found: NDArray[np.bool_] = (self.kind // _LAST_VALUES != _FIRST[b"}"]) & ~is_opening_brace
        return found

    @property
    def is_outside_functions(self) -> NDArray[np.bool_]:
        """True for lines that, by their indentation, are in no function."""
        found: NDArray[np.bool_] = (self.indent == 0) & ~np.isin(self.kind // _LAST_VALUES, (_LABEL, _FIRST[b"#"]))
        return found

    @property
    def is_jump(self) -> NDArray[np.bool_]:
        return np.isin(self.kind // _LAST_VALUES, _JUMPS)

    @property
    def is_return(self) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = self.kind // _LAST_VALUES == _FIRST[b"return"]
        return found

    @property
    def function_stem(self) -> NDArray[np.int32]:
        """For each line, the stem of its function's name; -1 for none."""
        calls = np.flatnonzero(self.role == Role.CALLED)[::-1]
        stems = np.full(len(self.lines), -1, np.int32)
        stems[self.owner[calls]] = self.stem[calls]
        return stems[self.head] if len(stems) else stems

    def names_with(self, *roles: Role) -> NDArray[np.bool_]:
        """A mask over buckets: the names that occur with one of these roles."""
        found = np.zeros(NAME_BUCKETS, bool)
        found[self.name[np.isin(self.role, roles)]] = True
        return found
