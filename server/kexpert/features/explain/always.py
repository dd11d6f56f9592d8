"""Which points of a function are on every path through it."""

from __future__ import annotations

from collections.abc import Collection

from kexpert.features.explain.flow import Flow, Point
from kexpert.features.explain.values import tested_call, zero_outcome

_ERROR_TESTS = ("IS_ERR_OR_NULL", "IS_ERR")


def runs_always(flow: Flow, points: Collection[Point], pointer: str) -> bool:
    """Whether every path from the entry to a return passes one of ``points``; paths on which ``pointer`` is NULL or an
    error pointer do not count."""
    passed = {id(point) for point in points}
    seen: set[int] = set()
    pending = flow.points[:1]  # the entry
    while pending:
        point = pending.pop()
        if id(point) in seen or id(point) in passed:
            continue
        seen.add(id(point))
        if point.kind in ("return", "end"):
            return False
        null = _null_outcome(flow, point, pointer) if point.kind == "branch" else None
        pending.extend(target for target, outcome in point.successors if outcome is None or outcome is not null)
    return True


def _null_outcome(flow: Flow, point: Point, pointer: str) -> bool | None:
    """The outcome of a branch that says that a pointer is NULL or an error; None if neither does."""
    zero = zero_outcome(flow.body, point, pointer)
    if zero is not None:
        return zero
    calls = [call for call in point.calls if call.name in _ERROR_TESTS and len(call.arguments) == 1]
    if len(calls) != 1 or flow.body.text(calls[0].arguments[0]) != pointer:
        return None
    return tested_call(flow.body, point, calls[0].name)
