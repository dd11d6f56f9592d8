"""The vocabulary of the index: what a file defines, calls, assigns and exports.

Every offset is a byte offset into the file's own bytes (never into masked text), every ``line``
is 0-based, every ``path`` is relative to the tree's root with ``/`` between parts. The index
stores where a thing is; what it says (signature, type, kernel-doc, ``#if`` conditions) is read
from the file when asked, so it cannot be stale on its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from itertools import compress
from typing import NamedTuple


class Kind(IntEnum):
    """What a symbol is. The numbers are stored: append, never renumber."""

    FUNCTION = 1  # a definition with a body
    PROTOTYPE = 2  # a declaration of a function
    MACRO = 3  # #define
    STRUCT = 4
    UNION = 5
    ENUM = 6
    ENUMERATOR = 7
    MEMBER = 8  # of a struct or union; ``scope`` names it
    TYPEDEF = 9
    VARIABLE = 10  # a definition at file scope
    DECLARATION = 11  # extern variable
    SYSCALL = 12  # SYSCALL_DEFINEn(open, ...): name "sys_open"
    TRACEPOINT = 13  # TRACE_EVENT(sched_switch, ...): name "trace_sched_switch"
    MODULE_PARAM = 14  # module_param(name, type, perm)
    INITCALL = 15  # module_init(fn), core_initcall(fn): name is fn, ``scope`` the macro
    EXPORT = 16  # EXPORT_SYMBOL*(name): ``scope`` "EXPORT_SYMBOL_GPL" or "EXPORT_SYMBOL_NS_GPL:NAMESPACE"
    CONFIG = 17  # a Kconfig entry: name "CONFIG_FOO"
    ASM_LABEL = 18  # SYM_FUNC_START(memcpy) and the like in .S files


#: Kinds that a jump to definition prefers, best first.
DEFINITIONS = (
    Kind.FUNCTION, Kind.SYSCALL, Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.TYPEDEF, Kind.MACRO,
    Kind.VARIABLE, Kind.ENUMERATOR, Kind.TRACEPOINT, Kind.CONFIG, Kind.ASM_LABEL, Kind.MEMBER,
)  # fmt: skip


class Flag(IntFlag):
    """Facts about a symbol that cost nothing to keep. The numbers are stored."""

    STATIC = 1
    INLINE = 2
    MAY_SLEEP = 4  # the body calls might_sleep() or one of its kin itself
    INIT = 8  # __init
    EXIT = 16  # __exit
    IDIOM = 32  # made by a macro (DEFINE_MUTEX(foo)): the text holds no ordinary declarator
    FUNCTION_LIKE = 64  # a macro with parameters
    WEAK = 128  # __weak
    PER_CPU = 256


class Symbol(NamedTuple):
    """One definition or declaration. (A tuple: indexing makes seven million of them.)

    ``start``/``end`` span the whole construct (for a function from its return type to ``}``),
    without the comment above it; ``name_start`` is where the name itself stands.
    """

    name: str
    kind: Kind
    path: str
    line: int
    name_start: int
    start: int
    end: int
    scope: str = ""
    flags: Flag = Flag(0)


@dataclass(frozen=True, slots=True)
class Assignment:
    """``.open = foo_open`` inside an initialiser of ``struct file_operations foo_fops``."""

    struct: str  # "file_operations"; "" when the type is not written at the initialiser
    member: str  # "open"
    function: str  # "foo_open"
    table: str  # "foo_fops"; "" for a compound literal
    path: str
    start: int  # of the function's name
    line: int


class Span(NamedTuple):
    """A stretch of one file: an occurrence of a name, a place to jump to."""

    path: str
    start: int
    end: int


class Use(NamedTuple):
    """An occurrence of a name in the code of some file."""

    path: str
    start: int
    end: int
    #: behind ``.`` or ``->``
    member: bool
    #: (line, character), 0-based, where that is known and the same in every encoding
    position: tuple[int, int] | None


#: A column that depends on the encoding.
UNKNOWN_COLUMN = -1


@dataclass(slots=True)
class FileUses:
    """The occurrences of a name in the code of one file, in order, as sequences side by side: a common
    name has 200,000, and whoever needs no ``Use`` of each should not pay for it."""

    path: str
    size: int  # bytes of the name
    starts: Sequence[int]
    members: Sequence[bool | int]  # behind ``.`` or ``->``
    lines: Sequence[int]  # 0-based
    columns: Sequence[int]  # 0-based, or UNKNOWN_COLUMN; then the line may be unknown as well

    @classmethod
    def of(cls, use: Use) -> FileUses:
        """One occurrence."""
        line, column = use.position or (0, UNKNOWN_COLUMN)
        return cls(use.path, use.end - use.start, [use.start], [use.member], [line], [column])

    def __len__(self) -> int:
        return len(self.starts)

    def __iter__(self) -> Iterator[Use]:
        for start, member, line, column in zip(self.starts, self.members, self.lines, self.columns, strict=True):
            position = None if column == UNKNOWN_COLUMN else (line, column)
            yield Use(self.path, start, start + self.size, bool(member), position)

    def selected(self, keep: Sequence[object]) -> FileUses:
        """Those for which ``keep`` holds something true."""
        sides = (self.starts, self.members, self.lines, self.columns)
        return FileUses(self.path, self.size, *(list(compress(side, keep)) for side in sides))


@dataclass(slots=True)
class FileFacts:
    """All that indexing keeps of one file."""

    symbols: list[Symbol] = field(default_factory=list)
    #: (index of the caller in ``symbols``, callee's name), each pair once
    calls: list[tuple[int, str]] = field(default_factory=list)
    assignments: list[Assignment] = field(default_factory=list)
    #: every identifier in the file, each once
    identifiers: set[bytes] = field(default_factory=set)
