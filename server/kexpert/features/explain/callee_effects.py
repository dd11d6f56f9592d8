"""What a function's callees do to its locks, resources and context, one level deep: a driver's own ``foo_lock()``.

Only what is certain is said. A lock counts if the callee does nothing else with locks, whatever path it takes, and if
the caller's words can name it. A reference counts if the callee always takes (or drops) one on what it is given, NULL
aside; memory, if it always frees what it is given, or returns what it allocates or an error. Sleeping counts if the
callee is of the same file and always sleeps.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeVar

from kexpert.core.c.macro_text import parse_macro
from kexpert.core.c.source import Source
from kexpert.core.kernel.lock_calls import LOCK_CALLS, LockCall
from kexpert.core.kernel.resource_calls import Reference
from kexpert.core.symbols import Kind, Symbol
from kexpert.features.explain.always import runs_always
from kexpert.features.explain.body import Body, Call, body_of
from kexpert.features.explain.explanation import FactKind
from kexpert.features.explain.flow import Flow, Point
from kexpert.features.explain.guards import Guard, condition_of
from kexpert.features.explain.lock_states import FREE, HELD, lock_states
from kexpert.features.explain.locks import lock_uses
from kexpert.features.explain.resources import ResourceUse, placed_uses, verb_of
from kexpert.features.explain.returns import ReturnAnalysis
from kexpert.features.explain.sleeping import sleep_cause
from kexpert.features.semantics.definition_ranking import can_mean
from kexpert.features.semantics.include_paths import arch_for
from kexpert.view import View

_T = TypeVar("_T")
_MAX_CALLEES = 12  # of one function that are read for each question
_MAX_WRAPPER_BYTES = 1_200
_MAX_CALLEE_BYTES = 6_000
_WRAPS_BY_NAME = re.compile(r"(?:un)?lock|acquire|release|begin|end|enter|exit|(?:_|^)(?:get|put|start|stop)(?:_|$)")
_RESOURCES_BY_NAME = re.compile(
    r"(?:^|_)(?:(?:try)?get|put|hold|grab|(?:add|inc|dec|un)?_?ref|release|new|create|dup|destroy|del(?:ete)?)(?:_|$)|"
    r"alloc|free"
)
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
class ResourceWrapper:
    """A function that takes or drops a reference on what it is given, frees it, or returns what it allocates."""

    verb: str  # as in ``ResourceUse``
    parameter: int | None  # None where it is the value that is returned
    detail: str = ""


class _Callee(NamedTuple):
    body: Body
    parameters: tuple[str, ...]
    flow: Flow


class CalleeEffects:
    """Asked for by name; each callee is read once."""

    def __init__(self, view: View, source: Source) -> None:
        self._view = view
        self._source = source
        self._wrappers: dict[str, LockWrapper | None] = {}
        self._resources: dict[str, ResourceWrapper | None] = {}
        self._sleeps: dict[str, str | None] = {}
        self._symbols: dict[str, Symbol | None] = {}
        self._callees: dict[str, _Callee | None] = {}

    def lock_wrapper(self, name: str) -> LockWrapper | None:
        """What a call of ``name`` does to a lock; None if that is not certain."""
        if name in LOCK_CALLS or not _WRAPS_BY_NAME.search(name):
            return None
        return _kept(self._wrappers, name, self._read_wrapper)

    def resource_wrapper(self, name: str) -> ResourceWrapper | None:
        """What a call of ``name`` takes, drops, frees or allocates; None if that is not certain."""
        if not _RESOURCES_BY_NAME.search(name):
            return None
        return _kept(self._resources, name, self._read_resource)

    def always_sleeps(self, name: str) -> str | None:
        """Why a call of ``name`` sleeps, in words; None if that is not certain."""
        return _kept(self._sleeps, name, self._read_sleeping)

    def _read_wrapper(self, name: str) -> LockWrapper | None:
        found = self._definition(name, _MAX_WRAPPER_BYTES)
        if found is None:
            return None
        body, parameters, flow = found
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

    def _read_resource(self, name: str) -> ResourceWrapper | None:
        found = self._definition(name, _MAX_WRAPPER_BYTES)
        if found is None:
            return None
        body, parameters, flow = found
        if not flow.complete:
            return None
        uses = placed_uses(body, flow)
        for name in parameters:
            freed = [(point, use) for point, use in uses if use.verb == "frees" and use.target == name]
            if _is_always_done(flow, freed, name):
                return ResourceWrapper("frees", parameters.index(name))
        return _reference(flow, uses, parameters) or _allocation(body, flow, [use for _, use in uses])

    def _read_sleeping(self, name: str) -> str | None:
        found = self._definition(name, _MAX_CALLEE_BYTES, own_file=True)
        if found is None or found.body.what != "function":
            return None
        body, _, flow = found
        reachable = flow.reachable()
        for point in flow.points if flow.complete else ():
            for call, guard in zip(point.calls, point.call_guards, strict=True):
                if id(point) in reachable and condition_of(guard) is None and (cause := sleep_cause(body, call)):
                    return cause
        return None

    def _definition(self, name: str, max_bytes: int, own_file: bool = False) -> _Callee | None:
        """The only definition that a call in this file can mean. ``own_file``: only if it is in this file."""
        if own_file and name not in self._own:
            return None
        if name not in self._symbols:
            self._symbols[name] = self._only_definition(name)
        symbol = self._symbols[name]
        if symbol is None or symbol.end - symbol.start > max_bytes:
            return None
        if name not in self._callees:
            self._callees[name] = self._read(symbol)
        return self._callees[name]

    def _only_definition(self, name: str) -> Symbol | None:
        variants = self._own.get(name, [])
        if not variants:
            arch = arch_for(self._view, self._source.path)
            found = self._view.lookup(name, _DEFINED, 50)
            variants = [row for row in found if can_mean(row, self._source, arch)]
        return variants[0] if len(variants) == 1 else None

    def _read(self, symbol: Symbol) -> _Callee | None:
        source = self._source if symbol.path == self._source.path else self._view.source(symbol.path)
        body = body_of(source, symbol) if source is not None else None
        if source is None or body is None or body.root is None or body.has_error:
            return None
        if symbol.kind is Kind.FUNCTION:
            return _Callee(body, body.parameters, Flow(body))
        macro = parse_macro(source.data[symbol.start : symbol.end])
        return _Callee(body, (macro.parameters or ()) if macro is not None else (), Flow(body))

    @cached_property
    def _own(self) -> dict[str, list[Symbol]]:
        """The definitions of the file itself."""
        found: dict[str, list[Symbol]] = defaultdict(list)
        for row in self._view.symbols_in(self._source.path):
            if row.kind in _DEFINED:
                found[row.name].append(row)
        return dict(found)


def _kept(known: dict[str, _T | None], name: str, read: Callable[[str], _T | None]) -> _T | None:
    """What ``read`` says of a name, asked once for each of the first few names; None for later ones."""
    if name not in known:
        if len(known) == _MAX_CALLEES:
            return None
        known[name] = read(name)
    return known[name]


def _reference(
    flow: Flow, uses: Sequence[tuple[Point, ResourceUse]], parameters: Sequence[str]
) -> ResourceWrapper | None:
    """The reference that is taken or dropped on one parameter, whatever path is taken."""
    counted = [
        (match[1] or match[2], point, use) for point, use in uses
        if use.kind is FactKind.REFERENCE and (match := _COUNTED.fullmatch(use.target))
    ]  # fmt: skip
    counted = [each for each in counted if each[0] in parameters]
    if len({(root, use.drops) for root, _, use in counted}) != 1:
        return None
    root, _, first = counted[0]
    always = _is_always_done(flow, [(point, use) for _, point, use in counted], root)
    if first.drops:
        return ResourceWrapper(first.verb, parameters.index(root)) if always else None
    may_fail = not always or any(use.may_fail for *_, use in counted)
    return ResourceWrapper(verb_of(Reference(True, may_fail)), parameters.index(root))


def _is_always_done(flow: Flow, uses: Sequence[tuple[Point, ResourceUse]], pointer: str) -> bool:
    """Whether every path has one of these uses, ``pointer`` being NULL aside."""
    points = [point for point, use in uses if use.guard is point.guard or _is_null_check(use.guard, pointer)]
    return bool(points) and runs_always(flow, points, pointer)


def _allocation(body: Body, flow: Flow, uses: Sequence[ResourceUse]) -> ResourceWrapper | None:
    """What is allocated, if nothing else than that or an error can be returned."""
    allocated = [use for use in uses if use.verb == "allocates"]
    if len(allocated) != 1 or not body.returns_pointer:
        return None
    analysis = ReturnAnalysis(body, flow)
    values = [returned.value for returned in analysis.found]
    kept = [value for value in values if value.kind == "call" and value.call == allocated[0].function]
    errors = [value for value in values if value.kind in ("null", "error pointer", "zero")]
    if analysis.exhausted or not kept or len(kept) + len(errors) != len(values):
        return None
    return ResourceWrapper("allocates", None, ", freed with the device" if "device" in allocated[0].detail else "")


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
