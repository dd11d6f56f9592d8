"""Locks that a function takes, releases and requires.

"Returns with X held" needs more than a take: every path to every exit must hold it, no lock of that kind is released
anywhere, and the name or an annotation says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kexpert.core.kernel.lock_calls import GUARDS, LOCK_CALLS, LockCall
from kexpert.core.kernel.locking_context import LockingRules, locking_rules
from kexpert.features.explain.body import Body, Call
from kexpert.features.explain.explanation import Fact, FactKind, Location, Statement, as_code
from kexpert.features.explain.flow import Flow, Point, is_scope
from kexpert.features.explain.guards import Guard, condition_of, phrase

_ENTRY, _HELD, _FREE = 1, 2, 4  # bits: as the caller left it, taken here, released here
_TAKES_BY_NAME = re.compile(r"(?:^|_)(?:lock|locked|acquire|get|begin|start|enter|trylock|down)(?:_|$)")
_DROPS_BY_NAME = re.compile(r"(?:^|_)(?:unlock|release|put|end|stop|exit|leave|up|finish|done)(?:_|$)")


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
        return f"{self.name} ({', '.join(details)})" if details else self.name


def lock_use(body: Body, call: Call, guard: Guard | None, point: Point) -> LockUse | None:
    """What a call does to a lock; None if it is no lock call that is known."""
    if call.member:
        return None
    if call.name == "guard":
        known = GUARDS.get(call.guard_class)
        scoped = True
    else:
        known, scoped = LOCK_CALLS.get(call.name), False
    if known is None or call.name in body.locals or call.name in body.parameters:
        return None
    lock = ""
    if known.argument is not None:
        at = 0 if scoped else known.argument
        if at >= len(call.arguments):
            return None
        lock = body.shown(call.arguments[at])
    elif call.arguments and not scoped:
        return None  # another macro of the same name
    return LockUse(known, lock, call.name, call.line, guard, point, scoped)


def lock_uses(body: Body, flow: Flow) -> list[LockUse]:
    """Every take and release, in the order of the text."""
    found: list[LockUse] = []
    for point in flow.points:
        if point.kind == "loop" and is_scope(body, point.node):
            if use := _scoped_guard(body, point):
                found.append(use)
            continue
        for call, guard in zip(point.calls, point.call_guards, strict=True):
            if use := lock_use(body, call, guard, point):
                found.append(use)
    return found


def _scoped_guard(body: Body, point: Point) -> LockUse | None:
    """The lock of ``scoped_guard(class, lock) { … }``, which the tree has as a loop."""
    raw = body.text(point.node)
    match = re.match(r"scoped_guard\s*\(\s*(\w+)\s*(?:,\s*([^;{}]*?)\s*)?\)\s*(?:\{|\w)", raw)
    known = GUARDS.get(match[1]) if match else None
    if match is None or known is None:
        return None
    return LockUse(known, match[2] or "", "scoped_guard", point.line, point.guard, point, scoped=True)


def lock_rules(body: Body, flow: Flow, uses: list[LockUse]) -> list[Statement]:
    """What the caller must provide, and what it finds changed afterwards."""
    return [*required(body, flow), *left_held(body, flow, uses)]


def lock_facts(body: Body, uses: list[LockUse], rules: list[Statement]) -> list[Fact]:
    facts = []
    for use in uses:
        condition = phrase(condition_of(use.guard))
        if use.scoped:
            text = f"takes {use.described} until the end of the scope{condition}"
        else:
            verb = {"take": "takes", "try": "tries to take", "release": "releases"}[use.call.action]
            text = f"{verb} {use.described if use.call.action != 'release' else use.name}{condition}"
        facts.append(Fact(FactKind.LOCK, text, body.path, use.line))
    facts += [
        Fact(FactKind.LOCK, statement.text, body.path, statement.locations[0].line)
        for statement in rules
    ]
    return list(dict.fromkeys(facts))


def lock_statements(body: Body, flow: Flow, uses: list[LockUse], rules: list[Statement]) -> list[Statement]:
    """The locks for "How to call it": those required, then those taken, with all their lines."""
    statements = list(rules)
    groups: dict[tuple[str, str], list[LockUse]] = {}
    for use in uses:
        groups.setdefault(use.key, []).append(use)
    held = {use.key for use in uses if use.call.action != "release"}
    states = _exit_states(flow, uses) if flow.complete else None
    for key, group in groups.items():
        locations = tuple(dict.fromkeys(Location(body.path, use.line) for use in group))
        takes = [use for use in group if use.call.action != "release"]
        releases = [use for use in group if use.call.action == "release"]
        if not takes:
            if key not in held:
                statements.append(Statement(f"Releases {group[0].described}", locations))
            continue
        first = takes[0]
        if [use.call.action for use in group] == ["release", "take"] and not (group[0].guard or group[1].guard):
            statements.append(Statement(f"Releases {first.described} and takes it again", locations))
            continue
        verb = "Tries to take" if all(use.call.action == "try" for use in takes) else "Takes"
        balanced = states is not None and not states.get(key, _HELD) & _HELD
        if balanced or all(use.scoped for use in takes):
            released = ", released before it returns"
        elif releases:
            released = "; releases it too"
        else:
            released = ""
        statements.append(Statement(f"{verb} {first.described}{released}", locations))
    return statements


def required(body: Body, flow: Flow) -> list[Statement]:
    """Locks and contexts that the caller must provide: annotations, assertions that always run."""
    found: list[Statement] = []
    end = body.root.start_byte if body.root is not None else 0
    head = locking_rules(body.bytes[:end] if end else body.source.data[body.start : body.end])
    found += _rules(body, head, body.first_line)
    for point in flow.points:
        if point.guard is None and point.kind == "plain" and point.calls and point.node.type == "expression_statement":
            rules = locking_rules(b"f() {" + body.raw(point.node) + b"}")
            rules.sleeps, rules.gfp = [], []
            found += _rules(body, rules, point.line)
    return list({statement.text: statement for statement in reversed(found)}.values())[::-1]


def _rules(body: Body, rules: LockingRules, line: int) -> list[Statement]:
    at = (Location(body.path, line),)
    found = [Statement(f"The caller holds {as_code(lock)}", at) for lock in rules.must_hold]
    found += [Statement(f"The caller must not hold {as_code(lock)}", at) for lock in rules.must_not_hold]
    for lock, how in rules.asserts:
        if how == "not held":
            found.append(Statement(f"The caller must not hold {as_code(lock)}", at))
        elif how == "asserted":
            found.append(Statement(f"The caller ensures {as_code(lock)}", at))
        else:
            found.append(Statement(f"The caller holds {as_code(lock)}{how.removeprefix('held') and ' ' + how[5:]}", at))
    found += [Statement(f"Requires: {context}", at) for context in rules.context]
    return found


def left_held(body: Body, flow: Flow, uses: list[LockUse]) -> list[Statement]:
    """Locks that are held, or were released, when the function returns, where that is certain."""
    end = body.root.start_byte if body.root is not None else 0
    head = locking_rules(body.bytes[:end])
    at = (Location(body.path, body.first_line),)
    found = [Statement(f"Returns with {as_code(lock)} held", at) for lock in head.acquires if lock not in head.releases]
    found += [
        Statement(f"Releases {as_code(lock)}, which the caller holds", at)
        for lock in head.releases if lock not in head.acquires
    ]  # fmt: skip
    if found or not flow.complete or not uses:
        return found
    states = _exit_states(flow, uses)
    for key, state in states.items():
        family = [use for use in uses if use.call.kind == key[0]]
        own = [use for use in uses if use.key == key]
        taken_only = all(use.call.action == "take" and not use.scoped for use in family)
        if state == _HELD and taken_only and _TAKES_BY_NAME.search(body.name):
            found.append(Statement(f"Returns with {own[0].described} held", (Location(body.path, own[0].line),)))
        released_only = all(use.call.action == "release" for use in family)
        if state == _FREE and released_only and _DROPS_BY_NAME.search(body.name):
            text = f"Releases {own[0].described}, which the caller holds"
            found.append(Statement(text, (Location(body.path, own[0].line),)))
    return found


def _exit_states(flow: Flow, uses: list[LockUse]) -> dict[tuple[str, str], int]:
    """For each lock, the states (bits) that it may have when the function ends."""
    effects: dict[tuple[str, str], dict[int, list[LockUse]]] = {}
    for use in uses:
        if not use.scoped:
            effects.setdefault(use.key, {}).setdefault(id(use.point), []).append(use)
    states: dict[tuple[str, str], int] = {}
    for key, at in list(effects.items())[:32]:
        before: dict[int, int] = {id(flow.points[0]): _ENTRY}
        pending = flow.points[:1]
        final = 0
        while pending:
            point = pending.pop()
            state = before[id(point)]
            for use in at.get(id(point), ()):
                if use.call.action == "try":
                    state |= _HELD
                else:
                    new = _HELD if use.call.action == "take" else _FREE
                    certain = use.guard is point.guard
                    state = new if certain else state | new
            if point.kind in ("return", "end"):
                final |= state
            for target, _ in point.successors:
                known = before.get(id(target), 0)
                if known | state != known:
                    before[id(target)] = known | state
                    pending.append(target)
        states[key] = final
    return states

