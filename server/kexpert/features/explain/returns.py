"""What a function returns, and when: each ``return``, and what reaches the variable that it returns.

An assignment counts for a ``return`` if some path leads from it to the ``return`` with no other assignment between. A
constant does not take a branch that its value rules out. The condition given is the innermost around the assignment, or
around the ``goto`` by which it leaves the straight way (``ret = -ENOMEM; if (!p) goto out;``), with those outside it.
A result that was tested to be 0 counts as 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tree_sitter import Node

from kexpert.features.explain.body import Body
from kexpert.features.explain.explanation import Fact, FactKind, Location, ReturnValue, Statement, as_code
from kexpert.features.explain.flow import Flow, Point
from kexpert.features.explain.guards import Guard, ancestors, condition_of, joined, shortened, without_likely, words_of
from kexpert.features.explain.values import (
    CONSTANTS,
    RETURNS_ARGUMENT,
    Value,
    assignments,
    can_pass,
    member_values,
    mentions,
    tests_only,
    value_of,
    zero_outcome,
)

_MAX_STEPS = 50_000  # points visited for a function
_MAX_WHEN = 6  # conditions listed for one value
_MAX_ROWS = 24
_MAX_KILLERS = 8  # assignments that may replace a value; with more of them its condition says less
#: Order of the rows of the table, by kind of value; 3 for the others.
_ORDER = {"zero": 0, "null": 1, "constant": 1, "errno": 2, "error pointer": 2, "call": 4}
_ERROR_WRAPPERS = ("PTR_ERR", "ERR_CAST", "PTR_ERR_OR_ZERO")


@dataclass(frozen=True, slots=True)
class Returned:
    """A value that may be returned, under a condition, and the line that decides it."""

    value: Value
    guard: Guard | None
    line: int
    #: How the function returns it: "", "ERR_PTR", "PTR_ERR", "ERR_CAST", "PTR_ERR_OR_ZERO".
    wrapper: str = ""
    variable: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """A value that is assigned to a variable at ``start``, on its way to the returns of the variable."""

    start: Point
    base: Guard | None  # condition of the assignment
    variable: str
    value: Value
    ends: set[int]
    killed: dict[int, list[Value]]  # points that assign to the variable


@dataclass(slots=True)
class Spread:
    """How far a value gets; with each point the value there, which a test may have made 0."""

    reached: list[tuple[Point, Value]] = field(default_factory=list)
    gotos: list[tuple[Point, Value]] = field(default_factory=list)
    killers: list[tuple[Point, bool]] = field(default_factory=list)  # with it: whether the value is still untested


class ReturnAnalysis:
    """Every value that a function may return, in the order of the lines."""

    def __init__(self, body: Body, flow: Flow) -> None:
        self.body = body
        self.flow = flow
        self.found: list[Returned] = []
        self._steps = 0
        self._mentions: dict[tuple[int, str], bool] = {}
        self._before: dict[int, list[Point]] = {}
        self._killed: dict[str, dict[int, list[Value]]] = {}
        self.exhausted = False
        wanted: dict[tuple[str, str], list[Point]] = {}
        reachable = flow.reachable()
        for point in flow.returns:
            if id(point) not in reachable or not point.parts:
                continue
            self._returned(point, point.parts[0], point.guard, wanted)
        for (variable, wrapper), points in wanted.items():
            self._variable(variable, wrapper, points, reachable)
        self.found = sorted(dict.fromkeys(self.found), key=lambda returned: returned.line)

    def _returned(
        self, point: Point, node: Node, guard: Guard | None, wanted: dict[tuple[str, str], list[Point]], depth: int = 0
    ) -> None:
        body = self.body
        while node.type == "parenthesized_expression" and node.named_child_count == 1:
            node = node.named_children[0]
        if node.type == "conditional_expression" and depth < 4:
            condition = node.child_by_field_name("condition")
            then, otherwise = node.child_by_field_name("consequence"), node.child_by_field_name("alternative")
            if condition is not None and then is not None and otherwise is not None:
                text = body.text(condition)
                self._returned(point, then, Guard("if", text, point.line, guard), wanted, depth + 1)
                self._returned(point, otherwise, Guard("else", text, point.line, guard), wanted, depth + 1)
                return
        value = value_of(body, node)
        if value.kind == "call" and value.node is not None and (call := body.call(value.node)) and not call.member:
            argument = RETURNS_ARGUMENT.get(call.name)
            if argument is not None and argument < len(call.arguments):
                self._returned(point, call.arguments[argument], guard, wanted, depth + 1)
                return
            if call.name in ("ERR_PTR", *_ERROR_WRAPPERS) and len(call.arguments) == 1:
                inner = call.arguments[0]
                if inner.type == "identifier" and body.text(inner) in body.locals and depth == 0:
                    wanted.setdefault((body.text(inner), call.name), []).append(point)
                else:
                    origin = self._origin(point, value)
                    self.found.append(Returned(origin, guard, point.line, call.name, body.text(inner)))
                return
        named = body.locals.union(body.parameters)
        if value.node is not None and value.node.type == "identifier" and value.text in named and depth == 0:
            wanted.setdefault((value.text, ""), []).append(point)
            return
        self.found.append(Returned(value, guard, point.line))

    def _variable(self, variable: str, wrapper: str, points: list[Point], reachable: set[int]) -> None:
        killed = self._killed.setdefault(variable, {})
        if not killed:
            for point in self.flow.points:
                if point.parts and (values := assignments(self.body, point, variable)):
                    killed[id(point)] = values
        ends = {id(point) for point in points}
        entry = self.flow.points[0]
        if variable in self.body.parameters or not killed:
            # What the caller gave, or what a macro or an output argument stored.
            killed = {**killed, id(entry): [Value("other", variable)]}
        for point in self.flow.points:
            values = killed.get(id(point), [])
            if not values or id(point) not in reachable or values[-1].kind == "unknown":
                continue
            how = values[-1].call if values[-1].call in _ERROR_WRAPPERS else wrapper
            for assigned, base in self._alternatives(values[-1], point):
                way = Way(point, base, variable, assigned, ends, killed)
                for value, guard, line in self._ways(way):
                    origin = self._origin(point, value) if value is assigned else value
                    self.found.append(Returned(origin, guard, line, how, variable))

    def _alternatives(self, value: Value, point: Point) -> list[tuple[Value, Guard | None]]:
        """``c ? a : b`` as two values, each with its condition; any other value as it is."""
        node = value.node
        if node is None or node.type != "conditional_expression":
            return [(value, point.guard)]
        parts = [node.child_by_field_name(field) for field in ("condition", "consequence", "alternative")]
        if None in parts:
            return [(value, point.guard)]
        condition, then, otherwise = (part for part in parts if part is not None)
        text = self.body.text(condition)
        return [
            (value_of(self.body, then), Guard("if", text, point.line, point.guard)),
            (value_of(self.body, otherwise), Guard("else", text, point.line, point.guard)),
        ]

    def _origin(self, point: Point, value: Value) -> Value:
        """What ``PTR_ERR(x)`` is the error of: the only call that gave ``x``; else ``x`` itself."""
        call = self.body.call(value.node) if value.call in _ERROR_WRAPPERS and value.node is not None else None
        if call is None or len(call.arguments) != 1:
            return value
        inner = call.arguments[0]
        name = self.body.text(inner)
        found: list[Value] = []
        if inner.type == "identifier" and name in self.body.locals:
            found = self._reaching(point, name)
        elif inner.type == "field_expression":
            found = member_values(self.body, name, inner.start_byte)
        if len(found) == 1 and found[0].kind == "call":
            return found[0]
        return Value("other", name, node=inner)

    def _reaching(self, point: Point, variable: str) -> list[Value]:
        """Values that a variable may have before a point."""
        if not self._before:
            for each in self.flow.points:
                for target, _ in each.successors:
                    self._before.setdefault(id(target), []).append(each)
        found: list[Value] = []
        seen: set[int] = set()
        pending = list(self._before.get(id(point), ()))
        while pending and self._steps <= _MAX_STEPS:
            self._steps += 1
            current = pending.pop()
            if id(current) in seen:
                continue
            seen.add(id(current))
            values = assignments(self.body, current, variable) if current.parts else []
            if values:
                found.append(values[-1])
            else:
                pending += self._before.get(id(current), ())
        return found

    def _ways(self, way: Way) -> list[tuple[Value, Guard | None, int]]:
        """Conditions under which a value is returned, with the line that decides each."""
        ways: list[tuple[Value, Guard | None, int]] = []
        straight = self._spread(way, way.start, way.value)
        pending = [(goto, value, goto.guard) for goto, value in straight.gotos]
        seen = {id(goto) for goto, _, _ in pending}
        while pending:
            goto, value, guard = pending.pop(0)
            beyond = self._spread(way, goto, value)
            for end, returned in self._returned_at(way, beyond):
                leave = joined(end.guard, guard)
                ways.append(self._decided(way, returned, leave, goto.line, end, beyond.killers))
            for other, returned in beyond.gotos:
                if id(other) not in seen:
                    seen.add(id(other))
                    pending.append((other, returned, joined(other.guard, guard)))
        for end, returned in self._returned_at(way, straight):
            ways.append(self._decided(way, returned, end.guard, end.line, end, straight.killers))
        return list(dict.fromkeys(ways))

    def _returned_at(self, way: Way, spread: Spread) -> list[tuple[Point, Value]]:
        """The returns that are reached, with the value there: not 0 where both sides of a test meet again."""
        found: dict[int, tuple[Point, Value]] = {}
        for point, value in spread.reached:
            if id(point) in way.ends and (id(point) not in found or value is way.value):
                found[id(point)] = (point, value)
        return list(found.values())

    def _decided(
        self, way: Way, value: Value, leave: Guard | None, line: int, end: Point, killers: list[tuple[Point, bool]]
    ) -> tuple[Value, Guard | None, int]:
        """The condition of a value that leaves under a guard, and its line."""
        base, start = way.base, way.start.line if way.start.kind != "entry" else end.line
        if value is not way.value:  # a test made it 0
            test = Guard("if", f"!{way.variable}", end.line, base)
            base, start = (base if test.code in {each.code for each in ancestors(leave)} else test), end.line
        elif leave is not None and value.kind in CONSTANTS and tests_only(without_likely(leave.text), way.variable):
            leave = leave.parent  # says nothing: the value is known
        guard = joined(leave, base)
        replacing = [point for point, untested in killers if untested is (value is way.value)]
        if 0 < len(replacing) <= _MAX_KILLERS and condition_of(guard) is not None:
            guard = self._unless_overwritten(way, guard, end, replacing)
        return value, guard, start if leave is None or joined(leave, base) is base else line

    def _unless_overwritten(self, way: Way, guard: Guard | None, end: Point, killers: list[Point]) -> Guard | None:
        """Add the opposites of the conditions under which the value is replaced on the way."""
        around = set(map(id, ancestors(guard)))
        codes = {each.code for each in ancestors(guard)}
        for killer in killers:
            test = condition_of(killer.guard)
            if test is None or id(test) in around or test.kind not in ("if", "else"):
                continue
            if end.guard is not None and all(each is not end.guard for each in ancestors(killer.guard)):
                continue  # the value leaves before
            opposite = Guard("else" if test.kind == "if" else "if", test.text, test.line)
            if not mentions(test.text, way.variable) and not codes & {test.code, opposite.code}:
                codes.add(opposite.code)
                guard = joined(guard, opposite)
        return guard

    def _is_tested(self, point: Point, variable: str) -> bool:
        """Whether the condition of a branch mentions a variable."""
        key = (id(point), variable)
        if key not in self._mentions:
            self._mentions[key] = bool(point.parts) and variable.encode() in self.body.raw(point.parts[0])
        return self._mentions[key]

    def _spread(self, way: Way, start: Point, value: Value) -> Spread:
        """Points that a value reaches without a goto, the gotos, and the points that replace it.

        A result that passes a test for 0 goes on as 0.
        """
        found = Spread()
        zero = Value("null", "NULL") if self.body.returns_pointer else Value("zero", "0")
        seen: set[tuple[int, bool]] = set()
        pending = [(start, value)]
        while pending:
            point, current = pending.pop()
            self._steps += 1
            if self._steps > _MAX_STEPS:
                self.exhausted = True
                return Spread()
            if point is not start and id(point) in way.killed and id(point) not in way.ends:
                found.killers.append((point, current is way.value))
                continue
            if point.kind == "goto" and point is not start:
                found.gotos.append((point, current))
                continue
            found.reached.append((point, current))
            for target, outcome in point.successors:
                after = current
                if outcome is not None and self._is_tested(point, way.variable):
                    if not can_pass(self.body, point, outcome, way.variable, current):
                        continue
                    if current.kind in ("call", "other") and zero_outcome(self.body, point, way.variable) is outcome:
                        after = zero
                if (id(target), after is way.value) not in seen:
                    seen.add((id(target), after is way.value))
                    pending.append((target, after))
        return found


def return_facts(body: Body, analysis: ReturnAnalysis) -> list[Fact]:
    """One fact for each value and condition."""
    facts: list[Fact] = []
    for returned in analysis.found:
        when = _when(returned)
        kind = FactKind.ERRNO if returned.value.errno else FactKind.RETURN
        text = f"returns {value_words(returned)}" + (f" if {when}" if when else "")
        facts.append(Fact(kind, text, body.path, returned.line))
    return list(dict.fromkeys(facts))


def _when(returned: Returned) -> str:
    """The condition of a value in words, without the test of the value itself."""
    guard = condition_of(returned.guard)
    return words_of(guard.parent if guard is not None and _test(returned) else guard)


def return_table(body: Body, analysis: ReturnAnalysis) -> tuple[ReturnValue, ...]:
    """A row for each value, errnos first as written, then calls, then the rest."""
    rows: dict[str, list[Statement]] = {}
    order: dict[str, int] = {}
    for returned in analysis.found:
        words = value_words(returned)
        rank = _ORDER.get(returned.value.kind, 3)
        order[words] = min(order.get(words, rank), rank)
        rows.setdefault(words, []).append(Statement(_when(returned), (Location(body.path, returned.line),)))
    shown = sorted(rows, key=lambda words: order[words])[:_MAX_ROWS]
    return tuple(ReturnValue(words, _merged(rows[words])) for words in shown)


def _merged(when: list[Statement]) -> tuple[Statement, ...]:
    """Equal conditions once, with all their lines; the first few."""
    merged: dict[str, list[Location]] = {}
    for statement in when:
        merged.setdefault(statement.text, []).extend(statement.locations)
    shown = [Statement(text, tuple(dict.fromkeys(places))) for text, places in merged.items()]
    if len(shown) > _MAX_WHEN:
        rest = tuple(place for statement in shown[_MAX_WHEN - 1 :] for place in statement.locations)
        shown = [*shown[: _MAX_WHEN - 1], Statement(f"and {len(shown) - _MAX_WHEN + 1} other conditions", rest[:3])]
    return tuple(shown)


def _test(returned: Returned) -> str:
    """What the innermost condition says of the returned value itself: "error" (``ret < 0``), "not 0", or ""."""
    guard = condition_of(returned.guard)
    if guard is None or not returned.variable or returned.value.kind not in ("call", "other"):
        return ""
    code, name = guard.code, returned.variable
    if code in (f"{name} < 0", f"IS_ERR({name})", f"IS_ERR_VALUE({name})"):
        return "error"
    if returned.wrapper in _ERROR_WRAPPERS and code.startswith(("IS_ERR(", "IS_ERR_OR_NULL(")):
        return "error"
    return "not 0" if code in (name, f"{name} != 0") else ""


def value_words(returned: Returned) -> str:
    """A returned value in words."""
    value, wrapper, test = returned.value, returned.wrapper, _test(returned)
    if value.kind == "call":
        source = as_code(f"{value.call}()")
        if wrapper in _ERROR_WRAPPERS or test == "error":
            return f"{'0, or ' if wrapper == 'PTR_ERR_OR_ZERO' else ''}the error of {source}"
        if wrapper:
            return f"{as_code(wrapper + '()')} of what {source} returns"
        return f"what {source} returns" + (", unless 0" if test else "")
    if wrapper in _ERROR_WRAPPERS and value.kind == "other":
        return ("0, or " if wrapper == "PTR_ERR_OR_ZERO" else "") + f"the error in {as_code(shortened(value.text))}"
    if value.errno:
        if wrapper == "ERR_PTR":
            return as_code(f"ERR_PTR({value.text})")
        if wrapper == "PTR_ERR" and value.kind == "error pointer":
            return as_code(f"-{value.errno}")
        return as_code(value.text)
    if wrapper and value.kind not in ("zero",):
        return as_code(f"{wrapper}({returned.variable})")
    return as_code(shortened(value.text))
