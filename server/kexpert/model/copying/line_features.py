"""What is to be known of the lines of a text to tell whether one of them could stand elsewhere."""

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
_MORE_DECLARED = re.compile(rb",[ \t*]*([A-Za-z_]\w*)[ \t]*(?=[,;=\[])")
_PARAMETER = re.compile(rb"\b([A-Za-z_]\w*)[ \t]*(?:\[\w*\][ \t]*)?[,)]")
_ASSIGNS = re.compile(rb"[^=!<>]=[^=]")
#: Names are told apart by their hash, which is one of so many; of a longer line the beginning is read.
NAMES = 1 << 17
_LONGEST = 400
#: Columns of a tab.
TAB = 8


class Role(IntEnum):
    """What a name is in a line."""

    PLAIN = 0
    CALLED = 1
    MEMBER = 2
    DECLARED = 3
    LABEL = 4
    OTHER = 5
    PARAMETER = 6


#: How a line can begin, which with its last character is its kind.
_BEGINNINGS = b"if else for while do switch case default return goto break continue { } /* #".split()
_KIND = {word: at for at, word in enumerate(_BEGINNINGS)}
_DECLARES, _INITIALISES, _LABEL, _STRING, _CALL, _ASSIGNMENT, _ELSE = range(len(_KIND), len(_KIND) + 7)
_LASTS = 128
#: All kinds are less.
KINDS = (_ELSE + 1) * _LASTS
_COMMENT, _DIRECTIVE = _KIND[b"/*"] * _LASTS, _KIND[b"#"] * _LASTS


#: After these nothing that stands behind on the same level is reached.
_JUMPS = [_KIND[word] for word in (b"return", b"goto", b"break", b"continue")]
_ENDS = [_KIND[word] for word in (b"}", b"case", b"default")] + [_LABEL]


def name_of(word: bytes) -> int:
    return crc32(word) % NAMES


def stem_of(word: bytes) -> int:
    """The name before the first ``_``, which those of one driver often have in common."""
    return name_of(word.lstrip(b"_").partition(b"_")[0])


def parameters_of(head: bytes) -> set[int]:
    """The names of a function's parameters, of a line of its head or of the whole."""
    return {name_of(word) for word in _PARAMETER.findall(head)}


def ends_block(kind: int) -> bool:
    """Whether a line of this kind may stand behind a jump."""
    return kind // _LASTS in _ENDS


def read_line(line: bytes) -> tuple[int, list[tuple[int, int, Role]]]:
    """(kind, names with their stems and roles) of a line without the blanks around it."""
    return _read_line(line[:_LONGEST])


@lru_cache(maxsize=4096)
def _read_line(line: bytes) -> tuple[int, list[tuple[int, int, Role]]]:
    if line.startswith((b"/*", b"//", b"* ", b"*/")) or line == b"*":
        return _COMMENT, []
    if line.startswith(b"#"):
        return _DIRECTIVE, []
    words: list[bytes] = _TOKEN.findall(line)
    declared = _declared(line, words)
    names = [
        (name_of(word), stem_of(word), _role(word, words[at - 1] if at else b"", words[at + 1 : at + 2], declared))
        for at, word in enumerate(words)
        if (word[:1].isalpha() or word[:1] == b"_") and word not in _KEYWORDS
    ]
    return _kind(line, words, bool(declared)), names


def _declared(line: bytes, words: Sequence[bytes]) -> set[bytes]:
    found = None if words and words[0] in _KIND else _DECLARATION.match(line)
    if found is None:
        return set()
    more = [] if b"(" in line.partition(b"=")[0] else _MORE_DECLARED.findall(line)
    return {found[1], *more}


def _role(word: bytes, before: bytes, behind: Sequence[bytes], declared: set[bytes]) -> Role:
    if before in (b"->", b"."):
        return Role.MEMBER
    if before in (b"struct", b"union", b"enum"):
        return Role.OTHER
    if word in declared:
        return Role.DECLARED
    if before == b"goto":
        return Role.LABEL
    if behind == [b"("]:
        return Role.CALLED
    return Role.OTHER if word.isupper() else Role.PLAIN


def _in_head(role: Role, is_parameter: bool) -> Role:
    return Role.PARAMETER if role == Role.PLAIN and is_parameter else role


def _kind(line: bytes, words: Sequence[bytes], declares: bool) -> int:
    first = words[0] if words else b""
    if first in _KIND:
        kind = _KIND[first]
    elif declares:
        kind = _INITIALISES if b"=" in line else _DECLARES
    elif line.endswith(b":"):
        kind = _LABEL
    elif first[:1] == b'"':
        kind = _STRING
    elif words[1:2] == [b"("]:
        kind = _CALL
    else:
        kind = _ASSIGNMENT if _ASSIGNS.search(line) else _ELSE
    last = line[-1:]
    return kind * _LASTS + (ord("a") if last.isalnum() else min(line[-1], _LASTS - 1) if last else 0)


def indent_of(line: bytes) -> int:
    """In columns."""
    wide = line[:_LONGEST].expandtabs(TAB)
    return len(wide) - len(wide.lstrip())


class Notes:
    """Of each line of a text that is not blank; ``head`` is the line above that begins the function, ``owner`` the
    line of each name."""

    def __init__(self, text: str = "") -> None:
        self.lines: list[bytes] = []
        kinds, indents, heads, owners, head = list[int](), list[int](), list[int](), list[int](), 0
        names: list[tuple[int, int, Role]] = []
        in_head = False
        for raw in text.encode("utf-8", "replace").split(b"\n"):
            if line := raw.strip():
                kind, found = read_line(line)
                if not raw[:1].isspace() and b"(" in line and kind not in (_COMMENT, _DIRECTIVE):
                    head, in_head = len(self.lines), True
                if in_head:
                    parameters = parameters_of(line)
                    found = [(name, stem, _in_head(role, name in parameters)) for name, stem, role in found]
                    in_head = line.endswith(b",")
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
    def joined(cls, parts: Sequence[Notes]) -> Notes:
        """Those of several texts, one behind the other."""
        whole = cls()
        if parts:
            starts = np.cumsum([0, *(len(part.lines) for part in parts)])[:-1]
            whole.lines = list(chain.from_iterable(part.lines for part in parts))
            for field in ("kind", "indent", "key", "name", "stem", "role"):
                setattr(whole, field, np.concatenate([getattr(part, field) for part in parts]))
            whole.head = np.concatenate([part.head + at for part, at in zip(parts, starts, strict=True)])
            whole.owner = np.concatenate([part.owner + at for part, at in zip(parts, starts, strict=True)])
        return whole

    @property
    def is_comment(self) -> NDArray[np.bool_]:
        return self.kind == _COMMENT

    @property
    def says_something(self) -> NDArray[np.bool_]:
        """Where there is more than the beginning or the end of a block."""
        return (self.kind // _LASTS != _KIND[b"}"]) & (self.kind != _KIND[b"{"] * _LASTS + ord("{"))

    @property
    def is_outside(self) -> NDArray[np.bool_]:
        """Where a line stands in no function, as far as its indentation says so."""
        return (self.indent == 0) & ~np.isin(self.kind // _LASTS, (_LABEL, _KIND[b"#"]))

    @property
    def is_jump(self) -> NDArray[np.bool_]:
        return np.isin(self.kind // _LASTS, _JUMPS)

    @property
    def is_return(self) -> NDArray[np.bool_]:
        return self.kind // _LASTS == _KIND[b"return"]

    @property
    def head_stem(self) -> NDArray[np.int32]:
        """Of each line the stem of its function's name, -1 where it has none."""
        calls = np.flatnonzero(self.role == Role.CALLED)[::-1]
        stems = np.full(len(self.lines), -1, np.int32)
        stems[self.owner[calls]] = self.stem[calls]
        return stems[self.head] if len(stems) else stems

    def named(self, *roles: Role) -> NDArray[np.bool_]:
        """Which names stand here in one of these roles."""
        found = np.zeros(NAMES, bool)
        found[self.name[np.isin(self.role, roles)]] = True
        return found
