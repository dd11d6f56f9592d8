"""The states that a lock may be in along the paths of a function.

A lock call that may fail takes the lock on one side of the test of its result: ``if (!mutex_trylock(m)) return;``,
``err = mutex_lock_interruptible(m); if (err) return err;``. Elsewhere it may have taken it or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kexpert.core.kernel.lock_calls import ZERO_ON_SUCCESS
from kexpert.features.explain.flow import Flow, Point
from kexpert.features.explain.lock_use import LockUse
from kexpert.features.explain.values import assignments, tested_call, zero_outcome

ENTRY, HELD, FREE = 1, 2, 4  # bits: as the caller left it, taken here, released here
_TRIED = 8  # taken or not, as the variable says that holds the result
_MAX_LOCKS = 32


@dataclass(slots=True)
class LockStates:
    """States (bits) of one lock at the ends of a function."""

    final: int = 0
    #: Whether some path takes it before it releases it.
    taken_first: bool = False
    returns: list[tuple[Point, int]] = field(default_factory=list)


def lock_states(flow: Flow, uses: Sequence[LockUse]) -> dict[tuple[str, str], LockStates]:
    """For each lock that is not bound to a scope, its states when the function ends."""
    by_key: dict[tuple[str, str], dict[int, list[LockUse]]] = {}
    for use in uses:
        if not use.scoped:
            by_key.setdefault(use.key, {}).setdefault(id(use.point), []).append(use)
    return {key: _states(flow, at) for key, at in list(by_key.items())[:_MAX_LOCKS]}


def _states(flow: Flow, at: dict[int, list[LockUse]]) -> LockStates:
    found = LockStates()
    results = _results(flow, at)
    before: dict[int, int] = {id(flow.points[0]): ENTRY}
    pending = flow.points[:1]
    ends: dict[int, tuple[Point, int]] = {}
    while pending:
        point = pending.pop()
        state = before[id(point)]
        if state & _TRIED and any(assignments(flow.body, point, name) for name in results if point.parts):
            state = state & ~_TRIED | HELD
        own = at.get(id(point), [])
        tried_from, success = state, None
        for use in own:
            if use.call.action != "release" and state & ENTRY:
                found.taken_first = True
            if use.call.action == "try":
                success = _success(flow, point, use) if len(own) == 1 else None
                state |= _TRIED if _variable(flow, point, use) in results else HELD
            else:
                new = HELD if use.call.action == "take" else FREE
                state = new if use.guard is point.guard else state | new
        if point.kind in ("return", "end"):
            ends[id(point)] = (point, state & ~_TRIED | (HELD if state & _TRIED else 0))
        for target, outcome in point.successors:
            after = state
            if success is not None and outcome is not None:
                after = HELD if outcome is success else tried_from
            elif state & _TRIED and outcome is not None:
                after = _after_test(flow, point, outcome, results, state)
            known = before.get(id(target), 0)
            if known | after != known:
                before[id(target)] = known | after
                pending.append(target)
    for point, state in ends.values():
        found.final |= state
        if point.kind == "return":
            found.returns.append((point, state))
    return found


def _results(flow: Flow, at: dict[int, list[LockUse]]) -> dict[str, bool]:
    """Variables that hold the result of a call that tries to take the lock -> whether 0 is success."""
    found: dict[str, bool] = {}
    for point in flow.points:
        for use in at.get(id(point), ()):
            name = _variable(flow, point, use)
            if name:
                found[name] = use.function in ZERO_ON_SUCCESS
    return found if len(found) == 1 else {}


def _variable(flow: Flow, point: Point, use: LockUse) -> str:
    """The local that a statement ``x = try(…);`` assigns to; "" for anything else."""
    if use.call.action != "try" or point.kind != "plain":
        return ""
    for name in flow.body.locals:
        values = assignments(flow.body, point, name)
        if len(values) == 1 and values[0].kind == "call" and values[0].call == use.function:
            return name
    return ""


def _success(flow: Flow, point: Point, use: LockUse) -> bool | None:
    """The outcome of a branch with which the lock is taken, where its condition is the call itself."""
    if point.kind != "branch":
        return None
    truth = tested_call(flow.body, point, use.function)
    return None if truth is None else truth is not (use.function in ZERO_ON_SUCCESS)


def _after_test(flow: Flow, point: Point, outcome: bool, results: dict[str, bool], state: int) -> int:
    for name, zero_is_success in results.items():
        zero = zero_outcome(flow.body, point, name)
        if zero is not None:
            return HELD if (outcome is zero) is zero_is_success else state & ~_TRIED
    return state
