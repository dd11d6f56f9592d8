"""One take or release of a lock in the text of a function."""

from __future__ import annotations

from dataclasses import dataclass

from kexpert.core.kernel.lock_calls import GUARDS, LOCK_CALLS, LockCall
from kexpert.features.explain.body import Body, Call
from kexpert.features.explain.explanation import as_code
from kexpert.features.explain.flow import Point
from kexpert.features.explain.guards import Guard


@dataclass(frozen=True, slots=True)
class LockUse:
    """One take or release in the text of a function."""

    call: LockCall
    lock: str  # the expression that names it, "" for a lock that the function names
    function: str
    line: int
    guard: Guard | None
    point: Point
    scoped: bool = False  # released at the end of its scope
    is_wrapped: bool = False  # ``function`` takes or releases it for its caller

    @property
    def key(self) -> tuple[str, str]:
        return self.call.kind, "".join(self.lock.split())

    @property
    def name(self) -> str:
        return as_code(self.lock) if self.lock else f"the {self.call.kind}"

    @property
    def described(self) -> str:
        """The lock with its kind and mode: ``&x->lock` (spinlock, interrupts off)``."""
        details = [self.call.kind] if self.lock else []
        if self.call.mode:
            details.append(self.call.mode)
        if self.is_wrapped:
            details.append(f"through {as_code(self.function + '()')}")
        return f"{self.name} ({', '.join(details)})" if details else self.name


def lock_use(body: Body, call: Call, guard: Guard | None, point: Point) -> LockUse | None:
    """What a call does to a lock; None if it is no lock call that is known."""
    if not body.is_by_name(call):
        return None
    if call.name == "guard":
        known = GUARDS.get(call.guard_class)
        scoped = True
    else:
        known, scoped = LOCK_CALLS.get(call.name), False
    if known is None:
        return _wrapped(body, call, guard, point)
    lock = ""
    if known.argument is not None:
        at = 0 if scoped else known.argument
        if at >= len(call.arguments):
            return None
        lock = body.shown(call.arguments[at])
    elif call.arguments and not scoped:
        return None  # another macro of the same name
    return LockUse(known, lock, call.name, call.line, guard, point, scoped)


def _wrapped(body: Body, call: Call, guard: Guard | None, point: Point) -> LockUse | None:
    wrapper = body.effects.lock_wrapper(call.name) if body.effects is not None else None
    lock = wrapper.lock_of(body, call) if wrapper is not None else None
    if wrapper is None or lock is None:
        return None
    return LockUse(wrapper.call, lock, call.name, call.line, guard, point, is_wrapped=True)
