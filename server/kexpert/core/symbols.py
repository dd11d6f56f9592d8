"""The data types of the index: symbols, calls, assignments and uses.

Offsets are byte offsets into the file itself, never into masked text. Lines are 0-based. Paths are as in
``core.paths``. The index stores only where a symbol is. Signature, type, kernel-doc and ``#if`` conditions are read
from the file on request, so they cannot be out of date.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from itertools import compress
from typing import NamedTuple


class Kind(IntEnum):
    """The kind of a symbol. The numbers are stored: append, never renumber."""

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


#: The kinds that a jump to definition prefers, best first.
DEFINITIONS = (
    Kind.FUNCTION, Kind.SYSCALL, Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.TYPEDEF, Kind.MACRO,
    Kind.VARIABLE, Kind.ENUMERATOR, Kind.TRACEPOINT, Kind.CONFIG, Kind.ASM_LABEL, Kind.MEMBER,
)  # fmt: skip


class Flag(IntFlag):
    """Properties of a symbol. The numbers are stored: append, never renumber."""

    STATIC = 1
    INLINE = 2
    MAY_SLEEP = 4  # the body itself calls might_sleep() or a similar function
    INIT = 8  # __init
    EXIT = 16  # __exit
    IDIOM = 32  # defined by a macro (DEFINE_MUTEX(foo)): the text has no ordinary declarator
    FUNCTION_LIKE = 64  # a macro with parameters
    WEAK = 128  # __weak
    PER_CPU = 256


class Symbol(NamedTuple):
    """One definition or declaration. It is a tuple because indexing creates seven million of them.

    ``start`` and ``end`` span the whole construct, for a function from its return type to ``}``, without the comment
    above. ``name_start`` is the offset of the name.
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

    struct: str  # "file_operations"; "" if the initialiser does not name its type
    member: str  # "open"
    function: str  # "foo_open"
    table: str  # "foo_fops"; "" for a compound literal
    path: str
    start: int  # of the function's name
    line: int


class Span(NamedTuple):
    """A byte range of one file: an occurrence of a name, or the target of a jump."""

    path: str
    start: int
    end: int


class Use(NamedTuple):
    """An occurrence of a name in the code of some file."""

    path: str
    start: int
    end: int
    #: True after ``.`` or ``->``
    member: bool
    #: (line, character), 0-based; None if unknown or different between encodings
    position: tuple[int, int] | None


#: Stands for a column that differs between encodings.
UNKNOWN_COLUMN = -1


@dataclass(slots=True)
class FileUses:
    """The occurrences of a name in the code of one file, in order, as parallel sequences.

    A common name has 200,000 occurrences in a tree, too many for a ``Use`` object each. Iterate to get ``Use`` objects.
    """

    path: str
    size: int  # of the name, in bytes
    starts: Sequence[int]
    members: Sequence[bool | int]  # true after ``.`` or ``->``
    lines: Sequence[int]  # 0-based
    columns: Sequence[int]  # 0-based, or UNKNOWN_COLUMN, in which case the line may be invalid too

    @classmethod
    def of(cls, use: Use) -> FileUses:
        """Make the ``FileUses`` of a single occurrence."""
        line, column = use.position or (0, UNKNOWN_COLUMN)
        return cls(use.path, use.end - use.start, [use.start], [use.member], [line], [column])

    def __len__(self) -> int:
        return len(self.starts)

    def __iter__(self) -> Iterator[Use]:
        for start, member, line, column in zip(self.starts, self.members, self.lines, self.columns, strict=True):
            position = None if column == UNKNOWN_COLUMN else (line, column)
            yield Use(self.path, start, start + self.size, bool(member), position)

    def selected(self, keep: Sequence[object]) -> FileUses:
        """The occurrences for which ``keep`` is true."""
        columns = (self.starts, self.members, self.lines, self.columns)
        return FileUses(self.path, self.size, *(list(compress(column, keep)) for column in columns))


class OpenCall(NamedTuple):
    """A call at file level of a macro that the file does not define: ``BUFFER_FNS(JBD, jbd)``.

    What it declares is known where the macro's definition is, see ``core.c.made_elsewhere``.
    """

    macro: str
    prefix: str  # "static " and the like before the macro
    arguments: str  # with the parentheses; what to expand
    start: int
    end: int
    line: int
    opening: int  # of the "(" in the file
    written: str  # the arguments in the file, which differ where a macro of the file calls the macro


@dataclass(slots=True)
class FileFacts:
    """Everything that the index stores about one file."""

    symbols: list[Symbol] = field(default_factory=list)
    #: (index of the caller in ``symbols``, name of the callee), without repetitions
    calls: list[tuple[int, str]] = field(default_factory=list)
    assignments: list[Assignment] = field(default_factory=list)
    #: every identifier of the code
    identifiers: set[bytes] = field(default_factory=set)
    open_calls: list[OpenCall] = field(default_factory=list)
