"""What a function's callees do to its locks, references and context, one level deep: a driver's own ``foo_lock()``.

Only what is certain is said. A lock counts if the callee does nothing else with locks, whatever path it takes, and if
the caller's words can name it. A reference counts if the callee always takes (or drops) one on what it is given, NULL
aside. Sleeping counts if the callee is of the same file and always sleeps.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

from kexpert.core.c.macro_text import parse_macro
from kexpert.core.c.source import Source
from kexpert.core.kernel.lock_calls import LOCK_CALLS, LockCall
from kexpert.core.kernel.resource_calls import Reference
from kexpert.core.symbols import Kind, Symbol
from kexpert.features.explain.body import Body, Call, body_of
from kexpert.features.explain.explanation import FactKind
from kexpert.features.explain.flow import Flow
from kexpert.features.explain.guards import Guard, condition_of
from kexpert.features.explain.lock_states import FREE, HELD, lock_states
from kexpert.features.explain.locks import lock_uses
from kexpert.features.explain.resources import resource_uses
from kexpert.features.explain.sleeping import sleep_cause
from kexpert.features.semantics.definition_ranking import can_mean
from kexpert.features.semantics.include_paths import arch_for
from kexpert.view import View

_MAX_CALLEES = 12  # of one function that are read for each question
_MAX_WRAPPER_BYTES = 1_200
_MAX_CALLEE_BYTES = 6_000
_WRAPS_BY_NAME = re.compile(r"(?:un)?lock|acquire|release|begin|end|enter|exit|(?:_|^)(?:get|put|start|stop)(?:_|$)")
_COUNTS_BY_NAME = re.compile(r"(?:^|_)(?:(?:try)?get|put|hold|grab|(?:add|inc|dec|un)?_?ref|release)(?:_|$)")
#: A member that lies within what a parameter points to, or the parameter itself.
_COUNTED = re.compile(r"&(\w+)->\w+(?:\.\w+)*|(\w+)")
_DEFINED = (Kind.FUNCTION, Kind.MACRO)
_LOCK = re.compile(r"(?P<prefix>&?)\(?(?P<root>[A-Za-z_]\w*)\)?(?P<rest>(?:(?:->|\.)\w+|\[\w+\])*)")
_PASSED = re.compile(r"&?[A-Za-z_]\w*(?:(?:->|\.)\w+|\[\w+\])*")


@dataclass(frozen=True, slots=True)
class LockWrapper:
    """A function that takes or releases one lock for its caller. ``parameter``: the one that leads to the lock."""

    call: LockCall
    lock: str
    parameter: int | None

    def lock_of(self, body: Body, call: Call) -> str | None:
        """The lock in the words of the caller; None if it has none for it."""
        match = _LOCK.fullmatch(self.lock)
        if self.parameter is None or match is None:
            return self.lock
        if self.parameter >= len(call.arguments):
            return None
        given, rest = body.shown(call.arguments[self.parameter]), match["rest"]
        if not _PASSED.fullmatch(given):
            return None
        if given.startswith("&") and rest.startswith("->"):
            given, rest = given[1:], f".{rest[2:]}"
        if given.startswith("&") and match["prefix"]:
            return None
        return f"{match['prefix']}{given}{rest}"


@dataclass(frozen=True, slots=True)
class ReferenceWrapper:
    """A function that takes or drops a reference on the object in one of its parameters."""

    reference: Reference
    parameter: int


class CalleeEffects:
    """Asked for by name; each callee is read once."""

    def __init__(self, view: View, source: Source) -> None:
        self._view = view
        self._source = source
        self._wrappers: dict[str, LockWrapper | None] = {}
        self._references: dict[str, ReferenceWrapper | None] = {}
        self._sleeps: dict[str, str | None] = {}

    def lock_wrapper(self, name: str) -> LockWrapper | None:
        """What a call of ``name`` does to a lock; None if that is not certain."""
        if name in LOCK_CALLS or not _WRAPS_BY_NAME.search(name):
            return None
        if name not in self._wrappers:
            if len(self._wrappers) == _MAX_CALLEES:
                return None
            self._wrappers[name] = self._read_wrapper(name)
        return self._wrappers[name]

    def reference_wrapper(self, name: str) -> ReferenceWrapper | None:
        """Whose reference a call of ``name`` takes or drops; None if that is not certain."""
        if not _COUNTS_BY_NAME.search(name):
            return None
        if name not in self._references:
            if len(self._references) == _MAX_CALLEES:
                return None
            self._references[name] = self._read_reference(name)
        return self._references[name]

    def always_sleeps(self, name: str) -> str | None:
        """Why a call of ``name`` sleeps, in words; None if that is not certain."""
        if name not in self._sleeps:
            if len(self._sleeps) == _MAX_CALLEES:
                return None
            self._sleeps[name] = self._read_sleeping(name)
        return self._sleeps[name]

    def _read_wrapper(self, name: str) -> LockWrapper | None:
        found = self._definition(name, _MAX_WRAPPER_BYTES)
        if found is None:
            return None
        body, parameters = found
        flow = Flow(body)
        uses = lock_uses(body, flow)
        actions = {use.call.action for use in uses}
        if not uses or not flow.complete or any(use.scoped for use in uses) or len({use.key for use in uses}) > 1:
            return None
        (state,) = lock_states(flow, uses).values()
        if not (actions == {"take"} and state.final == HELD) and not (actions == {"release"} and state.final == FREE):
            return None
        first = uses[0]
        if not first.lock:
            return LockWrapper(first.call, "", None)
        match = _LOCK.fullmatch(first.lock)
        if match is None or match["root"] in body.locals:
            return None
        at = parameters.index(match["root"]) if match["root"] in parameters else None
        return LockWrapper(first.call, first.lock, at)

    def _read_reference(self, name: str) -> ReferenceWrapper | None:
        found = self._definition(name, _MAX_WRAPPER_BYTES)
        if found is None:
            return None
        body, parameters = found
        flow = Flow(body)
        uses = [
            (match[1] or match[2], use) for use in resource_uses(body, flow)
            if use.kind is FactKind.REFERENCE and (match := _COUNTED.fullmatch(use.target))
        ]  # fmt: skip
        uses = [(root, use) for root, use in uses if root in parameters]
        if not flow.complete or len({(root, use.drops) for root, use in uses}) != 1:
            return None
        root, first = uses[0]
        always = any(_is_null_check(condition_of(use.guard), root) for _, use in uses)
        if first.drops and not always:
            return None
        may_fail = not always or any(use.may_fail for _, use in uses)
        return ReferenceWrapper(Reference(not first.drops, may_fail and not first.drops), parameters.index(root))

    def _read_sleeping(self, name: str) -> str | None:
        found = self._definition(name, _MAX_CALLEE_BYTES, own_file=True)
        if found is None or found[0].what != "function":
            return None
        body = found[0]
        flow = Flow(body)
        reachable = flow.reachable()
        for point in flow.points if flow.complete else ():
            for call, guard in zip(point.calls, point.call_guards, strict=True):
                if id(point) in reachable and condition_of(guard) is None and (cause := sleep_cause(body, call)):
                    return cause
        return None

    def _definition(self, name: str, max_bytes: int, own_file: bool = False) -> tuple[Body, tuple[str, ...]] | None:
        """The only definition that a call in this file can mean, and the names of its parameters."""
        variants = self._own.get(name, [])
        if not variants and not own_file:
            arch = arch_for(self._view, self._source.path)
            found = self._view.lookup(name, _DEFINED, 50)
            variants = [row for row in found if can_mean(row, self._source, arch)]
        if len(variants) != 1 or variants[0].end - variants[0].start > max_bytes:
            return None
        symbol = variants[0]
        source = self._source if symbol.path == self._source.path else self._view.source(symbol.path)
        body = body_of(source, symbol) if source is not None else None
        if source is None or body is None or body.root is None or body.has_error:
            return None
        if symbol.kind is Kind.FUNCTION:
            return body, body.parameters
        macro = parse_macro(source.data[symbol.start : symbol.end])
        return body, (macro.parameters or ()) if macro is not None else ()

    @cached_property
    def _own(self) -> dict[str, list[Symbol]]:
        """The definitions of the file itself."""
        found: dict[str, list[Symbol]] = defaultdict(list)
        for row in self._view.symbols_in(self._source.path):
            if row.kind in _DEFINED:
                found[row.name].append(row)
        return dict(found)


def _is_null_check(guard: Guard | None, name: str) -> bool:
    """Whether there is no condition, or only one that ``name`` points to something."""
    if guard is None:
        return True
    checks = (name, f"{name} != NULL", f"!IS_ERR({name})", f"!IS_ERR_OR_NULL({name})")
    return guard.code in checks and condition_of(guard.parent) is None


def body_in_tree(view: View, source: Source, symbol: Symbol) -> Body:
    """The body of a symbol of this file, with what its callees do."""
    body = body_of(source, symbol)
    body.effects = CalleeEffects(view, source)
    return body
