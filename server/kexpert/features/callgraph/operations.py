"""Calls through operations (``file->f_op->open(…)``): who calls one, and which functions implement it.

The type of the expression before ``->`` decides. Inferring a type parses a file, so a request has a budget; beyond it
calls are matched by the member's name and say so. What earlier requests inferred counts too, so that answers stay the
same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from kexpert.core.symbols import Assignment, Kind, Symbol
from kexpert.features.callgraph.definitions import BESIDE_KERNEL, FUNCTIONS, core_first
from kexpert.features.callgraph.edges import Certainty
from kexpert.features.callgraph.kept_calls import KeptCalls
from kexpert.features.callgraph.local_pointers import body_calls
from kexpert.features.semantics.resolve import resolve
from kexpert.view import View

#: Callers of one member that are read, and calls whose type is inferred in one request.
_MAX_CALLERS = 60
_MAX_INFERRED = 150
#: More callers of a member by name than this are drawn from the kernel's core alone.
_MAX_ROWS = 1000


@dataclass
class Operations:
    """Answers about operations for one request; each is worked out once."""

    view: View
    kept: KeptCalls = field(default_factory=KeptCalls)
    inferred: int = 0

    def __post_init__(self) -> None:
        self.reader = self.kept.reader(self.view)
        self._callers: dict[tuple[str, str], list[tuple[Symbol, int, Certainty]]] = {}
        self._implementations: dict[tuple[str, str], list[Assignment]] = {}

    def callers_of(
        self, struct: str, member: str, cancelled: Callable[[], bool] = lambda: False
    ) -> list[tuple[Symbol, int, Certainty]]:
        """(function, line of the call, certainty) of each function that calls a member of a struct."""
        key = (struct, member)
        if key not in self._callers:
            self._callers[key] = self._find_callers(struct, member, cancelled)
        return self._callers[key]

    def _find_callers(
        self, struct: str, member: str, cancelled: Callable[[], bool]
    ) -> list[tuple[Symbol, int, Certainty]]:
        rows = [row for row in self.view.callers(member, _MAX_ROWS) if not row.path.startswith(BESIDE_KERNEL)]
        rows = sorted(dict.fromkeys(rows), key=core_first)
        if len(rows) > _MAX_CALLERS and struct:
            naming = set(self.view.files_mentioning(struct))
            rows.sort(key=lambda row: row.path not in naming)
        found: list[tuple[Symbol, int, Certainty]] = []
        # through a member, or through a local that is named as the member
        is_written = re.compile(rb"(?:->|\.|\*)\s*" + re.escape(member.encode()) + rb"\s*[(;)]")
        for row in rows[:_MAX_CALLERS]:
            if cancelled():
                break
            for member_at, line in self.reader.ask(
                row.path, (row.start, row.end, member), partial(self._calls_in, row, member, is_written)
            ):
                owner = self.struct_of(row.path, member_at)
                if owner in (struct, ""):
                    found.append((row, line, Certainty.SYNTAX if owner and struct else Certainty.NAME))
                    break
        return sorted(found, key=lambda each: (each[2] is Certainty.NAME, self._implements(each[0], struct, member)))

    def _calls_in(self, row: Symbol, member: str, is_written: re.Pattern[bytes]) -> tuple[tuple[int, int], ...]:
        """(offset of the member, line of the call) of each call through a member of this name in a function."""
        data = self.view.data(row.path)
        if data is None or not is_written.search(data, row.start, row.end):
            return ()
        return tuple(
            (call.member_at, data.count(b"\n", 0, call.start))
            for call in body_calls(data, row)
            if call.member and call.name == member
        )

    def _implements(self, symbol: Symbol, struct: str, member: str) -> bool:
        """True for an implementation that passes a call on."""
        return any((e.struct, e.member) == (struct, member) for e in self.view.assignments_of(symbol.name))

    def struct_of(self, path: str, offset: int) -> str:
        """The tag of the struct whose member is at ``offset``; "" if it is not known."""
        if self.inferred >= _MAX_INFERRED:
            return ""
        self.inferred += 1
        return self.reader.ask(path, offset, partial(self._struct_of, path, offset))

    def _struct_of(self, path: str, offset: int) -> str:
        source = self.view.source(path)
        found = resolve(self.view, source, offset) if source else None
        return found.member.struct.partition(" ")[2] if found is not None and found.member is not None else ""

    def implementations_of(self, struct: str, member: str) -> list[Assignment]:
        """The assignments to a member of a struct, each function once."""
        key = (struct, member)
        if key not in self._implementations:
            each = {a.function: a for a in self.view.implementations(struct, member)}
            self._implementations[key] = list(each.values())
        return self._implementations[key]

    def function_of(self, assignment: Assignment) -> Symbol | None:
        """The function that an assignment names: its own file's, else a linked one."""
        found = self.view.lookup(assignment.function, (*FUNCTIONS, Kind.MACRO), 50)
        own = [symbol for symbol in found if symbol.path == assignment.path]
        return next(iter(own or sorted(found, key=core_first)), None)
