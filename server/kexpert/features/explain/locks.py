"""Locks that a function takes, releases and requires.

"Returns with X held" needs more than a take: every path to every exit must hold it, no lock of that kind is released
anywhere, and the name or an annotation says so.
"""

from __future__ import annotations

import re

from kexpert.core.kernel.lock_calls import GUARDS
from kexpert.core.kernel.locking_context import LockingRules, locking_rules
from kexpert.features.explain.body import Body
from kexpert.features.explain.explanation import Fact, FactKind, Location, Statement, as_code
from kexpert.features.explain.flow import Flow, Point, is_scope
from kexpert.features.explain.guards import condition_of, phrase
from kexpert.features.explain.lock_states import FREE, HELD, LockStates, lock_states
from kexpert.features.explain.lock_use import LockUse, lock_use
from kexpert.features.explain.values import CONSTANTS, value_of

_LOCKS_BY_NAME = re.compile(r"(?:^|_)(?:lock|locked|acquire|grab|trylock)(?:_|$)")
_TAKES_BY_NAME = re.compile(r"(?:^|_)(?:lock|locked|acquire|get|begin|start|enter|trylock|down)(?:_|$)")
_DROPS_BY_NAME = re.compile(r"(?:^|_)(?:unlock|release|put|end|stop|exit|leave|up|finish|done)(?:_|$)")


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
    # A callee's release says little if what takes the lock was not understood.
    taken = {use.key for use in found if use.call.action != "release"}
    return [use for use in found if not use.is_wrapped or use.key in taken]


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
    states = lock_states(flow, uses) if flow.complete else {}
    for key, group in groups.items():
        locations = tuple(dict.fromkeys(Location(body.path, use.line) for use in group))
        takes = [use for use in group if use.call.action != "release"]
        releases = [use for use in group if use.call.action == "release"]
        if not takes:
            if key not in held and not any(_is_about(rule, key[1]) for rule in rules):
                statements.append(Statement(f"Releases {group[0].described}", locations))
            continue
        first = takes[0]
        state = states.get(key)
        if releases and state is not None and not state.taken_first:
            if not any("takes it again" in rule.text and _is_about(rule, key[1]) for rule in rules):
                statements.append(Statement(_dropped(releases[0], takes, state), locations))
            continue
        verb = "Tries to take" if all(use.call.action == "try" for use in takes) else "Takes"
        balanced = state is not None and not state.final & HELD
        if balanced or all(use.scoped for use in takes):
            released = ", released before it returns"
        elif releases:
            released = "; releases it too"
        else:
            released = ""
        statements.append(Statement(f"{verb} {first.described}{released}", locations))
    return statements


def _dropped(release: LockUse, takes: list[LockUse], state: LockStates) -> str:
    """What happens to a lock that the caller holds: it may be taken again, perhaps in another mode."""
    mode = takes[0].call.mode
    other = bool(mode and release.call.mode) and not mode.startswith(release.call.mode)
    again = "tries to take" if all(use.call.action == "try" for use in takes) else "takes"
    again += " it again" + " on some paths" * bool(state.final & FREE) + f", {mode}" * other
    return f"Releases {(release if other or not mode else takes[0]).described} and {again}"


def _is_about(rule: Statement, lock: str) -> bool:
    match = re.search(r"`([^`]*)`", rule.text)
    return match is not None and "".join(match[1].split()).lstrip("&") == lock.lstrip("&")


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
    states = lock_states(flow, uses) if flow.complete and uses else {}
    by_lock = {key[1].lstrip("&"): state for key, state in states.items()}
    found: list[Statement] = []
    for lock in head.acquires:
        state = by_lock.get("".join(lock.split()).lstrip("&"))
        if lock in head.releases:
            found.append(Statement(f"The caller holds {as_code(lock)}; releases it and takes it again", at))
        elif state is None or not state.final & FREE:
            found.append(Statement(f"Returns with {as_code(lock)} held", at))
        elif values := _values_when_held(body, state):
            found.append(Statement(f"Returns with {as_code(lock)} held if it returns {values}", at))
    found += [
        Statement(f"Releases {as_code(lock)}, which the caller holds", at)
        for lock in head.releases if lock not in head.acquires
    ]  # fmt: skip
    annotated = bool(found)
    for key, state in states.items():
        own = [use for use in uses if use.key == key]
        here = (Location(body.path, own[0].line),)
        is_known = not _LOCKS_BY_NAME.search(body.name) or any(_is_about(one, key[1]) for one in found)
        if not is_known and (values := _values_when_held(body, state)):
            found.append(Statement(f"Returns with {own[0].described} held if it returns {values}", here))
            continue
        family = [use for use in uses if use.call.kind == key[0]]
        taken_only = all(use.call.action == "take" and not use.scoped for use in family)
        if not annotated and state.final == HELD and taken_only and _TAKES_BY_NAME.search(body.name):
            found.append(Statement(f"Returns with {own[0].described} held", here))
        released_only = all(use.call.action == "release" for use in family)
        if not annotated and state.final == FREE and released_only and _DROPS_BY_NAME.search(body.name):
            found.append(Statement(f"Releases {own[0].described}, which the caller holds", here))
    return found


def _values_when_held(body: Body, state: LockStates) -> str:
    """The constants that are returned with a lock held, as code; "" unless each return says for certain which it is."""
    held: dict[str, None] = {}
    free: set[str] = set()
    for point, final in state.returns if state.taken_first else ():
        value = value_of(body, point.parts[0]) if point.parts else None
        if value is None or value.kind not in CONSTANTS or (final & HELD and final != HELD):
            return ""
        if final == HELD:
            held[value.text] = None
        else:
            free.add(value.text)
    if not held or not free or held.keys() & free:
        return ""
    return " or ".join(map(as_code, held))
